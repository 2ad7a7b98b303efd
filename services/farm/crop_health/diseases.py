"""The diseases that are known, with what helps against them; the same in the first version and in ours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    HEALTHY = "healthy"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Crop(StrEnum):
    WHEAT = "wheat"
    TOMATO = "tomato"
    POTATO = "potato"
    CORN = "corn"
    GRAPE = "grape"
    APPLE = "apple"
    COFFEE = "coffee"
    DATE_PALM = "date_palm"
    MANGO = "mango"
    CITRUS = "citrus"
    COTTON = "cotton"
    SORGHUM = "sorghum"
    UNKNOWN = "unknown"


class TreatmentType(StrEnum):
    FUNGICIDE = "fungicide"
    INSECTICIDE = "insecticide"
    HERBICIDE = "herbicide"
    FERTILIZER = "fertilizer"
    IRRIGATION = "irrigation"
    PRUNING = "pruning"
    NONE = "none"


@dataclass(frozen=True)
class Treatment:
    """One thing to do, in English and in Arabic."""

    treatment_type: TreatmentType
    product_name: str
    product_name_ar: str
    dosage: str
    dosage_ar: str
    application_method: str
    application_method_ar: str
    frequency: str
    frequency_ar: str
    precautions: tuple[str, ...] = ()
    precautions_ar: tuple[str, ...] = ()


@dataclass(frozen=True)
class Disease:
    """A disease; `severity` is what it is taken for when the finding is sure."""

    name: str
    name_ar: str
    description: str
    description_ar: str
    crop: Crop
    severity: Severity
    treatments: tuple[Treatment, ...] = ()
    prevention: tuple[str, ...] = ()
    prevention_ar: tuple[str, ...] = ()


LEAF_SPRAY = ("Spray on the leaves", "رش على الأوراق")
GLOVES = (("Wear gloves and a mask",), ("ارتدِ القفازات والكمامة",))

HEALTHY = "healthy"
DISEASES: dict[str, Disease] = {
    "wheat_leaf_rust": Disease(
        "Wheat Leaf Rust", "صدأ أوراق القمح",
        "Orange pustules of the fungus Puccinia triticina on the leaves.",
        "بثرات برتقالية على الأوراق يسببها فطر الصدأ.",
        Crop.WHEAT, Severity.HIGH,
        (
            Treatment(
                TreatmentType.FUNGICIDE, "Propiconazole 25 % EC", "بروبيكونازول 25%", "0.5 l/ha", "0.5 لتر للهكتار",
                *LEAF_SPRAY, "Once, again after 14 days if pustules return", "مرة واحدة، وتعاد بعد 14 يوماً عند اللزوم",
                *GLOVES,
            ),
        ),
        ("Sow resistant varieties", "Remove volunteer wheat before sowing"),
        ("زراعة أصناف مقاومة", "إزالة نباتات القمح البرية قبل الزراعة"),
    ),
    "tomato_late_blight": Disease(
        "Tomato Late Blight", "اللفحة المتأخرة في الطماطم",
        "Dark, wet spots of Phytophthora infestans that spread within days in cool, moist weather.",
        "بقع داكنة رطبة تنتشر خلال أيام في الجو البارد الرطب.",
        Crop.TOMATO, Severity.CRITICAL,
        (
            Treatment(
                TreatmentType.FUNGICIDE, "Mancozeb 80 % WP", "مانكوزيب 80%", "2 kg/ha", "2 كجم للهكتار",
                *LEAF_SPRAY, "Every 7 days while it is moist", "كل 7 أيام ما دام الجو رطباً", *GLOVES,
            ),
            Treatment(
                TreatmentType.PRUNING, "Removal of infected leaves", "إزالة الأوراق المصابة", "All infected parts",
                "كل الأجزاء المصابة", "Cut and burn outside the field", "القص والحرق خارج الحقل", "Daily", "يومياً",
            ),
        ),
        ("Water the soil, not the leaves", "Keep rows apart so that leaves dry"),
        ("ري التربة دون الأوراق", "التباعد بين الصفوف لتجف الأوراق"),
    ),
    "coffee_leaf_rust": Disease(
        "Coffee Leaf Rust", "صدأ أوراق البن",
        "Yellow powder of Hemileia vastatrix under the leaves, which then fall.",
        "مسحوق أصفر أسفل الأوراق يتبعه تساقطها.",
        Crop.COFFEE, Severity.HIGH,
        (
            Treatment(
                TreatmentType.FUNGICIDE, "Copper hydroxide 77 % WP", "هيدروكسيد النحاس 77%", "3 kg/ha",
                "3 كجم للهكتار", *LEAF_SPRAY, "Every 21 days in the rains", "كل 21 يوماً في موسم الأمطار", *GLOVES,
            ),
        ),
        ("Prune for air and light", "Plant under light shade"),
        ("التقليم للتهوية والإضاءة", "الزراعة تحت ظل خفيف"),
    ),
    "date_palm_bayoud": Disease(
        "Date Palm Bayoud", "بيوض نخيل التمر",
        "Fronds whiten from one side: Fusarium in the soil closes the vessels. There is no cure.",
        "ابيضاض السعف من جهة واحدة بسبب فطر الفيوزاريوم في التربة، ولا علاج له.",
        Crop.DATE_PALM, Severity.CRITICAL,
        (
            Treatment(
                TreatmentType.PRUNING, "Uprooting of infected palms", "اقتلاع النخيل المصاب", "Each infected palm",
                "كل نخلة مصابة", "Uproot, burn on the spot, leave the pit dry",
                "الاقتلاع والحرق في المكان وترك الحفرة جافة",
                "Once", "مرة واحدة", ("Clean all tools afterwards",), ("تنظيف جميع الأدوات بعد ذلك",),
            ),
        ),
        ("Plant certified offshoots", "Do not move soil or water between groves"),
        ("زراعة فسائل معتمدة", "عدم نقل التربة أو المياه بين البساتين"),
    ),
    "mango_anthracnose": Disease(
        "Mango Anthracnose", "أنثراكنوز المانجو",
        "Black spots of Colletotrichum on flowers, leaves and ripening fruit.",
        "بقع سوداء على الأزهار والأوراق والثمار.",
        Crop.MANGO, Severity.MEDIUM,
        (
            Treatment(
                TreatmentType.FUNGICIDE, "Azoxystrobin 25 % SC", "أزوكسيستروبين 25%", "0.75 l/ha", "0.75 لتر للهكتار",
                *LEAF_SPRAY, "Every 14 days from flowering on", "كل 14 يوماً ابتداءً من الإزهار", *GLOVES,
            ),
        ),
        ("Open the crown by pruning", "Gather fallen leaves and fruit"),
        ("فتح تاج الشجرة بالتقليم", "جمع الأوراق والثمار المتساقطة"),
    ),
    HEALTHY: Disease(
        "Healthy Plant", "نبات سليم",
        "No sign of a disease.",
        "لا توجد علامات مرض.",
        Crop.UNKNOWN, Severity.HEALTHY,
        prevention=("Look at the plants every week",),
        prevention_ar=("فحص النباتات أسبوعياً",),
    ),
}  # fmt: skip
