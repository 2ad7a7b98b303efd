"""What has to go out by push, SMS and e-mail: put down with the notification, sent later by whoever is set for it.

No provider is called here. A deployment that has one sets a `Sender` for a channel before the service starts; messages
of channels without one wait. A message may go out twice when a process dies while sending, and never gets lost.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import outlive
from services.farm.common import clock
from services.farm.notifications import quiet
from services.farm.notifications.records import Channel, Message, Notification, Preference, Profile, State, key_of
from services.farm.notifications.stores import notifications, outbox, preferences, profiles, service

BATCH, ATTEMPTS, EVERY_S = 100, 5, 5.0
LEASE = dt.timedelta(minutes=5)  # how long a process that took a message may need to send it
ADDRESS = {Channel.PUSH: "fcm_token", Channel.SMS: "phone", Channel.EMAIL: "email"}
log = logging.getLogger(__name__)


class Sender(Protocol):
    """Sends by one channel."""

    async def send(self, address: str, notification: Notification, language: str) -> None:
        """Returns once the provider has taken the message. Raises whatever tells that it has not."""


class Letter(NamedTuple):
    """A message with all that its sender needs."""

    message: Message
    notification: Notification
    address: str
    language: str


senders: dict[Channel, Sender] = {}


async def put(made: Sequence[Notification], channels: Iterable[Channel]) -> None:
    """Puts down what has to go out for these notifications; nothing for a channel that the farmer switched off."""
    ways = [each for each in dict.fromkeys(channels) if each in ADDRESS]
    if not ways:
        return
    wishes = await _wishes({each.user_id for each in made}, ways)
    messages = []
    for each in made:
        for way in ways:
            wish = _of(wishes, each.user_id, way)
            if wish is None or wish.enabled:
                due = quiet.allowed_from(wish, each.priority, each.created_at)
                key = key_of(str(each.id), way)
                messages.append(Message(key, each.id, each.user_id, way, each.priority, each.created_at, due))
    await outbox.repository.bulk_put(messages)


async def plan_anew(user_id: str, wishes: Mapping[Channel, Preference]) -> None:
    """Gives the farmer's messages that nobody tried to send yet the times that follow from new wishes."""
    now = clock.now()
    for each in await outbox.repository.find(user_id=user_id, state=State.WAITING, attempts=0):
        wish = wishes.get(each.channel, wishes[Channel.IN_APP])
        if not wish.enabled:
            await outbox.repository.patch(each.key, state=State.DROPPED, due_at=None)
        else:
            await outbox.repository.patch(each.key, due_at=quiet.allowed_from(wish, each.priority, now))


async def deliver() -> int:
    """Sends what is due by the channels that have a sender; how many messages went out."""
    async with outlive.unit(service=service):
        letters = await _due(clock.now())
    sent = [await _sent(each) for each in letters]
    return sum(sent)


@asynccontextmanager
async def delivering(_: Any) -> AsyncIterator[None]:
    """Sends what is due every few seconds while the service runs, if there is any sender."""
    task = asyncio.create_task(_deliver_always()) if senders else None
    yield
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _deliver_always() -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await deliver()
        except Exception:
            log.exception("notifications: the outbox was not worked off; it is tried again")


async def _due(now: dt.datetime) -> list[Letter]:
    """Takes the messages that are due, so that no other process does; those that may not go out now are put right."""
    found = await outbox.repository.find(
        state=State.WAITING, due_at__lte=now, channel__in=list(senders), order_by="due_at", limit=BATCH
    )
    users = {each.user_id for each in found}
    wishes = await _wishes(users, list(senders))
    people = {each.farmer_id: each for each in await profiles.repository.find(farmer_id__in=users)}
    told = {each.id: each for each in await notifications.repository.find(id__in={m.notification_id for m in found})}
    letters = []
    for each in found:
        wish, notification = _of(wishes, each.user_id, each.channel), told[each.notification_id]
        letter = _letter(each, notification, people.get(each.user_id))
        change = _instead(each, notification, wish, letter, now)
        await outbox.repository.patch(each.key, **change or {"due_at": now + LEASE, "attempts": each.attempts + 1})
        if not change and letter is not None:
            letters.append(letter)
    return letters


def _instead(
    each: Message, notification: Notification, wish: Preference | None, letter: Letter | None, now: dt.datetime
) -> dict[str, Any]:
    """What becomes of a message that may not go out now; nothing for one that may."""
    if notification.shown_until <= now or (wish is not None and not wish.enabled):
        return {"state": State.DROPPED, "due_at": None}
    if letter is None:
        return {"state": State.FAILED, "due_at": None, "error": "No address"}
    allowed = quiet.allowed_from(wish, each.priority, now)
    return {} if allowed == now else {"due_at": allowed}


def _letter(each: Message, notification: Notification, person: Profile | None) -> Letter | None:
    address = person and getattr(person, ADDRESS[each.channel])
    return Letter(each, notification, address, person.language) if person and address else None


async def _sent(letter: Letter) -> bool:
    """Sends a message and puts down how that went."""
    message, now = letter.message, clock.now()
    change: dict[str, Any] = {"state": State.SENT, "due_at": None, "sent_at": now}
    tries = message.attempts + 1
    try:
        await senders[message.channel].send(letter.address, letter.notification, letter.language)
    except Exception as error:  # noqa: BLE001  a provider's library may raise anything
        gone = {"state": State.FAILED, "due_at": None}
        change = {"error": str(error)} | (
            gone if tries >= ATTEMPTS else {"due_at": now + dt.timedelta(minutes=2**tries)}
        )
    async with outlive.unit(service=service):
        await outbox.repository.patch(message.key, **change)
    return change.get("state") == State.SENT


async def _wishes(users: Iterable[str], ways: Sequence[Channel]) -> dict[tuple[str, Channel], Preference]:
    found = await preferences.repository.find(user_id__in=list(users), channel__in=[*ways, Channel.IN_APP])
    return {(each.user_id, each.channel): each for each in found}


def _of(wishes: Mapping[tuple[str, Channel], Preference], user_id: str, way: Channel) -> Preference | None:
    """A farmer's wishes for a channel; e-mail has none of its own and goes by those for the list in the app."""
    return wishes.get((user_id, way)) or wishes.get((user_id, Channel.IN_APP))
