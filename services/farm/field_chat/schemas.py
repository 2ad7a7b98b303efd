"""What clients send."""

from __future__ import annotations

from pydantic import BaseModel


class CreateThread(BaseModel):
    tenant_id: str
    scope_type: str
    scope_id: str
    created_by: str
    title: str | None = None
    correlation_id: str | None = None


class SendMessage(BaseModel):
    tenant_id: str
    sender_id: str
    text: str | None = None
    attachments: list[str] | None = None
    reply_to_id: str | None = None
    correlation_id: str | None = None


class AddParticipant(BaseModel):
    tenant_id: str
    user_id: str
    added_by: str | None = None
    correlation_id: str | None = None


class MarkRead(BaseModel):
    user_id: str
    last_read_message_id: str | None = None
