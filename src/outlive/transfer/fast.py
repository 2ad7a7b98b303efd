"""The short way of a plain record into its row: each field straight from its JSON value to the literal of its column.

It is taken where a record has all declared fields, in order, and each column gives the very value back; whatever else
is met goes the long way, which checks and explains.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from outlive.errors import Unholdable
from outlive.postgres.columns import column_hint
from outlive.postgres.converters import OutOfDomain
from outlive.postgres.tables import Row, StoreTable
from outlive.records import Json
from outlive.transfer.fit import Fit, Misfit

_LIMIT = 1 << 63
Direct = Callable[[Json], str | None]


class Slow(Exception):
    """This value has to go the long way."""


class Fast:
    """The short way for one table; `usable` says whether there is one at all."""

    def __init__(self, table: StoreTable, fit: Fit) -> None:
        record_type, columns = table.record_type, {column.field: column for column in table.columns}
        self._names = tuple(record_type.fields)
        key = table.key_column
        plain = table.has_extra and not table.strict and not table.whole and key is not None
        self.usable = bool(plain and fit.key_field == table.key_field and table.key_field in record_type.fields)
        self._known: dict[tuple[str, ...], bool] = {}
        if not self.usable:
            return
        assert key is not None
        self._key_at = self._names.index(key.field)
        self._key = _direct(column_hint(record_type.fields[key.field].annotation), None, nullable=False)
        self.usable = self._key is not None and len(columns) + 1 == len(self._names)
        self._fields = [
            _direct(
                column_hint(record_type.fields[name].annotation) if fit.is_plain(name) else None,
                _long(fit, table, name),
                nullable=record_type.fields[name].nullable and columns[name].none_is_null,
            )
            for name in self._names
            if name != key.field
        ]

    def row(self, value: Json, version: str, position: str) -> Row | None:
        """The row of a record; None when it has to go the long way."""
        if type(value) is not dict or tuple(value) != self._names:
            return None
        cells = list(value.values())
        key = cells.pop(self._key_at)
        assert self._key is not None
        try:
            literal = self._key(key)
            if literal is None or len(literal) > 600:
                return None
            return (literal, *[direct(cell) for direct, cell in zip(self._fields, cells, strict=True)],  # type: ignore[misc]
                    None, version, position)  # fmt: skip
        except (Slow, Misfit, OutOfDomain, Unholdable, ValueError, TypeError):
            return None


def _long(fit: Fit, table: StoreTable, name: str) -> Direct:
    """A field as the long way has it, where its column gives the value back."""
    check, (forth, nullable) = fit.check_of(name), table._forths[name]

    def direct(value: Json) -> str | None:
        made = check(value)
        if made is None:
            if nullable:
                return None
            raise Slow
        literal, exact = forth(made)
        if not exact:
            raise Slow
        return literal

    return direct


def _direct(hint: Any, otherwise: Direct | None, *, nullable: bool) -> Direct | None:
    """What makes a field's literal; None where there is no short way and no other."""
    found = {str: _text, int: _whole, float: _real, bool: _truth, dt.datetime: _moment}.get(hint)
    if found is None:
        return otherwise
    if not nullable:
        return found

    def or_null(value: Json) -> str | None:
        return None if value is None else found(value)

    return or_null


def _text(value: Json) -> str:
    if type(value) is not str:
        raise Slow
    if not value.isascii():
        value.encode()
    if "\x00" in value:
        raise Slow
    return value


def _whole(value: Json) -> str:
    if type(value) is not int or not -_LIMIT <= value < _LIMIT:
        raise Slow
    return str(value)


def _real(value: Json) -> str:
    if type(value) is not float:
        raise Slow
    return repr(value)


def _truth(value: Json) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise Slow


def _moment(value: Json) -> str:
    if type(value) is dict and len(value) == 1:
        value = value.get("$datetime")
    if type(value) is not str:
        raise Slow
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is not dt.UTC:
        raise Slow
    return moment.isoformat()
