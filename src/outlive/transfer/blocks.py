"""Plain records of a JSONL file as COPY text, some hundred lines at a time.

One regular expression a table says what a line has to look like so that its cells are its columns' text already: all
fields, each of its column's own type. It reads, checks and takes apart in one pass. A string's escapes are those of
COPY; only one that gives a character's number is resolved first. A line that the expression does not know goes the
long way, one by one, which decides and explains.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

from outlive.postgres.columns import column_hint
from outlive.postgres.tables import StoreTable
from outlive.transfer.bulk import NULL, escaped
from outlive.transfer.fit import Fit
from outlive.transfer.layout import Layout

PIECE = 500
KEY_CHARS = 600
_NULL = NULL.encode()
_IN_TEXT = r'[^"\\\x00-\x1f]*'
_ESCAPE = r'\\(?:["\\/bfnrt]|u(?!0000|[dD][89a-fA-F])[0-9a-fA-F]{4})'
_DAY = (
    r"(?!0000)[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_HEX = "[0-9a-f]"
TEXT = rf"{_IN_TEXT}(?:{_ESCAPE}{_IN_TEXT})*"
# Whole numbers of 18 digits fit a bigint, and no such fraction leaves a double's range.
_BARE = {
    int: r"(?:0|-?[1-9][0-9]{0,17})",
    float: r"-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40}(?:[eE][-+]?[0-9]{1,2})?|[eE][-+]?[0-9]{1,2})",
    bool: r"(?:true|false)",
}
_QUOTED = {
    str: TEXT,
    dt.datetime: rf"{_DAY}[T ]{_TIME}(?:Z|\+00:00)",
    dt.date: _DAY,
    uuid.UUID: rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}",
}
_KEYS = {str: r'[^"\\\x00-\x1f]+', int: _BARE[int], uuid.UUID: _QUOTED[uuid.UUID]}
Odd = tuple[bool, bool]  # whether some text has an escape by number, and whether some is the word that stands for NULL
Mend = Callable[[tuple[bytes, ...], Odd], Sequence[bytes]]


class Piece:
    """Lines as COPY text: `text` of `count` rows, under `keys` in the text form of the key column."""

    __slots__ = ("count", "keys", "text")

    def __init__(self, text: bytes, keys: Sequence[bytes]) -> None:
        self.text, self.keys, self.count = text, keys, len(keys)


class Blocks:
    """The way of one file's lines into one table; `of` tells whether there is one."""

    def __init__(self, table: StoreTable, names: Sequence[str], layout: Layout) -> None:
        fields = table.record_type.fields
        key = table.key_column
        assert key is not None
        self._mends, parts = [], []
        for name in names:
            hint, nullable = column_hint(fields[name].annotation), name != key.field and fields[name].nullable
            group = _group(hint, _KEYS if name == key.field else _QUOTED, nullable=nullable)
            parts.append(re.escape(layout.text(name) + layout.colon) + group)
            self._mends.append(_mend(hint, nullable))
        at = {name: number for number, name in enumerate(names)}
        self._order = [at[key.field], *(at[each.field] for each in table.columns)]
        line = r"^\{" + re.escape(layout.comma).join(parts) + r"\}\r?\n"
        self._pattern = re.compile(line.encode(), re.MULTILINE)

    @classmethod
    def of(cls, table: StoreTable, fit: Fit, layout: Layout, first: bytes) -> Blocks | None:
        """None where a record is more than its columns, or the file's `first` line is no record of all fields."""
        record_type, key = table.record_type, table.key_column
        names = _names(first)
        whole = names is not None and sorted(names) == sorted(record_type.fields)
        if layout.kind != "jsonl" or names is None or key is None or not whole or not _plain(table, fit):
            return None
        if record_type.kind != "model" and names != tuple(record_type.fields):
            return None
        return cls(table, names, layout)

    def piece(self, lines: Sequence[bytes], version: bytes, positions: range) -> Piece | None:
        """All of these lines, each ending with its break; None where one of them has to go the long way."""
        data = b"".join(lines)
        found = self._pattern.findall(data)
        return None if len(found) != len(lines) else self._made(found, data, version, positions)

    def one(self, line: bytes) -> tuple[bytes, ...] | None:
        """The cells of one line, in the file's order; None where it has to go the long way."""
        match = self._pattern.fullmatch(line)
        return None if match is None else match.groups()

    def some(
        self, cells: list[tuple[bytes, ...]], lines: Sequence[bytes], version: bytes, positions: Sequence[int]
    ) -> Piece | None:
        """Lines that `one` took apart; None where one of them has to go the long way nevertheless."""
        return self._made(cells, b"".join(lines), version, positions)

    def _made(
        self, found: list[tuple[bytes, ...]], data: bytes, version: bytes, positions: Sequence[int]
    ) -> Piece | None:
        if not found:
            return Piece(b"", ())
        try:
            data.isascii() or data.decode()
        except UnicodeDecodeError:
            return None
        cells = list(zip(*found, strict=True))
        keys = cells[self._order[0]]
        if _NULL in keys or max(map(len, keys)) > KEY_CHARS:
            return None
        odd = b"\\u" in data, b'"null"' in data
        made = [self._mends[at](cells[at], odd) for at in self._order]
        places = "\n".join(map(str, positions)).encode().split(b"\n")
        rows = map(b"\t".join, zip(*made, repeat(_NULL + b"\t" + version), places, strict=False))
        return Piece(b"\n".join(rows) + b"\n", keys)


