"""Who is registered, and who is meant by a notification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.farm.common import clock
from services.farm.notifications.records import (
    Crop,
    FarmerChannel,
    FarmerCrop,
    FarmerField,
    Governorate,
    Profile,
    key_of,
)
from services.farm.notifications.schemas import FarmerProfile
from services.farm.notifications.stores import crops, parts, profiles


async def register(body: FarmerProfile) -> None:
    """Makes this the farmer's profile, in place of any that there was, with all that belongs to it.

    Two registrations of one farmer at the same moment are never mixed: one of them is refused.
    """
    farmer_id, now = body.farmer_id, clock.now()
    said = body.model_dump(include={"name", "name_ar", "district", "phone", "email", "fcm_token", "language"})
    said["governorate"] = body.governorate
    if await profiles.repository.update(farmer_id, lambda _: {**said, "updated_at": now}) is None:
        await profiles.repository.insert(Profile(farmer_id, created_at=now, updated_at=now, **said))
    grown, owned, ways = parts()
    await grown.replace(
        farmer_id, [FarmerCrop(key_of(farmer_id, each), farmer_id, each, body.governorate) for each in body.crops]
    )
    await owned.replace(farmer_id, [FarmerField(key_of(farmer_id, each), farmer_id, each) for each in body.field_ids])
    await ways.replace(
        farmer_id, [FarmerChannel(key_of(farmer_id, each), farmer_id, each) for each in body.notification_channels]
    )


async def meant(farmers: Sequence[str], governorates: Sequence[Governorate], grown: Sequence[Crop]) -> Sequence[str]:
    """The farmers who are named, else those who live in any of the governorates and grow any of the crops; all of them
    where nothing is said. One query, whatever is asked."""
    if farmers:
        return farmers
    where: dict[str, Any] = {"governorate__in": list(governorates)} if governorates else {}
    if not grown:
        return await profiles.repository.keys(**where)
    found = await crops.repository.find(crop_type__in=list(grown), **where)
    return list(dict.fromkeys(each.farmer_id for each in found))
