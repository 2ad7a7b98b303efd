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
from services.farm.notifications.stores import channels, crops, fields, profiles

PARTS = {"crops": crops, "field_ids": fields, "channels": channels}


async def register(body: FarmerProfile) -> None:
    """Makes this the farmer's profile, in place of any that there was, with all that belongs to it.

    Two registrations of one farmer at the same moment are never mixed: one comes after the other, or is refused.
    """
    who, now, before = body.farmer_id, clock.now(), list[Profile]()
    said = body.model_dump(exclude={"farmer_id", "governorate", "notification_channels"}, mode="json")
    said |= {"governorate": body.governorate, "channels": [each.value for each in body.notification_channels]}

    def replace(held: Profile) -> dict[str, Any]:
        before.append(held)
        return {**said, "updated_at": now}

    if await profiles.repository.update(who, replace) is None:
        await profiles.repository.insert(Profile(who, created_at=now, updated_at=now, **said))
    since = before[-1].created_at if before else now
    made: dict[str, list[Any]] = {
        "crops": [FarmerCrop(key_of(who, each), who, each, body.governorate, since) for each in body.crops],
        "field_ids": [FarmerField(key_of(who, each), who, each) for each in body.field_ids],
        "channels": [FarmerChannel(key_of(who, each), who, each) for each in body.notification_channels],
    }
    for name, store in PARTS.items():
        gone = {key_of(who, each) for held in before for each in getattr(held, name)}
        await store.repository.bulk_delete(gone - {each.key for each in made[name]})
        await store.repository.bulk_put(made[name])


async def meant(farmers: Sequence[str], governorates: Sequence[Governorate], grown: Sequence[Crop]) -> Sequence[str]:
    """The farmers who are named, else those who live in any of the governorates and grow any of the crops; all of them
    where nothing is said; in the order in which they registered first. One query, whatever is asked."""
    if farmers:
        return farmers
    where: dict[str, Any] = {"governorate__in": list(governorates)} if governorates else {}
    if not grown:
        return await profiles.repository.keys(**where)
    found = await crops.repository.find(crop_type__in=list(grown), order_by="registered_at", **where)
    return list(dict.fromkeys(each.farmer_id for each in found))
