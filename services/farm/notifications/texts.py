"""What the API says in words: the Arabic names of things, and the wording of alerts. Clients show these texts."""

from __future__ import annotations

from typing import NamedTuple

from services.farm.notifications.records import Crop, Governorate, Kind, Priority

KIND_AR = {
    Kind.WEATHER_ALERT: "تنبيه جوي",
    Kind.PEST_OUTBREAK: "تفشي آفة",
    Kind.IRRIGATION_REMINDER: "تذكير بالري",
    Kind.CROP_HEALTH: "صحة المحاصيل",
    Kind.MARKET_PRICE: "سعر السوق",
    Kind.SYSTEM: "إشعار من النظام",
    Kind.TASK_REMINDER: "تذكير بمهمة",
}
PRIORITY_AR = {
    Priority.LOW: "منخفضة",
    Priority.MEDIUM: "متوسطة",
    Priority.HIGH: "مرتفعة",
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
    Crop.TOMATO: "الطماطم",
    Crop.WHEAT: "القمح",
    Crop.COFFEE: "البن",
    Crop.QAT: "القات",
    Crop.BANANA: "الموز",
    Crop.DATE_PALM: "نخيل التمر",
    Crop.MANGO: "المانجو",
    Crop.GRAPES: "العنب",
    Crop.CORN: "الذرة",
    Crop.POTATO: "البطاطس",
}


class Wording(NamedTuple):
    """Title and body in both languages."""

    title: str
    title_ar: str
    body: str
    body_ar: str


_WEATHER = {
    "frost": Wording(
        "Frost is coming to {place}",
        "صقيع قادم إلى {place_ar}",
        "The night may freeze. Cover young plants, and water the soil before dark.",
        "قد تتجمد الليلة. غطِّ الشتلات واسقِ التربة قبل المغيب.",
    ),
    "heat_wave": Wording(
        "Days of great heat in {place}",
        "أيام شديدة الحرارة في {place_ar}",
        "Water early in the day, and shade what wilts first.",
        "اسقِ في أول النهار وظلّل ما يذبل أولاً.",
    ),
    "storm": Wording(
        "A storm is near {place}",
        "عاصفة تقترب من {place_ar}",
        "Tie down what the wind can take, and stay away from open ground.",
        "ثبّت ما قد تحمله الريح وابتعد عن الأرض المكشوفة.",
    ),
    "flood": Wording(
        "Water may rise in {place}",
        "قد ترتفع المياه في {place_ar}",
        "Clear the ditches, and bring machines and animals to higher places.",
        "نظّف القنوات وانقل الآلات والماشية إلى أماكن أعلى.",
    ),
    "drought": Wording(
        "Little rain ahead for {place}",
        "مطر قليل متوقع في {place_ar}",
        "Spare water: give it to what needs it most, at night.",
        "وفّر الماء وأعطه لما يحتاجه أكثر، ليلاً.",
    ),
}
_OTHER_WEATHER = Wording(
    "Unusual weather in {place}",
    "طقس غير معتاد في {place_ar}",
    "Look at the forecast before you go to the field.",
    "راجع النشرة الجوية قبل الذهاب إلى الحقل.",
)


def weather(alert_type: str, governorates: list[Governorate]) -> Wording:
    """The wording of a weather alert; an unknown type has a general one. No governorate means all of them."""
    words = _WEATHER.get(alert_type, _OTHER_WEATHER)
    place = ", ".join(governorates) or "all governorates"
    place_ar = "، ".join(GOVERNORATE_AR[each] for each in governorates) or "جميع المحافظات"
    return words._replace(title=words.title.format(place=place), title_ar=words.title_ar.format(place_ar=place_ar))


def pest(name: str, name_ar: str, governorate: Governorate, crops: list[Crop]) -> Wording:
    """The wording of a pest alert."""
    grown, grown_ar = ", ".join(crops), "، ".join(CROP_AR[crop] for crop in crops)
    return Wording(
        f"{name} was seen in {governorate.value}",
        f"ظهرت آفة {name_ar} في {GOVERNORATE_AR[governorate]}",
        f"Look under the leaves of your {grown}, and report what you find.",
        f"افحص أوراق {grown_ar} من أسفلها وأبلغ عما تجده.",
    )


def irrigation(field_name: str, crop: Crop, water_mm: float) -> Wording:
    """The wording of an irrigation reminder."""
    return Wording(
        f"Time to water {field_name}",
        f"حان وقت ري {field_name}",
        f"The {crop.value} there needs {water_mm} mm.",
        f"محصول {CROP_AR[crop]} هناك يحتاج إلى {water_mm} مم.",
    )
