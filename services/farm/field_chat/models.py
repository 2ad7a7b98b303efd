"""The tables in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outlive.postgres.tables import SystemColumns
from services.farm.common.tables import NAMES, Moment, Several, Whole, Words, odd_rows


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class ThreadRow(SystemColumns, Base):
    __tablename__ = "chat_threads"
    __table_args__ = (
        odd_rows("chat_threads"),
        UniqueConstraint("tenant_id", "scope_type", "scope_id"),
        Index("ix_chat_threads_tenant_sorted", "tenant_id", "is_archived", "sorted_at"),
    )

    thread_id: Mapped[Words] = mapped_column(primary_key=True)
    tenant_id: Mapped[Words]
    scope_type: Mapped[Words]
    scope_id: Mapped[Words]
    created_by: Mapped[Words]
    title: Mapped[Words | None]
    is_archived: Mapped[bool]
    message_count: Mapped[Whole]
    last_message_at: Mapped[Moment | None]
    last_message_id: Mapped[Words | None]
    sorted_at: Mapped[Moment]
    created_at: Mapped[Moment]


class MessageRow(SystemColumns, Base):
    __tablename__ = "chat_messages"
    __table_args__ = (
        odd_rows("chat_messages"),
        Index("ix_chat_messages_thread_created", "thread_id", "created_at"),
        Index("ix_chat_messages_tenant_created", "tenant_id", "created_at"),
        Index("ix_chat_messages_sender", "tenant_id", "sender_id"),
    )

    message_id: Mapped[Words] = mapped_column(primary_key=True)
    thread_id: Mapped[Words] = mapped_column(ForeignKey("chat_threads.thread_id", ondelete="RESTRICT"))
    tenant_id: Mapped[Words]
    sender_id: Mapped[Words]
    text: Mapped[Words | None]
    message_type: Mapped[Words]
    attachments: Mapped[Several]
    reply_to_id: Mapped[Words | None]
    created_at: Mapped[Moment]


class AttachmentRow(SystemColumns, Base):
    __tablename__ = "chat_attachments"
    __table_args__ = (
        odd_rows("chat_attachments"),
        Index("ix_chat_attachments_message", "message_id"),
    )

    attachment_id: Mapped[Words] = mapped_column(primary_key=True)
    message_id: Mapped[Words] = mapped_column(ForeignKey("chat_messages.message_id", ondelete="RESTRICT"))
    tenant_id: Mapped[Words]
    url: Mapped[Words]
    created_at: Mapped[Moment]


class ParticipantRow(SystemColumns, Base):
    __tablename__ = "chat_participants"
    __table_args__ = (
        odd_rows("chat_participants"),
        UniqueConstraint("thread_id", "user_id"),
        Index("ix_chat_participants_user", "tenant_id", "user_id"),
    )

    participant_id: Mapped[Words] = mapped_column(primary_key=True)
    thread_id: Mapped[Words] = mapped_column(ForeignKey("chat_threads.thread_id", ondelete="RESTRICT"))
    tenant_id: Mapped[Words]
    user_id: Mapped[Words]
    joined_at: Mapped[Moment]
    added_by: Mapped[Words | None]
    unread_count: Mapped[Whole]
    last_message_id: Mapped[Words | None]
    last_read_at: Mapped[Moment | None]
    last_read_message_id: Mapped[Words | None]
