"""What the service keeps: threads, messages, who takes part, and what is attached. Times are aware, in UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum

NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Scope(StrEnum):
    FIELD = "field"
    TASK = "task"
    INCIDENT = "incident"


class MessageType(StrEnum):
    TEXT = "text"
    ATTACHMENT = "attachment"
    MIXED = "mixed"


@dataclass
class Thread:
    """One conversation; a tenant has one for each scope. `sorted_at` is its last message's time, NEVER without one."""

    thread_id: str
    tenant_id: str
    scope_type: Scope
    scope_id: str
    created_by: str
    title: str | None
    created_at: dt.datetime
    is_archived: bool = False
    message_count: int = 0
    last_message_at: dt.datetime | None = None
    last_message_id: str | None = None
    sorted_at: dt.datetime = NEVER


@dataclass
class Message:
    message_id: str
    thread_id: str
    tenant_id: str
    sender_id: str
    text: str | None
    message_type: MessageType
    created_at: dt.datetime
    attachments: list[str] = field(default_factory=list)
    reply_to_id: str | None = None


@dataclass
class Attachment:
    attachment_id: str
    message_id: str
    tenant_id: str
    url: str
    created_at: dt.datetime


@dataclass
class Participant:
    """A user in a thread, by `participant_id` thread/user; `last_message_id` is the message that was counted last."""

    participant_id: str
    thread_id: str
    tenant_id: str
    user_id: str
    joined_at: dt.datetime
    added_by: str | None = None
    unread_count: int = 0
    last_message_id: str | None = None
    last_read_at: dt.datetime | None = None
    last_read_message_id: str | None = None
