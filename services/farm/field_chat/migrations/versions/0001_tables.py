"""Threads, messages, attachments, participants."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import create, index_odd_rows, isolate, moment, needed, several, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_chat_threads_tenant_sorted", "chat_threads", ["tenant_id", "is_archived", "sorted_at"]),
    ("ix_chat_messages_thread_created", "chat_messages", ["thread_id", "created_at"]),
    ("ix_chat_messages_tenant_created", "chat_messages", ["tenant_id", "created_at"]),
    ("ix_chat_messages_sender", "chat_messages", ["tenant_id", "sender_id"]),
    ("ix_chat_attachments_message", "chat_attachments", ["message_id"]),
    ("ix_chat_participants_user", "chat_participants", ["tenant_id", "user_id"]),
)


def upgrade() -> None:
    _threads()
    _messages()
    _attachments()
    _participants()
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    for table in ("chat_threads", "chat_messages", "chat_attachments", "chat_participants"):
        index_odd_rows(table)


def downgrade() -> None:
    for table in ("chat_participants", "chat_attachments", "chat_messages", "chat_threads"):
        op.drop_table(table)


def _owned(table: str, column: str, owner: str) -> tuple[Any, Any]:
    key = sa.ForeignKeyConstraint([column], [f"{owner}.{column}"], name=f"fk_{table}_{column}", ondelete="RESTRICT")
    return needed(column, words()), key


def _threads() -> None:
    table = create(
        "chat_threads",
        needed("thread_id", words()),
        needed("tenant_id", words()),
        needed("scope_type", words()),
        needed("scope_id", words()),
        needed("created_by", words()),
        sa.Column("title", words()),
        needed("is_archived", sa.Boolean),
        needed("message_count", sa.BigInteger),
        sa.Column("last_message_at", moment()),
        sa.Column("last_message_id", words()),
        needed("sorted_at", moment()),
        needed("created_at", moment()),
        sa.PrimaryKeyConstraint("thread_id", name="pk_chat_threads"),
        sa.UniqueConstraint(
            "tenant_id", "scope_type", "scope_id", name="uq_chat_threads_tenant_id_scope_type_scope_id"
        ),
    )
    isolate(table)


def _messages() -> None:
    table = create(
        "chat_messages",
        needed("message_id", words()),
        *_owned("chat_messages", "thread_id", "chat_threads"),
        needed("tenant_id", words()),
        needed("sender_id", words()),
        sa.Column("text", words()),
        needed("message_type", words()),
        needed("attachments", several()),
        sa.Column("reply_to_id", words()),
        needed("created_at", moment()),
        sa.PrimaryKeyConstraint("message_id", name="pk_chat_messages"),
    )
    isolate(table)


def _attachments() -> None:
    table = create(
        "chat_attachments",
        needed("attachment_id", words()),
        *_owned("chat_attachments", "message_id", "chat_messages"),
        needed("tenant_id", words()),
        needed("url", words()),
        needed("created_at", moment()),
        sa.PrimaryKeyConstraint("attachment_id", name="pk_chat_attachments"),
    )
    isolate(table)


def _participants() -> None:
    table = create(
        "chat_participants",
        needed("participant_id", words()),
        *_owned("chat_participants", "thread_id", "chat_threads"),
        needed("tenant_id", words()),
        needed("user_id", words()),
        needed("joined_at", moment()),
        sa.Column("added_by", words()),
        needed("unread_count", sa.BigInteger),
        sa.Column("last_message_id", words()),
        sa.Column("last_read_at", moment()),
        sa.Column("last_read_message_id", words()),
        sa.PrimaryKeyConstraint("participant_id", name="pk_chat_participants"),
        sa.UniqueConstraint("thread_id", "user_id", name="uq_chat_participants_thread_id_user_id"),
    )
    isolate(table)
