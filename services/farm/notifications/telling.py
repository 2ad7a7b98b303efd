"""Makes notifications: one for each farmer who is meant, with what has to go out."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from fastapi import HTTPException

from services.farm.common import clock
from services.farm.common.app import refused
from services.farm.notifications import farmers, outbox
from services.farm.notifications.records import FOREVER, Channel, Crop, Governorate, Kind, Notification, Priority
from services.farm.notifications.stores import notifications
from services.farm.notifications.texts import KIND_AR, PRIORITY_AR, Wording

FAILED = "Failed to create notification"


async def tell(
    kind: Kind, priority: Priority, words: Wording, data: dict[str, Any], *, to: Sequence[str] = (),
    governorates: Sequence[Governorate] = (), crops: Sequence[Crop] = (), channels: Sequence[Channel],
    hours: int | None,
) -> Notification:  # fmt: skip
    """The first of the notifications that were made. Raises 400 when nobody is meant."""
    users = await farmers.meant(to, governorates, crops)
    if not users:
        raise HTTPException(400, FAILED)
    now = clock.now()
    expires = _expires(now, hours)
    named = {"type_ar": KIND_AR[kind], "priority_ar": PRIORITY_AR[priority], "channels": _plain(channels)}
    made = [
        Notification(
            uuid.uuid4(), user, kind, priority, words.title, words.title_ar or words.title, words.body,
            words.body_ar or words.body, channels[0] if channels else Channel.IN_APP, {**data, **named}, clock.now(),
            shown_until=expires or FOREVER, expires_at=expires,
            target_governorates=_plain(governorates), target_crops=_plain(crops),
        )
        for user in users
    ]  # fmt: skip
    await notifications.repository.bulk_put(made)
    await outbox.put(made, channels)
    return made[0]


def _plain(members: Sequence[StrEnum]) -> list[str]:
    """Enum members as the texts that a column of texts holds."""
    return [each.value for each in members]


def _expires(now: dt.datetime, hours: int | None) -> dt.datetime | None:
    """The end of its life; no hours, or zero of them, mean none."""
    try:
        return now + dt.timedelta(hours=hours) if hours else None
    except OverflowError:
        raise refused("no such time", "body", "expires_in_hours", kind="date_overflow") from None
