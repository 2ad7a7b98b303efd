"""How a farmer wants to be told: three rows, one for each channel that can be chosen."""

from __future__ import annotations

from services.farm.common import clock
from services.farm.notifications import outbox
from services.farm.notifications.records import Channel, Preference, key_of
from services.farm.notifications.schemas import Preferences, clock_time
from services.farm.notifications.stores import preferences

KINDS = {"weather_alerts", "pest_alerts", "irrigation_reminders", "crop_health_alerts", "market_prices"}


async def keep(farmer_id: str, body: Preferences) -> None:
    """Puts the farmer's preferences in place of any that there were, and plans anew what waits for them."""
    now = clock.now()
    enabled = {
        Channel.PUSH: body.weather_alerts or body.pest_alerts,
        Channel.SMS: body.irrigation_reminders,
        Channel.IN_APP: True,
    }
    rows = {
        channel: Preference(
            key_of(farmer_id, channel), farmer_id, channel, on, body.min_priority, body.model_dump(include=KINDS),
            now, now, clock_time(body.quiet_hours_start), clock_time(body.quiet_hours_end),
        )
        for channel, on in enabled.items()
    }  # fmt: skip
    held = await preferences.repository.find(user_id=farmer_id)
    for each in held:
        rows[each.channel].created_at = each.created_at
    await preferences.repository.bulk_put(rows.values())
    await outbox.plan_anew(farmer_id, rows)