def _names(line: bytes) -> tuple[str, ...] | None:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return tuple(value) if type(value) is dict else None


def _plain(table: StoreTable, fit: Fit) -> bool:
    """Whether each field has a column of its own, of a type whose text is the cell's."""
    record_type, key = table.record_type, table.key_column
    if key is None or table.strict or table.whole or not table.has_extra or fit.key_field != table.key_field:
        return False
    columns = {column.field: column for column in table.columns}
    if len(columns) + 1 != len(record_type.fields) or fit.numbered or fit.elements:
        return False
    for name, field in record_type.fields.items():
        hint = column_hint(field.annotation)
        if not fit.is_plain(name) or (hint not in _KEYS if name == key.field else hint not in {**_BARE, **_QUOTED}):
            return False
        if name != key.field and field.nullable and not columns[name].none_is_null:
            return False
        column = key if name == key.field else columns[name]
        if column.converter.plain is not hint or column.converter.cast != _CASTS[hint]:
            return False
    return True


_CASTS: dict[Any, str] = {
    int: "bigint", float: "double precision", bool: "boolean", str: "text", dt.datetime: "timestamptz",
    dt.date: "date", uuid.UUID: "uuid",
}  # fmt: skip


def _group(hint: Any, quoted: dict[Any, str], *, nullable: bool) -> str:
    """What a field's value looks like, with what becomes its cell as a group."""
    if hint in _BARE:
        return f"(null|{_BARE[hint]})" if nullable else f"({_BARE[hint]})"
    return f'(null|"{quoted[hint]}")' if nullable else f'"({quoted[hint]})"'


def _mend(hint: Any, nullable: bool) -> Mend:
    """From what the pattern has found in a field to the cells of its column."""
    if hint is str:
        return _texts_or_null if nullable else _texts
    return _bared if nullable and hint in _QUOTED else lambda cells, odd: cells


def _bared(cells: tuple[bytes, ...], odd: Odd) -> Sequence[bytes]:
    """Without their quotes; a null has none."""
    if cells.count(_NULL) == len(cells):
        return cells
    return [cell if cell == _NULL else cell[1:-1] for cell in cells]


def _texts(cells: tuple[bytes, ...], odd: Odd) -> Sequence[bytes]:
    numbered, mistakable = odd
    told = [_MISTAKEN if cell == _NULL else cell for cell in cells] if mistakable else cells
    return _resolved(told) if numbered else told


def _texts_or_null(cells: tuple[bytes, ...], odd: Odd) -> Sequence[bytes]:
    numbered, mistakable = odd
    told = _bared(cells, odd)
    if mistakable:
        told = [_MISTAKEN if cell == b'"null"' else bare for cell, bare in zip(cells, told, strict=True)]
    return _resolved(told) if numbered else told


def _resolved(cells: Sequence[bytes]) -> list[bytes]:
    """Without escapes by number, which COPY does not know."""
    return [_read(cell) if b"\\u" in cell and cell != _MISTAKEN else cell for cell in cells]


_MISTAKEN = escaped(NULL).encode()


def _read(cell: bytes) -> bytes:
    text: str = json.loads(b'"' + cell + b'"')
    return escaped(text).encode()


def pieces(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The lines, a piece at a time."""
    for start in range(0, len(lines), PIECE):
        yield lines[start : start + PIECE]


__all__ = ["Blocks", "Piece", "pieces"]
