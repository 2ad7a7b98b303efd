"""CSV cells of fields, both ways: plain text where the field's type says what it is, JSON text everywhere else.

An empty cell is None, an empty cell in quotes the empty text. A missing field cannot be told in a CSV.
"""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from outlive.errors import Unholdable
from outlive.postgres.columns import column_hint
from outlive.records import Json, RecordType, canonical_text, parse
from outlive.records.codec import tag_of
from outlive.transfer.fit import KEY

_PLAIN = frozenset('",\r\n')
_TAGS: dict[Any, str] = {
    dt.datetime: "$datetime",
    dt.date: "$date",
    dt.time: "$time",
    uuid.UUID: "$uuid",
    Decimal: "$decimal",
}


class Cells:
    """The cells of one record type's fields."""

    def __init__(self, record_type: RecordType) -> None:
        self._hints = {name: column_hint(field.annotation) for name, field in record_type.fields.items()}
        self._tags = {name: _TAGS.get(hint, "") for name, hint in self._hints.items()}

    def value(self, name: str, cell: str | None) -> Json:
        """The JSON value of a cell. Raises ValueError."""
        if cell is None:
            return None
        if name == KEY:
            return parse(cell)
        hint = self._hints.get(name)
        if hint is str:
            return cell
        if self._tags.get(name) and cell[:1] != "{":
            return {self._tags[name]: cell}
        return parse(cell)

    def cell(self, name: str, value: Json) -> str:
        """The cell of a JSON value, quoted where it has to be. Raises Unholdable where text alone could mislead."""
        if value is None:
            return ""
        hint = self._hints.get(name)
        tag = tag_of(value)
        if hint is str and name != KEY:
            if type(value) is not str:
                raise Unholdable(field=name, reason="CSV cannot tell it from text; use jsonl")
            return _quoted(value)
        if tag is not None and tag == self._tags.get(name) and type(value[tag]) is str:
            return _quoted(value[tag])
        return _quoted(canonical_text(value))


def _quoted(text: str) -> str:
    if text and _PLAIN.isdisjoint(text):
        return text
    return '"' + text.replace('"', '""') + '"'
