"""What the API says in words: the Arabic names of things, and the wording of alerts. Clients show these texts."""

from __future__ import annotations

from typing import NamedTuple

from services.farm.notifications.records import Crop, Governorate, Kind, Priority

KIND_AR = {
    Kind.WEATHER_ALERT: "تنبيه طقس",
    Kind.PEST_OUTBREAK: "انتشار آفات",
    Kind.IRRIGATION_REMINDER: "تذكير ري",
    Kind.CROP_HEALTH: "صحة المحصول",
    Kind.MARKET_PRICE: "أسعار السوق",
    Kind.SYSTEM: "نظام",
    Kind.TASK_REMINDER: "تذكير مهمة",
}
PRIORITY_AR = {
    Priority.LOW: "منخفضة",
    Priority.MEDIUM: "متوسطة",
    Priority.HIGH: "عالية",
    Priority.CRITICAL: "حرجة",
}
GOVERNORATE_AR = {
    Governorate.SANAA: "صنعاء",
    Governorate.ADEN: "عدن",
    Governorate.TAIZ: "تعز",
    Governorate.HODEIDAH: "الحديدة",
    Governorate.IBB: "إب",
    Governorate.DHAMAR: "ذمار",
    Governorate.HADRAMAUT: "حضرموت",
    Governorate.MARIB: "مأرب",
    Governorate.HAJJAH: "حجة",
    Governorate.SAADA: "صعدة",
    Governorate.LAHJ: "لحج",
    Governorate.ABYAN: "أبين",
}
CROP_AR = {
    Crop.TOMATO: "طماطم",
    Crop.WHEAT: "قمح",
    Crop.COFFEE: "بن",
    Crop.QAT: "قات",
    Crop.BANANA: "موز",
    Crop.DATE_PALM: "نخيل",
    Crop.MANGO: "مانجو",
    Crop.GRAPES: "عنب",
    Crop.CORN: "ذرة",
    Crop.POTATO: "بطاطس",
}


class Wording(NamedTuple):
    """Title and body in both languages."""

    title: str
    title_ar: str
    body: str
    body_ar: str


_WEATHER = {
    "frost": Wording(
        "Frost Warning in {place}",
        "⚠️ تحذير من الصقيع في {place_ar}",
        "Expected frost tonight. Protect your crops by covering them or using heating methods.",
        "يُتوقع صقيع الليلة. قم بحماية محاصيلك بتغطيتها أو استخدام طرق التدفئة. "
        "درجات الحرارة قد تنخفض إلى ما دون الصفر.",
    ),
    "heat_wave": Wording(
        "Heat Wave Alert in {place}",
        "🌡️ تنبيه موجة حر في {place_ar}",
        "Extreme heat expected. Increase irrigation and provide shade for sensitive crops.",
        "متوقع حرارة شديدة. زِد من الري ووفر الظل للمحاصيل الحساسة. تجنب العمل في الحقل خلال ساعات الذروة.",
    ),
    "storm": Wording(
        "Storm Warning in {place}",
        "🌧️ تحذير من عاصفة في {place_ar}",
        "Heavy rain and strong winds expected. Secure equipment and protect vulnerable crops.",
        "متوقع أمطار غزيرة ورياح قوية. أمّن المعدات واحمِ المحاصيل المعرضة للخطر.",
    ),
    "flood": Wording(
        "Flood Risk in {place}",
        "🌊 خطر فيضان في {place_ar}",
        "Flood risk due to heavy rainfall. Move equipment to higher ground and check drainage.",
        "خطر فيضان بسبب الأمطار الغزيرة. انقل المعدات لمناطق مرتفعة وتحقق من الصرف.",
    ),
    "drought": Wording(
        "Drought Alert in {place}",
        "☀️ تنبيه جفاف في {place_ar}",
        "Extended dry period expected. Conserve water and prioritize essential irrigation.",
        "متوقع فترة جفاف ممتدة. حافظ على المياه وأعطِ الأولوية للري الضروري.",
    ),
}
_OTHER_WEATHER = Wording(
    "Weather Alert in {place}",
    "⚠️ تنبيه طقس في {place_ar}",
    "Check weather conditions and take necessary precautions.",
    "تحقق من حالة الطقس واتخذ الاحتياطات اللازمة.",
)


def weather(alert_type: str, governorate: Governorate) -> Wording:
    """The wording of a weather alert; an unknown type has a general one."""
    words = _WEATHER.get(alert_type, _OTHER_WEATHER)
    title = words.title.format(place=governorate.value)
    return words._replace(title=title, title_ar=words.title_ar.format(place_ar=GOVERNORATE_AR[governorate]))


def pest(name: str, name_ar: str, governorate: Governorate, crops: list[Crop]) -> Wording:
    """The wording of a pest alert."""
    grown, grown_ar = ", ".join(crops), ", ".join(CROP_AR[crop] for crop in crops)
    return Wording(
        f"Pest Outbreak: {name}",
        f"🐛 انتشار آفة: {name_ar}",
        f"Pest outbreak reported in {governorate.value}. Affected crops: {grown}",
        f"تم رصد انتشار {name_ar} في {GOVERNORATE_AR[governorate]}. المحاصيل المتأثرة: {grown_ar}. "
        "تحقق من حقولك واتخذ الإجراءات الوقائية.",
    )


def irrigation(field_name: str, crop: Crop, water_mm: float) -> Wording:
    """The wording of an irrigation reminder."""
    return Wording(
        f"Irrigation Reminder: {field_name}",
        f"💧 تذكير ري: {field_name}",
        f"Your {crop.value} field needs {water_mm}mm of water.",
        f"حقل {CROP_AR[crop]} يحتاج {water_mm} ملم من المياه. يُنصح بالري في الصباح الباكر لتقليل التبخر.",
    )
