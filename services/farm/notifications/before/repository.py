"""The part of the service that had moved: notifications and preferences, behind repositories."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4


def utcnow() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


class NotificationRepository:
    """Stands for the table that notifications moved to: rows, and the queries over them."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    async def create(self, *, expires_in_hours: int | None, **fields: Any) -> dict[str, Any]:
        now = utcnow()
        row = {
            "id": uuid4(), "is_read": False, "read_at": None, "created_at": now,
            "expires_at": now + timedelta(hours=expires_in_hours) if expires_in_hours else None, **fields,
        }  # fmt: skip
        self._rows.append(row)
        return row

    async def get_by_id(self, notification_id: UUID) -> dict[str, Any] | None:
        return next((row for row in self._rows if row["id"] == notification_id), None)

    async def get_by_user(
        self, user_id: str, unread_only: bool, type: str | None, limit: int, offset: int
    ) -> list[dict[str, Any]]:
        found = [row for row in self._current() if row["user_id"] == user_id]
        if unread_only:
            found = [row for row in found if not row["is_read"]]
        if type:
            found = [row for row in found if row["type"] == type]
        return found[offset : offset + limit]

    async def get_unread_count(self, user_id: str) -> int:
        return sum(row["user_id"] == user_id and not row["is_read"] for row in self._current())

    async def get_broadcast(self, governorate: str | None, crop: str | None, limit: int) -> list[dict[str, Any]]:
        found = self._current()
        if governorate:
            found = [row for row in found if governorate in row["target_governorates"]]
        if crop:
            found = [row for row in found if crop in row["target_crops"]]
        return found[:limit]

    async def mark_as_read(self, notification_id: UUID) -> None:
        for row in self._rows:
            if row["id"] == notification_id:
                row.update(is_read=True, read_at=utcnow())

    async def count(self, **wanted: Any) -> int:
        return sum(all(row[name] == value for name, value in wanted.items()) for row in self._rows)

    async def count_active(self, type: str) -> int:
        now = utcnow()
        return sum(
            row["type"] == type and row["expires_at"] is not None and row["expires_at"] > now for row in self._rows
        )

    def _current(self) -> list[dict[str, Any]]:
        """What has not expired, the newest first."""
        now = utcnow()
        current = [row for row in self._rows if row["expires_at"] is None or row["expires_at"] > now]
        return sorted(current, key=lambda row: row["created_at"], reverse=True)


class PreferenceRepository:
    """Stands for the table that preferences moved to: one row a farmer and channel."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}

    async def create_or_update(self, user_id: str, channel: str, **fields: Any) -> None:
        self._rows[user_id, channel] = {"user_id": user_id, "channel": channel, **fields}

    async def count(self) -> int:
        return len(self._rows)
