"""What is kept of a record that came straight from its row: the row, until somebody asks for the document's bytes."""

from __future__ import annotations

from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

from outlive.records import canonical

if TYPE_CHECKING:
    from outlive.postgres.tables import StoreTable


def _set_version(kept: Any, version: int) -> None:
    kept[-2] = version


class RowKept(list[Any]):
    """As `commit.unit.Kept`: the row's cells, of which version and position come last; then the bytes instead of the
    others. A list, because a list is made of a row without a line of Python, by the million; `of` gives a table's own
    class."""

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]
    table: ClassVar[StoreTable]

    version = property(itemgetter(-2), _set_version)

    @staticmethod
    def of(table: StoreTable) -> type[RowKept]:
        """The class for the rows of one table."""
        return type("RowKept", (RowKept,), {"__slots__": (), "table": table})

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def position(self) -> Decimal:
        """Where the record stands; a number once it is asked for."""
        held = self[-1]
        if type(held) is str:
            self[-1] = held = Decimal(held)
        position: Decimal = held
        return position

    @property
    def encoded(self) -> bytes:
        """The record's canonical bytes; made once, of the row, which nothing changes."""
        if len(self) > 3:
            self[:-2] = [canonical(self.table.read(self).document)]
        encoded: bytes = self[0]
        return encoded
