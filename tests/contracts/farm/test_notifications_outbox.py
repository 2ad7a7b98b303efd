"""What goes out for a notification, when, and what becomes of it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from services.farm.common import clock
from tests.contracts.farm.conftest import Opened, in_every_phase
from tests.contracts.farm.running import Running

PACKAGE = "services.farm.notifications"
NOON = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)  # 12:00 in Yemen


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def at(self, text: str) -> None:
        """Sets the time of the day in Yemen, on the day that it shows there."""
        hour, minute = map(int, text.split(":"))
        local = self.now.astimezone(dt.timezone(dt.timedelta(hours=3)))
        self.now = local.replace(hour=hour, minute=minute, second=0).astimezone(dt.UTC)

    def later(self, **by: float) -> None:
        """Moves the time on."""
        self.now += dt.timedelta(**by)


class Provider:
    """A provider that keeps what it was given; it refuses as often as `refuses` says."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.refuses = 0

    async def send(self, address: str, notification: Any, language: str) -> None:
        """Keeps it, or raises."""
        if self.refuses:
            self.refuses -= 1
            raise ConnectionError("no line")
        self.sent.append((address, notification.title, language))


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The service's clock, at noon in Yemen."""
    made = Clock(NOON)
    monkeypatch.setattr(clock, "now", lambda: made.now)
    return made


@pytest.fixture
def sms(opened: Opened) -> Iterator[Provider]:
    """A provider of text messages."""
    outbox, records = opened.module("outbox"), opened.module("records")
    made = Provider()
    outbox.senders[records.Channel.SMS] = made
    yield made
    outbox.senders.clear()


def farmer_with(http: Running, **wishes: Any) -> str:
    """A registered farmer with a telephone, and with these preferences if there are any."""
    farmer = f"farmer-{uuid.uuid4().hex[:10]}"
    body = {"farmer_id": farmer, "name": "Ali", "name_ar": "علي", "governorate": "ibb", "crops": []}
    assert http.post("/v1/farmers/register", json={**body, "phone": farmer, "language": "en"}).status_code == 200
    if wishes:
        prefer(http, farmer, **wishes)
    return farmer


def prefer(http: Running, farmer: str, **wishes: Any) -> None:
    """Gives a farmer preferences."""
    answer = http.put(f"/v1/farmers/{farmer}/preferences", json={"farmer_id": farmer, **wishes})
    assert answer.status_code == 200, answer.text


