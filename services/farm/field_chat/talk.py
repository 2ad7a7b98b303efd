"""What happens in a conversation, each as one step over all requests and processes: counts never miss a message."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import HTTPException

from services.farm.common import clock
from services.farm.common.alone import alone
from services.farm.field_chat.records import Attachment, Message, MessageType, Participant, Scope, Thread
from services.farm.field_chat.schemas import AddParticipant, CreateThread, MarkRead, SendMessage
from services.farm.field_chat.stores import attachments, messages, participants, service, threads

TITLES = {
    Scope.FIELD: "محادثة الحقل | Field Chat",
    Scope.TASK: "محادثة المهمة | Task Chat",
    Scope.INCIDENT: "محادثة الحادثة | Incident Chat",
}
ERRORS = {
    "invalid_scope_type": (400, "نوع النطاق غير صالح", "Invalid scope type"),
    "thread_not_found": (404, "المحادثة غير موجودة", "Thread not found"),
    "thread_archived": (400, "المحادثة مؤرشفة", "Thread is archived"),
    "empty_message": (400, "الرسالة فارغة", "Message is empty"),
    "participant_not_found": (404, "المشارك غير موجود", "Participant not found"),
}
THREADS = uuid.UUID("5f1c9d1e-6f0e-4f39-9d2a-3f6d3f2b7a10")  # the name space of threads' ids


def failed(error: str) -> HTTPException:
    """The answer to what cannot be done, in both languages."""
    status, arabic, english = ERRORS[error]
    return HTTPException(status, {"error": error, "message_ar": arabic, "message_en": english})


def scope_of(text: str) -> Scope:
    """Raises 400 for what is none."""
    if text not in list(Scope):
        raise failed("invalid_scope_type")
    return Scope(text)


async def thread_of(tenant: str, thread_id: str) -> Thread:
    """Raises 404 where the tenant has no such thread."""
    held: Thread | None = await threads.repository.for_tenant(tenant).get(thread_id) if tenant else None
    if held is None:
        raise failed("thread_not_found")
    return held


async def thread_of_scope(tenant: str, scope_type: str, scope_id: str) -> Thread:
    """Raises 404 where the tenant has no such thread, as of a scope that there is not."""
    if not tenant:
        raise failed("thread_not_found")
    repository = threads.repository.for_tenant(tenant)
    found: list[Thread] = await repository.find(scope_type=scope_type, scope_id=scope_id, limit=1)
    if not found:
        raise failed("thread_not_found")
    return found[0]


async def begun(body: CreateThread) -> Thread:
    """The tenant's thread of a scope: the one that is there, or a new one with its creator in it."""
    scope = scope_of(body.scope_type)
    thread_id = str(uuid.uuid5(THREADS, f"{body.tenant_id}\x1f{scope}\x1f{body.scope_id}"))
    repository = threads.repository.for_tenant(body.tenant_id)

    async def begin() -> Thread:
        held: Thread | None = await repository.get(thread_id)
        if held is None:
            title = body.title or TITLES[scope]
            now = clock.now()
            held = Thread(thread_id, body.tenant_id, scope, body.scope_id, body.created_by, title, now)
            await repository.insert(held)
            await _join(held, body.created_by, None)
        return held

    return await alone(service, ("thread", thread_id), begin)


async def archived(tenant: str, thread_id: str) -> None:
    """Marks a thread as over; again changes nothing."""

    async def archive() -> None:
        await thread_of(tenant, thread_id)
        await threads.repository.for_tenant(tenant).patch(thread_id, is_archived=True)

    await alone(service, ("thread", thread_id), archive)


async def sent(thread_id: str, body: SendMessage) -> Message:
    """The new message; thread and everybody else in it count it. Raises 404, 400."""
    text, links = body.text or "", body.attachments or []
    message_id = str(uuid.uuid4())

    async def send() -> Message:
        thread = await thread_of(body.tenant_id, thread_id)
        if thread.is_archived:
            raise failed("thread_archived")
        if not text.strip() and not links:
            raise failed("empty_message")
        kind = MessageType.TEXT if not links else MessageType.MIXED if text.strip() else MessageType.ATTACHMENT
        now = clock.now()
        made = Message(
            message_id, thread_id, body.tenant_id, body.sender_id, body.text, kind, now, links, body.reply_to_id
        )
        await messages.repository.for_tenant(body.tenant_id).insert(made)
        rows = [Attachment(str(uuid.uuid4()), message_id, body.tenant_id, link, now) for link in links]
        await attachments.repository.for_tenant(body.tenant_id).bulk_put(rows)
        await _count(made)
        return made

    return await alone(service, ("thread", thread_id), send)


async def _count(message: Message) -> None:
    """Thread and participants take the message into their counts; each decides on the record that it changes."""
    now, tenant = message.created_at, message.tenant_id

    def on_thread(held: Thread) -> dict[str, Any]:
        last = {"last_message_at": now, "last_message_id": message.message_id, "sorted_at": now}
        return {"message_count": held.message_count + 1, **last}

    def unread(held: Participant) -> dict[str, Any]:
        return {"unread_count": held.unread_count + 1, "last_message_id": message.message_id}

    await threads.repository.for_tenant(tenant).update(message.thread_id, on_thread)
    repository = participants.repository.for_tenant(tenant)
    for key in await repository.keys(thread_id=message.thread_id, user_id__ne=message.sender_id):
        await repository.update(key, unread)


async def joined(thread_id: str, body: AddParticipant) -> None:
    """Takes a user into a thread; one who is there already stays as they are. Raises 404."""

    async def join() -> None:
        await _join(await thread_of(body.tenant_id, thread_id), body.user_id, body.added_by)

    await alone(service, ("thread", thread_id), join)


async def _join(thread: Thread, user: str, by: str | None) -> None:
    repository, key = participants.repository.for_tenant(thread.tenant_id), f"{thread.thread_id}/{user}"
    if await repository.get(key) is None:
        await repository.insert(Participant(key, thread.thread_id, thread.tenant_id, user, clock.now(), by))


async def left(tenant: str, thread_id: str, user: str) -> None:
    """Takes a user out of a thread. Raises 404 for one who is in no such thread."""

    async def leave() -> None:
        if not tenant or not await participants.repository.for_tenant(tenant).delete(f"{thread_id}/{user}"):
            raise failed("participant_not_found")

    await alone(service, ("thread", thread_id), leave)


async def read(tenant: str, thread_id: str, body: MarkRead) -> None:
    """Nothing is unread for a participant; for others, and where there is no such thread, this says nothing."""

    async def mark() -> None:
        seen = {"last_read_at": clock.now(), "last_read_message_id": body.last_read_message_id, "unread_count": 0}
        await participants.repository.for_tenant(tenant).patch(f"{thread_id}/{body.user_id}", **seen)

    if tenant:
        await alone(service, ("thread", thread_id), mark)
