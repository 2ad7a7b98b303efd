"""The stores. They begin in phase `database`: this service never lived in memory."""

from __future__ import annotations

import outlive
from services.farm.common.app import declare
from services.farm.field_chat import models
from services.farm.field_chat.records import Attachment, Message, Participant, Thread

service = declare("field_chat", __file__)


class ThreadRepository(outlive.Repository):
    """Threads without what only sorts and counts."""

    json_view = outlive.JsonView(hide=("last_message_id", "sorted_at"))


class MessageRepository(outlive.Repository):
    """Messages without their tenant."""

    json_view = outlive.JsonView(hide=("tenant_id",))


threads = outlive.mapping(
    "chat_threads", Thread, key="thread_id", tenant="tenant_id", model=models.ThreadRow, phase="database",
    repository=ThreadRepository, service=service, indexes=[("tenant_id", "is_archived", "sorted_at")],
)  # fmt: skip
messages = outlive.mapping(
    "chat_messages", Message, key="message_id", tenant="tenant_id", model=models.MessageRow, phase="database",
    repository=MessageRepository, service=service, indexes=[("thread_id", "created_at")],
)  # fmt: skip
attachments = outlive.mapping(
    "chat_attachments", Attachment, key="attachment_id", tenant="tenant_id", model=models.AttachmentRow,
    phase="database", service=service, indexes=["message_id"],
)  # fmt: skip
participants = outlive.mapping(
    "chat_participants", Participant, key="participant_id", tenant="tenant_id", model=models.ParticipantRow,
    phase="database", service=service, indexes=["thread_id", ("tenant_id", "user_id")],
)  # fmt: skip
