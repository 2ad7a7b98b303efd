"""A record type from data alone: every value of every record is looked at, and each column has its evidence.

A column has a type when all its values are of that type. Where they are not, nothing is widened: the column takes any
JSON value, and the evidence says which kinds there were and where each first stood.
"""

from __future__ import annotations

import datetime as dt
import typing
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from outlive.records import Json, RecordType
from outlive.records.codec import tag_of
from outlive.transfer.sources import Exact, Item

Kinds = Sequence[Sequence[str]]  # (field, kind): pairs, for jsonb does not keep the order of names

_KINDS: dict[type[Any], str] = {str: "text", bool: "boolean", int: "integer", float: "float", Exact: "float"}
_TYPES: dict[str, Any] = {
    "text": str, "boolean": bool, "integer": int, "float": float, "decimal": Decimal, "datetime": dt.datetime,
    "date": dt.date, "time": dt.time, "duration": dt.timedelta, "uuid": uuid.UUID, "bytes": bytes,
}  # fmt: skip
_TAGS = {
    "$decimal": "decimal", "$datetime": "datetime", "$date": "date", "$time": "time", "$timedelta": "duration",
    "$uuid": "uuid", "$bytes": "bytes", "$float": "float", "$int": "integer",
}  # fmt: skip


@dataclass(slots=True)
class Column:
    """What one field held: how many values of each kind, and the line where each kind first stood."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def see(self, kind: str, line: int) -> None:
        """One value more."""
        if kind not in self.counts:
            self.first[kind] = line
        self.counts[kind] = self.counts.get(kind, 0) + 1

    @property
    def kind(self) -> str:
        """The one kind of its values, `any` where there are several or none."""
        kinds = [kind for kind in self.counts if kind != "null"]
        return kinds[0] if len(kinds) == 1 and kinds[0] in _TYPES else "any"

    def evidence(self) -> str:
        """The counts in words."""
        return ", ".join(f"{count} {kind} (line {self.first[kind]})" for kind, count in self.counts.items())


@dataclass(slots=True)
class Deduced:
    """What a whole file says of its records."""

    records: int = 0
    columns: dict[str, Column] = field(default_factory=dict)
    plain: int = 0

    def see(self, items: Iterable[Item], *, from_text: bool) -> None:
        """Records more; `from_text` for CSV, whose cells say what they are by their text alone."""
        for item in items:
            self.records += 1
            value = item.value
            if type(value) is not dict or tag_of(value) is not None:
                self.plain += 1
                continue
            for name, inner in value.items():
                if name[:1] != "$" or name[:2] == "$:":
                    column = self.columns.setdefault(name, Column())
                    column.see(_cell_kind(inner) if from_text else _kind(inner), item.line)

    def settle_text(self) -> None:
        """A CSV's column whose cells are not all of one kind is text."""
        for column in self.columns.values():
            if column.kind == "any" and set(column.counts) != {"null"}:
                filled = {kind: count for kind, count in column.counts.items() if kind != "null"}
                first = min(column.first[kind] for kind in filled)
                nulls = {kind: column.counts[kind] for kind in column.counts if kind == "null"}
                column.counts = {"text": sum(filled.values()), **nulls}
                column.first = {"text": first, **{kind: column.first[kind] for kind in nulls}}

    def kinds(self) -> Kinds:
        """Each field with its kind, in order, as it is remembered."""
        return [(name, column.kind) for name, column in self.columns.items()] if not self.plain else []


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    if type(value) is dict:
        tag = tag_of(value)
        return _TAGS.get(tag or "", "object")
    return _KINDS.get(type(value), "list")


def _cell_kind(cell: str | None) -> str:
    """What a cell's text says: a kind only where the text is what that kind would be written as."""
    if cell is None:
        return "null"
    if cell in ("true", "false"):
        return "boolean"
    try:
        if str(int(cell)) == cell:
            return "integer"
    except ValueError:
        pass
    try:
        if repr(float(cell)) == cell and cell not in ("nan", "inf", "-inf"):
            return "float"
    except ValueError:
        pass
    return "text"


def record_type(kinds: Kinds) -> RecordType:
    """The record type of fields by their kinds; plain dicts where there are none."""
    if not kinds:
        return RecordType.of(dict)
    hints = {name: _TYPES[kind] | None if kind != "any" else Any for name, kind in kinds}
    made: Any = getattr(typing, "TypedDict")("Record", hints, total=False)  # noqa: B009  (mypy wants a literal)
    return RecordType.of(made)
