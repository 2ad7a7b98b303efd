"""What plans cost, and the built-in ones."""

from __future__ import annotations

import datetime as dt
import os
from decimal import Decimal, InvalidOperation
from typing import Any

from services.farm.billing.records import Cycle, Plan, Tier

QUARTER, YEAR = Decimal("2.7"), Decimal(10)
RATE = Decimal(250)
UNLIMITED = -1
PER_MONTH = ("satellite_analyses_per_month", "ai_diagnoses_per_month", "pdf_reports_per_month")
LIMITS = ("fields", *PER_MONTH, "storage_gb", "api_calls_per_day", "team_members")
FEATURES = {
    "fields": ("Field management", "إدارة الحقول", "fields"),
    "satellite": ("Satellite analysis", "تحليل الأقمار الصناعية", PER_MONTH[0]),
    "weather": ("Weather forecast", "توقعات الطقس", None),
    "irrigation": ("Smart irrigation", "الري الذكي", None),
    "ai_diagnosis": ("AI crop diagnosis", "تشخيص المحاصيل بالذكاء الاصطناعي", PER_MONTH[1]),
    "reports": ("Reports", "التقارير", PER_MONTH[2]),
    "support": ("Support", "الدعم الفني", None),
    "api_access": ("API access", "الوصول إلى واجهة البرمجة", "api_calls_per_day"),
    "sla": ("Service level agreement", "اتفاقية مستوى الخدمة", None),
    "custom_integrations": ("Custom integrations", "تكاملات مخصصة", None),
}
# id, Arabic name, description, prices, trial days, limits in the order of LIMITS (None: no such key), features left out
BUILT_IN: tuple[tuple[Any, ...], ...] = (
    (
        "free", "مجاني", "For a first look", "للتجربة الأولى", (0, 0, 0), 0, (3, 10, None, None, 1, 100, None),
        {"irrigation", "ai_diagnosis", "reports", "support"}, 7,
    ),
    (
        "starter", "المبتدئ", "For small farms", "للمزارع الصغيرة", (29, 79, 290), 14,
        (10, 50, 20, 10, 5, 500, None), set(), 7,
    ),
    (
        "professional", "الاحترافي", "For farms that grow", "للمزارع المتنامية", (99, 269, 990), 14,
        (50, 200, 100, -1, 25, 2000, 5), set(), 8,
    ),
    (
        "enterprise", "المؤسسات", "For large organisations", "للمؤسسات الكبيرة", (499, 1349, 4990), 30,
        (-1, -1, -1, -1, 100, 10000, -1), set(), 10,
    ),
)  # fmt: skip


def built_in(now: dt.datetime) -> list[Plan]:
    """The plans that every installation begins with."""
    return [_plan(now, *row) for row in BUILT_IN]


def _plan(
    now: dt.datetime, plan_id: str, name_ar: str, text: str, text_ar: str, prices: tuple[int, ...], trial_days: int,
    given: tuple[int | None, ...], left_out: set[str], features: int,
) -> Plan:  # fmt: skip
    limits = {key: limit for key, limit in zip(LIMITS, given, strict=True) if limit is not None}
    shown = {
        key: {
            "name": name, "name_ar": arabic, "included": key not in left_out,
            "limit": limits.get(limit) if limit else None,
        }
        for key, (name, arabic, limit) in list(FEATURES.items())[:features]
    }  # fmt: skip
    monthly, quarterly, yearly = map(Decimal, prices)
    return Plan(
        plan_id, plan_id.capitalize(), name_ar, text, text_ar, Tier(plan_id), monthly, quarterly, yearly, now,
        features=shown, limits=limits, trial_days=trial_days,
    )  # fmt: skip


def price(plan: Plan, cycle: Cycle) -> Decimal:
    """What a plan costs for one cycle, in US dollars."""
    return {
        Cycle.MONTHLY: plan.monthly_usd,
        Cycle.QUARTERLY: plan.quarterly_usd,
        Cycle.YEARLY: plan.yearly_usd,
    }[cycle]


def in_yer(usd: Decimal) -> Decimal:
    """The same money in Yemeni rials, by YER_EXCHANGE_RATE."""
    try:
        rate = Decimal(os.environ.get("YER_EXCHANGE_RATE") or RATE)
    except InvalidOperation:
        rate = RATE
    return usd * (rate if rate.is_finite() else RATE)
