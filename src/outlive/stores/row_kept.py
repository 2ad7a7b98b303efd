"""What is kept of a record that came straight from its row: the row, until somebody asks for the document's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from outlive.commit.unit import Kept
from outlive.records import canonical

if TYPE_CHECKING:
    from outlive.postgres.tables import StoreTable


class RowKept(Kept):
    """As `Kept`; `encoded` is made once, of the row, which nothing changes."""

    __slots__ = ("_bytes", "_row", "_table")

    def __init__(self, table: StoreTable, row: Sequence[Any]) -> None:
        self._table = table
        self._row: Sequence[Any] | None = row
        self._bytes = b""
        self.version = row[-2]
        self.position = row[-1]

    @property
    def encoded(self) -> bytes:  # type: ignore[override]
        """The record's canonical bytes."""
        row = self._row
        if row is not None:
            self._bytes = canonical(self._table.read(row).document)
            self._row = None
        return self._bytes
