"""The demo farmers; a store takes them once in its life."""

from __future__ import annotations

import datetime as dt

from services.farm.common import settings
from services.farm.notifications.records import (
    Channel,
    Crop,
    FarmerChannel,
    FarmerCrop,
    FarmerField,
    Governorate,
    Profile,
    key_of,
)
from services.farm.notifications.stores import channels, crops, fields, profiles

ROWS = (
    (
        "farmer-1", "Ahmed Ali", "أحمد علي", Governorate.SANAA, (Crop.TOMATO, Crop.COFFEE), ("field-1", "field-2"),
        "+967771234567", "ahmed.ali@example.com",
    ),
    (
        "farmer-2", "Mohammed Hassan", "محمد حسن", Governorate.IBB, (Crop.BANANA, Crop.MANGO), ("field-3",),
        "+967772345678", "mohammed.hassan@example.com",
    ),
)  # fmt: skip


def fill(now: dt.datetime) -> None:
    """Puts the demo farmers into stores that never held any, unless SEED_DEMO_DATA=false."""
    if not settings.seeds_demo_data():
        return
    for farmer_id, name, name_ar, governorate, grown, owned, phone, email in ROWS:
        profiles[farmer_id] = Profile(
            farmer_id, name, name_ar, governorate, now, now, phone=phone, email=email,
            crops=[each.value for each in grown], field_ids=list(owned), channels=[Channel.IN_APP.value],
        )  # fmt: skip
        for crop in grown:
            key = key_of(farmer_id, crop)
            crops[key] = FarmerCrop(key, farmer_id, crop, governorate, now)
        for field_id in owned:
            key = key_of(farmer_id, field_id)
            fields[key] = FarmerField(key, farmer_id, field_id)
        key = key_of(farmer_id, Channel.IN_APP)
        channels[key] = FarmerChannel(key, farmer_id, Channel.IN_APP)
