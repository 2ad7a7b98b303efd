"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

import datetime as dt
import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response, WebSocket, WebSocketDisconnect

import outlive
from services.farm.common import answers, clock
from services.farm.common.app import build
from services.farm.field_chat import talk
from services.farm.field_chat.live import ConnectionManager
from services.farm.field_chat.schemas import AddParticipant, CreateThread, MarkRead, SendMessage
from services.farm.field_chat.stores import messages, participants, service, threads

Limit = Annotated[int, Query(ge=1, le=100)]
router = APIRouter(prefix="/chat")
manager = ConnectionManager()
NOTHING = outlive.json_response(b"[]")


@router.post("/threads")
async def create_thread(body: CreateThread) -> Response:
    """The thread of a scope, as it is if there is one already."""
    return answers.record(threads.repository, await talk.begun(body))


@router.get("/threads")
async def list_threads(
    tenant_id: str, user_id: str | None = None, scope_type: str | None = None, limit: Limit = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:  # fmt: skip
    """Threads that are not archived, the one with the last message first; an empty filter is none."""
    if not tenant_id:
        return NOTHING
    filters = answers.given(scope_type=scope_type or None)
    if user_id:
        mine = await participants.repository.for_tenant(tenant_id).find(user_id=user_id)
        filters["thread_id__in"] = [each.thread_id for each in mine]
    repository = threads.repository.for_tenant(tenant_id)
    return outlive.json_response(
        await repository.find_json(order_by="-sorted_at", limit=limit, offset=offset, is_archived=False, **filters)
    )


@router.get("/threads/by-scope/{scope_type}/{scope_id}")
async def get_by_scope(scope_type: str, scope_id: str, tenant_id: str) -> Response:
    return answers.record(threads.repository, await talk.thread_of_scope(tenant_id, scope_type, scope_id))


@router.get("/threads/{thread_id}")
async def get_thread(thread_id: UUID, tenant_id: str) -> Response:
    return answers.record(threads.repository, await talk.thread_of(tenant_id, str(thread_id)))


@router.post("/threads/{thread_id}/archive")
async def archive_thread(thread_id: UUID, tenant_id: str, archived_by: str) -> dict[str, Any]:
    await talk.archived(tenant_id, str(thread_id))
    return {"status": "archived", "thread_id": str(thread_id), "archived_by": archived_by}


@router.post("/threads/{thread_id}/messages")
async def send_message(thread_id: UUID, body: SendMessage) -> Response:
    """The message, once it is durable; then those who listen get it too."""
    made = await talk.sent(str(thread_id), body)
    text = messages.repository.encode_json(made)
    await manager.broadcast(str(thread_id), json.dumps({"type": "message", "message": json.loads(text)}))
    return outlive.json_response(text)


@router.get("/threads/{thread_id}/messages")
async def list_messages(
    thread_id: UUID, tenant_id: str, limit: Limit = 50, before: dt.datetime | None = None,
    after: dt.datetime | None = None,
) -> Response:  # fmt: skip
    """The newest first, between two times that are not included."""
    await talk.thread_of(tenant_id, str(thread_id))
    filters = answers.given(
        created_at__lt=before and clock.in_utc(before), created_at__gt=after and clock.in_utc(after)
    )
    repository = messages.repository.for_tenant(tenant_id)
    return outlive.json_response(
        await repository.find_json(order_by="-created_at", limit=limit, thread_id=str(thread_id), **filters)
    )


@router.get("/messages/search")
async def search(
    tenant_id: str, q: Annotated[str, Query(min_length=2)], thread_id: UUID | None = None,
    sender_id: str | None = None, limit: Limit = 50,
) -> Response:  # fmt: skip
    """Messages whose text has the words in any case, the newest first; an empty filter is none."""
    if not tenant_id:
        return NOTHING
    filters = answers.given(thread_id=thread_id and str(thread_id), sender_id=sender_id or None)
    repository = messages.repository.for_tenant(tenant_id)
    return outlive.json_response(
        await repository.find_json(order_by="-created_at", limit=limit, text__icontains=q, **filters)
    )


@router.post("/threads/{thread_id}/participants")
async def add_participant(thread_id: UUID, body: AddParticipant) -> dict[str, str]:
    await talk.joined(str(thread_id), body)
    return {"status": "added", "thread_id": str(thread_id), "user_id": body.user_id}


@router.delete("/threads/{thread_id}/participants/{user_id}")
async def remove_participant(thread_id: UUID, user_id: str, tenant_id: str) -> dict[str, str]:
    await talk.left(tenant_id, str(thread_id), user_id)
    return {"status": "removed", "thread_id": str(thread_id), "user_id": user_id}


@router.post("/threads/{thread_id}/read")
async def mark_read(thread_id: UUID, tenant_id: str, body: MarkRead) -> dict[str, str]:
    await talk.read(tenant_id, str(thread_id), body)
    return {"status": "read", "thread_id": str(thread_id), "user_id": body.user_id}


@router.get("/unread-counts")
async def unread_counts(tenant_id: str, user_id: str) -> dict[str, Any]:
    if not tenant_id:
        return {"total_unread": 0, "threads": {}}
    found = await participants.repository.for_tenant(tenant_id).find(user_id=user_id, unread_count__gt=0)
    counts = {each.thread_id: each.unread_count for each in found}
    return {"total_unread": sum(counts.values()), "threads": counts}


@router.websocket("/ws/{thread_id}")
async def listen(websocket: WebSocket, thread_id: UUID) -> None:
    """New messages of a thread, as they are sent in this process; what a client says is answered with `pong`."""
    await manager.connect(str(thread_id), websocket)
    try:
        while True:
            await websocket.receive_text()
            await websocket.send_text(json.dumps({"type": "pong"}))
    except WebSocketDisconnect:
        pass
    finally:
        manager.disconnect(str(thread_id), websocket)


app = build(
    service, "Field chat", router, health={"status": "healthy", "service": "field-chat"},
    health_paths=("/health", "/healthz"),
)  # fmt: skip