def send(http: Running, farmer: str, title: str = "T", **fields: Any) -> str:
    """The id of a notification that goes out by text message."""
    body = {"type": "system", "title": title, "title_ar": "ع", "body": "B", "body_ar": "ن", "channels": ["sms"]}
    answer = http.post("/v1/notifications", json={**body, "target_farmers": [farmer], **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def deliver(opened: Opened) -> int:
    """Works the outbox off once."""
    count: int = opened.http.run(opened.module("outbox").deliver())
    return count


def messages(opened: Opened, farmer: str) -> list[Any]:
    """What the outbox holds for a farmer."""

    async def find() -> list[Any]:
        found: list[Any] = await opened.module("stores").outbox.repository.find(user_id=farmer)
        return found

    held: list[Any] = opened.http.run(find())
    return held


@in_every_phase
def test_a_notification_goes_out_once(opened: Opened, sms: Provider, watch: Clock) -> None:
    """To the farmer's telephone, read or not; its message is sent from then on."""
    farmer = farmer_with(opened.http)
    send(opened.http, farmer, "one")
    second = send(opened.http, farmer, "two", channels=["in_app", "sms", "sms"])
    opened.http.patch(f"/v1/notifications/{second}/read", params={"farmer_id": farmer})
    assert [each.state for each in messages(opened, farmer)] == ["waiting", "waiting"]
    assert deliver(opened) == 2
    assert deliver(opened) == 0
    assert sms.sent == [(farmer, "one", "en"), (farmer, "two", "en")]
    assert {(each.state, each.sent_at) for each in messages(opened, farmer)} == {("sent", watch.now)}


@in_every_phase
def test_without_a_provider_nothing_goes_out(opened: Opened, watch: Clock) -> None:
    """Messages wait for one; a notification for the app alone has none."""
    farmer = farmer_with(opened.http)
    send(opened.http, farmer, channels=["push", "in_app"])
    send(opened.http, farmer, channels=["in_app"])
    assert deliver(opened) == 0
    assert [(each.channel, each.state, each.due_at) for each in messages(opened, farmer)] == [
        ("push", "waiting", watch.now)
    ]


@in_every_phase
@pytest.mark.parametrize(
    ("start", "end", "told_at", "from_", "days"),
    [
        ("22:00", "06:00", "21:59", "21:59", 0),
        ("22:00", "06:00", "22:00", "06:00", 1),
        ("22:00", "06:00", "05:59", "06:00", 0),
        ("22:00", "06:00", "06:00", "06:00", 0),
        ("12:00", "14:30", "13:00", "14:30", 0),
        ("12:00", "14:30", "14:30", "14:30", 0),
        ("12:00", "12:00", "12:00", "12:00", 0),
        (None, "06:00", "23:00", "23:00", 0),
    ],
)
def test_quiet_hours_delay(
    opened: Opened, sms: Provider, watch: Clock, start: str | None, end: str, told_at: str, from_: str, days: int
) -> None:
    """Of the clock in Yemen, from the start until the end, past midnight too: what is told then goes out at the end."""
    farmer = farmer_with(opened.http, quiet_hours_start=start, quiet_hours_end=end)
    watch.at(told_at)
    told = watch.now
    send(opened.http, farmer, priority="critical")
    assert deliver(opened) == (told_at == from_)
    watch.later(days=days)
    watch.at(from_)
    if told != watch.now:
        watch.later(seconds=-1)
        assert deliver(opened) == 0
        watch.later(seconds=1)
        assert deliver(opened) == 1
    assert [address for address, *_ in sms.sent] == [farmer]


@in_every_phase
def test_what_is_late_waits_for_the_end_of_quiet_hours(opened: Opened, sms: Provider, watch: Clock) -> None:
    """A message that was due before the quiet hours is looked at again when it would be sent."""
    farmer = farmer_with(opened.http, quiet_hours_start="22:00", quiet_hours_end="06:00")
    watch.at("21:50")
    send(opened.http, farmer)
    watch.at("23:00")
    assert deliver(opened) == 0
    watch.later(hours=7)
    assert deliver(opened) == 1
    assert len(sms.sent) == 1


@in_every_phase
def test_min_priority_holds_back_until_it_is_wanted(opened: Opened, sms: Provider, watch: Clock) -> None:
    """What matters less waits until new preferences ask for it; what matters as much goes at once."""
    farmer = farmer_with(opened.http, min_priority="high")
    send(opened.http, farmer, "medium", priority="medium", expires_in_hours=None)
    send(opened.http, farmer, "high", priority="high")
    assert deliver(opened) == 1
    watch.later(days=3)
    assert deliver(opened) == 0
    prefer(opened.http, farmer, min_priority="medium")
    assert deliver(opened) == 1
    assert [title for _, title, _ in sms.sent] == ["high", "medium"]


@in_every_phase
def test_what_expired_or_is_unwanted_is_dropped(opened: Opened, sms: Provider, watch: Clock) -> None:
    """Neither goes out; a channel that was switched off before gets no message at all."""
    late, off = farmer_with(opened.http, min_priority="critical"), farmer_with(opened.http)
    send(opened.http, late, expires_in_hours=1)
    send(opened.http, off)
    prefer(opened.http, off, irrigation_reminders=False)
    send(opened.http, off)
    watch.later(hours=1)
    prefer(opened.http, late)
    assert deliver(opened) == 0
    assert [each.state for who in (late, off) for each in messages(opened, who)] == ["dropped", "dropped"]
    assert sms.sent == []


@in_every_phase
def test_a_refused_message_is_tried_again(opened: Opened, sms: Provider, watch: Clock) -> None:
    """After 2, 4, 8 and 16 minutes; then it has failed and says why. Without an address it fails at once."""
    farmer = farmer_with(opened.http)
    send(opened.http, farmer)
    sms.refuses = 5
    for minutes in (2, 4, 8, 16):
        assert deliver(opened) == 0
        watch.later(minutes=minutes, seconds=-1)
        deliver(opened)
        watch.later(seconds=1)
    assert sms.refuses == 1
    assert deliver(opened) == 0
    (held,) = messages(opened, farmer)
    assert (held.state, held.attempts, held.error, held.due_at) == ("failed", 5, "no line", None)
    unknown = f"farmer-{uuid.uuid4().hex}"
    send(opened.http, unknown)
    deliver(opened)
    assert [(each.state, each.error) for each in messages(opened, unknown)] == [("failed", "No address")]


@in_every_phase
def test_a_message_that_was_taken_by_a_dead_process_is_sent(opened: Opened, sms: Provider, watch: Clock) -> None:
    """It is due again after five minutes, and not before."""
    farmer = farmer_with(opened.http)
    send(opened.http, farmer)
    outbox = opened.module("outbox")

    async def take() -> int:
        import outlive

        async with outlive.unit(service=outbox.service):
            return len(await outbox._due(clock.now()))

    assert opened.http.run(take()) == 1
    assert deliver(opened) == 0
    watch.later(minutes=5)
    assert deliver(opened) == 1
    assert len(sms.sent) == 1


@in_every_phase
def test_email_goes_by_the_preferences_of_the_app(opened: Opened, watch: Clock) -> None:
    """It has no row of its own: quiet hours delay it, and switching off text messages does not stop it."""
    farmer = farmer_with(opened.http, irrigation_reminders=False, quiet_hours_start="11:00", quiet_hours_end="13:00")
    send(opened.http, farmer, channels=["email", "sms"])
    held = messages(opened, farmer)
    assert [(each.channel, each.due_at - watch.now) for each in held] == [("email", dt.timedelta(hours=1))]
