"""The plans that the service starts with."""

from __future__ import annotations

FEATURE_NAMES = {
    "fields": ("Field management", "إدارة الحقول"),
    "satellite": ("Satellite analysis", "تحليل الأقمار الصناعية"),
    "weather": ("Weather forecast", "توقعات الطقس"),
    "irrigation": ("Smart irrigation", "الري الذكي"),
    "ai_diagnosis": ("AI crop diagnosis", "تشخيص المحاصيل بالذكاء الاصطناعي"),
    "reports": ("Reports", "التقارير"),
    "support": ("Support", "الدعم الفني"),
    "api_access": ("API access", "الوصول إلى واجهة البرمجة"),
    "sla": ("Service level agreement", "اتفاقية مستوى الخدمة"),
    "custom_integrations": ("Custom integrations", "تكاملات مخصصة"),
}
DEFAULT_PLANS = [
    {
        "plan_id": "free", "name": "Free", "name_ar": "مجاني", "tier": "free", "prices": (0, 0, 0), "trial_days": 0,
        "description": "For a first look", "description_ar": "للتجربة الأولى",
        "features": {"fields": 3, "satellite": 10, "weather": None},
        "not_included": ["irrigation", "ai_diagnosis", "reports", "support"],
        "limits": {"fields": 3, "satellite_analyses_per_month": 10, "storage_gb": 1, "api_calls_per_day": 100},
    },
    {
        "plan_id": "starter", "name": "Starter", "name_ar": "المبتدئ", "tier": "starter", "prices": (29, 79, 290),
        "trial_days": 14, "description": "For small farms", "description_ar": "للمزارع الصغيرة",
        "features": {
            "fields": 10, "satellite": 50, "weather": None, "irrigation": None, "ai_diagnosis": 20, "reports": 10,
            "support": None,
        },
        "limits": {
            "fields": 10, "satellite_analyses_per_month": 50, "ai_diagnoses_per_month": 20,
            "pdf_reports_per_month": 10, "storage_gb": 5, "api_calls_per_day": 500,
        },
    },
    {
        "plan_id": "professional", "name": "Professional", "name_ar": "الاحترافي", "tier": "professional",
        "prices": (99, 269, 990), "trial_days": 14, "description": "For farms that grow",
        "description_ar": "للمزارع المتنامية",
        "features": {
            "fields": 50, "satellite": 200, "weather": None, "irrigation": None, "ai_diagnosis": 100, "reports": -1,
            "support": None, "api_access": 2000,
        },
        "limits": {
            "fields": 50, "satellite_analyses_per_month": 200, "ai_diagnoses_per_month": 100,
            "pdf_reports_per_month": -1, "storage_gb": 25, "api_calls_per_day": 2000, "team_members": 5,
        },
    },
    {
        "plan_id": "enterprise", "name": "Enterprise", "name_ar": "المؤسسات", "tier": "enterprise",
        "prices": (499, 1349, 4990), "trial_days": 30, "description": "For large organisations",
        "description_ar": "للمؤسسات الكبيرة",
        "features": {
            "fields": -1, "satellite": -1, "weather": None, "irrigation": None, "ai_diagnosis": -1, "reports": -1,
            "support": None, "api_access": 10000, "sla": None, "custom_integrations": None,
        },
        "limits": {
            "fields": -1, "satellite_analyses_per_month": -1, "ai_diagnoses_per_month": -1,
            "pdf_reports_per_month": -1, "storage_gb": 100, "api_calls_per_day": 10000, "team_members": -1,
        },
    },
]  # fmt: skip
