"""Where a field's values lie in a store's table, and which rows say everything about them."""

from __future__ import annotations

import datetime as dt
import types
import typing
import uuid
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, LiteralString, Protocol

import sqlalchemy
from psycopg import sql

from outlive.query.paths import PLACE, split
from outlive.query.pieces import Piece, build
from outlive.query.values import keyed
from outlive.records import RecordType

# A $datetime with an offset: the column holds the same instant, whatever the offset.
AWARE = r'^\{"\$datetime":\[?"[^"T]+T[^"]*[+-][0-9:.]+"'
NUMBERS = {"bigint": "integer", "double precision": "float", "numeric": "numeric", "boolean": "boolean"}
TAG = '{"$'  # in the text of jsonb: a value that is written with a tag
PLACES = (Any, object, dict, list, str, int, float, bool, type(None), typing.Union, types.UnionType)
EXTRA, DOCUMENT, MISSING_FIELDS = "outlive_extra", "document", "$missing"


class _Converter(Protocol):
    @property
    def cast(self) -> str: ...


class _Stored(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def converter(self) -> _Converter: ...


class QueryTable(Protocol):
    """What a statement needs to know of a store's table (see `outlive.postgres.tables`)."""

    table: sqlalchemy.Table
    record_type: RecordType
    key_name: str
    column_names: tuple[str, ...]
    has_extra: bool
    whole: bool

    @property
    def columns(self) -> Sequence[_Stored]: ...
    @property
    def key_column(self) -> _Stored | None: ...
    @property
    def key_cast(self) -> LiteralString: ...
    @property
    def place(self) -> tuple[str, str] | None: ...
    @property
    def by_point(self) -> bool: ...
    @property
    def geography(self) -> str | None: ...
    def key_literal(self, key: Hashable) -> str: ...
    def read_key(self, value: Any) -> Hashable: ...


@dataclass(frozen=True)
class Column:
    """A field in SQL.

    `place` is the expression of its values. `domain` is how PostgreSQL compares them: a key of `conditions.CASTS`,
    `json`, or `opaque` for a type that SQL never compares. `kind` is the kind (see `values`) of what the record
    holds when the column alone gives it, None for json and opaque. `odd` is true for rows where the column decides
    nothing, `loose` for rows where it holds an equal value at most, not the very one. Both are never null. `number` is
    the type that stored numbers are read as, None for "int if whole, else float". `hidden` is true for rows where a
    path may lead to a value that `place` does not show; `parts` are the columns of a place's latitude and longitude,
    `by_point` says that there is an index over their point, or over the geography column of PostGIS's schema
    `geography`. `texts` says that it is an array of texts.
    """

    field: str
    place: Piece
    domain: str
    kind: str | None
    odd: Piece
    loose: Piece
    number: type | None = None
    hidden: Piece | None = None
    parts: tuple[Column, Column] | None = None
    by_point: bool = False
    geography: str | None = None
    texts: bool = False

    def compares(self, value: Any) -> bool:
        """Whether a record's value has the kind of the column's own values, or is None."""
        return value is None or keyed(value)[0] == self.kind


class Columns:
    """Columns of a table by field; `hint` gives the plain class that an annotation's values have, or None."""

    def __init__(self, source: QueryTable, hint: Callable[[Any], Any]) -> None:
        self._source = source
        self._hint = hint
        self._known: dict[str, Column] = {}

    def __call__(self, field: str) -> Column:
        """The field's column; a field that the table does not know is looked for in outlive_extra."""
        if field not in self._known:
            self._known[field] = self._find(field)
        return self._known[field]

    @cached_property
    def _stored(self) -> dict[str, _Stored]:
        key = self._source.key_column
        return {column.field: column for column in (*self._source.columns, *([] if key is None else [key]))}

    def _find(self, field: str) -> Column:
        if field == PLACE and self._source.place is not None:
            return self._pair(*self._source.place)
        way = split(field, self._stored)
        return self._top(field) if way is None else self._below(field, *way)

    def _pair(self, lat: str, lon: str) -> Column:
        parts = self(lat), self(lon)
        either = [build("({}) OR ({})", *(getattr(each, name) for each in parts)) for name in ("odd", "loose")]
        return Column(
            PLACE, build("{}", sql.Identifier(PLACE)), "place", None, either[0], either[1], parts=parts,
            by_point=self._source.by_point, geography=self._source.geography,
        )  # fmt: skip

    def _below(self, field: str, root: str, path: tuple[str, ...]) -> Column:
        """A path: what jsonb shows under it, unless a tagged or nested record on the way says it in another form."""
        top = self(root)
        if top.domain != "json":
            return Column(field, top.place, "unknown", None, top.odd, top.loose)
        declared = self._source.record_type.fields.get(root)
        annotation = self._source.record_type.declared if declared is None else declared.annotation
        plain = _holds_plain_json(annotation)
        hidden = tagged(top.place) if plain else build("true")
        return Column(
            field, build("({} #> {}::text[])", top.place, list(path)), "json", None, top.odd, top.loose, hidden=hidden
        )

    def _top(self, field: str) -> Column:
        nothing = build("false")
        if self._source.whole:
            return Column(
                field, build("({} -> {}::text)", sql.Identifier(DOCUMENT), field), "json", None, nothing, nothing
            )
        stored = self._stored.get(field)
        if stored is not None:
            return self._typed(field, stored)
        place = (
            build("({} ->> {}::text)::jsonb", sql.Identifier(EXTRA), field)
            if self._source.has_extra
            else build("NULL::jsonb")
        )
        return Column(field, place, "json", None, nothing, nothing)

    def _typed(self, field: str, stored: _Stored) -> Column:
        place = build("{}", sql.Identifier(stored.name))
        declared = self._source.record_type.fields.get(field)
        hint = None if declared is None else self._hint(declared.annotation)
        domain, kind = self._domain(stored, hint)
        loose = self._kept(field, is_key=stored is self._source.key_column)
        odd = self._odd(field, stored, place, domain, loose)
        texts = declared is not None and declared.base == list[str] and self._is_of_texts(stored)
        return Column(field, place, domain, kind, odd, loose, _read_as(domain, hint), texts=texts)

    def _is_of_texts(self, stored: _Stored) -> bool:
        """Whether a column is an array of texts that compare as Python's do, as those of CHAR or an Enum do not."""
        kind = self._source.table.columns[stored.name].type
        return isinstance(kind, sqlalchemy.ARRAY) and type(kind.item_type) in (sqlalchemy.Text, sqlalchemy.String)

    def _domain(self, stored: _Stored, hint: Any) -> tuple[str, str | None]:
        cast = stored.converter.cast
        if cast in NUMBERS:
            return (NUMBERS[cast], "number") if hint is not str else ("opaque", None)
        kind = self._source.table.columns[stored.name].type
        if cast == "text" and isinstance(kind, sqlalchemy.Enum | sqlalchemy.CHAR):
            return "opaque", None
        return _DOMAINS.get((cast, hint)) or _DOMAINS.get((cast, None)) or ("opaque", None)

    def _kept(self, field: str, *, is_key: bool) -> Piece:
        """True for rows whose outlive_extra tells more of the field than the column."""
        if not self._source.has_extra:
            return build("false")
        extra = sql.Identifier(EXTRA)
        kept = build("({} ? {}::text) IS TRUE", extra, field)
        if is_key:
            kept = build("{} OR ({} -> {}::text ? {}::text) IS TRUE", kept, extra, MISSING_FIELDS, field)
        return kept

    def _odd(self, field: str, stored: _Stored, place: Piece, domain: str, loose: Piece) -> Piece:
        if not self._source.has_extra or stored is self._source.key_column:
            return loose
        if domain in {*NUMBERS.values(), "json"}:
            return build("{} IS NULL AND {}", place, loose)
        if domain == "instant":
            return build("{} AND ({} ->> {}::text) !~ {}::text", loose, sql.Identifier(EXTRA), field, AWARE)
        return loose


def tagged(place: Piece) -> Piece:
    """True where jsonb has a value that is written with a tag; a constant, so that an index may be limited by it."""
    return build("strpos({}::text, {}) > 0", place, sql.Literal(TAG))


def no_plain_array(place: Piece) -> Piece:
    """True where jsonb holds what containment does not decide: no array, or tagged elements. An equation, because
    PostgreSQL expects few rows of one, as there are, and so looks for an index."""
    plain = build("{} IS NULL OR (jsonb_typeof({}) = 'array' AND NOT {})", place, place, tagged(place))
    return build("CASE WHEN {} THEN 0 ELSE 1 END = 1", plain)


def _holds_plain_json(annotation: Any) -> bool:
    """Whether values in the annotation's places are written as JSON has them, or else with a tag."""
    args = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return True
    return (typing.get_origin(annotation) or annotation) in PLACES and all(map(_holds_plain_json, args))


def _read_as(domain: str, hint: Any) -> type | None:
    if hint in {float, Decimal}:
        return hint if domain != "boolean" else None
    return float if hint not in {int, bool} and domain in {"numeric", "float"} else None


# (cast, class of the record's values) -> (domain, kind). None stands for every class that has no line of its own.
_DOMAINS: dict[tuple[str, Any], tuple[str, str | None]] = {
    ("text", None): ("text", "text"),
    ("text", uuid.UUID): ("opaque", None),
    ("text", Decimal): ("opaque", None),
    ("text", dt.date): ("opaque", None),
    ("text", dt.datetime): ("opaque", None),
    ("text", dt.time): ("opaque", None),
    ("date", None): ("date", "text"),
    ("date", dt.date): ("date", "date"),
    ("timestamptz", dt.datetime): ("instant", "instant"),
    ("timestamp", dt.datetime): ("local", "local datetime"),
    ("time", dt.time): ("time", "time"),
    ("interval", None): ("duration", "duration"),
    ("uuid", uuid.UUID): ("uuid", "uuid"),
    ("uuid", None): ("uuid", "text"),
    ("bytea", None): ("bytes", "bytes"),
    ("jsonb", None): ("json", None),
}
