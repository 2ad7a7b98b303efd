"""The table of a store: a record's document as one row, and the row as the identical document.

Typed columns hold what queries ask for. Whatever they would not give back byte for byte (a time zone's offset, a
Decimal's exponent, key order, a missing field) stands beside them in `outlive_extra`: an object with the field's
canonical text as a string, and under "$missing" and "$order" which fields the document lacks and how they stand.

A row changed by SQL keeps what `outlive_extra` says of it: whoever writes to these tables by hand sets it to NULL.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from outlive.errors import Unholdable
from outlive.postgres.converters import (
    MAX_KEY_BYTES,
    Forth,
    OutOfDomain,
    Written,
    checked_size,
    jsonb_exact,
    jsonb_ordered,
)
from outlive.postgres.layouts import (
    DOCUMENT,
    EXTRA,
    KEY,
    POSITION,
    VERSION,
    Column,
    Layout,
    derived_layout,
    identifier,
    model_layout,
)
from outlive.postgres.options import PLAIN, TableOptions
from outlive.postgres.plain import plan
from outlive.records import MISSING, Document, Json, RecordType, canonical_text, key_text, parse, parse_key
from outlive.records.codec import GENERIC, tag_of
from outlive.records.fixed import Fixed, are_fixed

if TYPE_CHECKING:
    from outlive.postgres.relations import Reference

LACKS, ORDER = "$missing", "$order"

Position = int | float | Decimal
Row = tuple[str | None, ...]

_NUMBERS = ("double precision", "float8", "numeric", "bigint")
_SYSTEM_CASTS = ("jsonb", "bigint", "numeric")
_NO_EXTRA = "the table has no outlive_extra column to keep this form of the record"


class SystemColumns:
    """Declarative mixin: the three columns by which outlive orders, versions and completes a model's rows."""

    outlive_version: Mapped[int] = mapped_column(sa.BigInteger, nullable=False)
    outlive_position: Mapped[Decimal] = mapped_column(sa.Numeric, nullable=False)
    outlive_extra: Mapped[dict[str, Any] | None] = mapped_column(postgresql.JSONB(none_as_null=True), nullable=True)


class Stored(NamedTuple):
    """A row as read: key, document, version, position."""

    key: Any
    document: Document
    version: int
    position: Decimal


class StoreTable:
    """One store's table. Build with `derive` or `from_model`.

    `column_names` is the order of `row` and of what `read` takes: key, fields, then outlive_extra (where there is
    one), outlive_version, outlive_position. `strict` tables (from a model) refuse what a column cannot hold; derived
    ones keep it in `outlive_extra`.
    """

    def __init__(
        self, service: str, store: str, record_type: RecordType, layout: Layout, options: TableOptions = PLAIN
    ) -> None:
        self.service, self.store, self.record_type = service, store, record_type
        self.options, self.place = options, options.place
        self.table, self.columns, self.key_column = layout.table, layout.columns, layout.key
        self.strict, self.whole = layout.strict, layout.whole
        self.partitioned, self.partition_column = layout.partitioned, layout.partition
        self.key_name = KEY if layout.key is None else layout.key.name
        self.key_field = _key_field(record_type, layout.key)
        self.has_extra = EXTRA in layout.table.columns
        self.by_point = self._has_points()
        self.geography: str | None = None  # PostGIS's schema, where this table has a column of its; see `places`
        self.references: tuple[Reference, ...] = ()  # these three are given by `relations.relate`
        self.parents: frozenset[str] = frozenset()
        self.rank = 0
        system = (EXTRA, VERSION, POSITION) if self.has_extra else (VERSION, POSITION)
        body = (DOCUMENT,) if self.whole else tuple(column.name for column in self.columns)
        body_casts = ("jsonb",) if self.whole else tuple(column.converter.cast for column in self.columns)
        self.column_names = (self.key_name, *body, *system)
        self.key_cast = "text" if layout.key is None else layout.key.converter.cast
        self.casts = (self.key_cast, *body_casts, *_SYSTEM_CASTS[-len(system) :])
        self._compile()

    def _has_points(self) -> bool:
        """Whether places are found by an index over points: derived tables with two number columns, without tenant."""
        kinds = {column.field: column.converter.cast for column in self.columns}
        numbers = all(kinds.get(field) in _NUMBERS for field in self.place or ())
        return self.place is not None and numbers and not self.strict and self.options.tenant is None

    def _compile(self) -> None:
        """Plans of `row` and `read`: what each needs of a column, looked up once."""
        self._writers = [(c.field, c.converter.forth, c.nullable, c.none_is_null) for c in self.columns]
        places = {c.field: (at, c.converter.back, c.none_is_null) for at, c in enumerate(self.columns, 1)}
        if self.key_column is not None and self.key_field is not None:
            places[self.key_field] = (0, self.key_column.converter.back, True)
        self._order = self._usual_order(places)
        self._known = frozenset(places)
        self._silent = frozenset(field for field, place in places.items() if not place[2])
        self._readers = [(field, *places[field]) for field in self._order]
        self._plain = None if self.whole else plan(self.record_type, self.columns, self.key_column, self._order)
        self._forths = {column.field: (_forth(column, self.strict), column.nullable) for column in self.columns}

    def _usual_order(self, held: Collection[str]) -> tuple[str, ...]:
        """How a document's fields stand when nothing else is noted: as declared, else as the columns stand."""
        columns = [*self.columns, *([self.key_column] if self.key_column is not None else [])]
        stands = [column.name for column in self.table.columns]
        by_column = [column.field for column in sorted(columns, key=lambda column: stands.index(column.name))]
        return tuple(field for field in dict.fromkeys([*self.record_type.fields, *by_column]) if field in held)

    @classmethod
    def derive(
        cls, service: str, store: str, record_type: RecordType, key: str | None, options: TableOptions = PLAIN
    ) -> StoreTable:
        """The table for a record type: schema of the service, typed columns for declared fields, all nullable."""
        layout = derived_layout(service, store, record_type, key, options.partition_by)
        return cls(service, store, record_type, layout, options)

    @classmethod
    def from_model(
        cls,
        service: str,
        store: str,
        record_type: RecordType,
        key: str | None,
        model: Any,
        options: TableOptions = PLAIN,
    ) -> StoreTable:
        """The table that the user gives, a declarative class or a Table; values outside a column's domain are refused.

        Raises SchemaMismatch when system columns or the key are missing, or a record field's column has a type that
        outlive cannot write.
        """
        return cls(
            service, store, record_type, model_layout(record_type, key, model, store, options.partition_by), options
        )

    # Writing.

    def key_literal(self, key: Any) -> str:
        """The key as text input of the key column; raises Unholdable when the column would not give it back."""
        literal = self._typed_key(self.key_column, key) if self.key_column is not None else self._text_key(key)
        if len(literal) > MAX_KEY_BYTES // 4 and len(literal.encode()) > MAX_KEY_BYTES:
            raise self._unholdable(self.key_name, f"the key is longer than {MAX_KEY_BYTES} bytes")
        return literal

    def row(self, key: Any, document: Document, version: int, position: Position) -> Row:
        """PostgreSQL text input of each column, in `column_names` order; None is NULL.

        Raises Unholdable naming the field that the table cannot hold.
        """
        return (*self.cells(key, document), str(version), str(position))

    def cells(self, key: Any, document: Document) -> Row:
        """The row without version and position. Raises Unholdable."""
        literal = self.key_literal(key)
        try:
            body, extra = self._whole_body(document) if self.whole else self._typed_body(key, document)
            if self.has_extra:
                return (literal, *body, _extra_text(extra) if extra else None)
            for field, said in extra.items():
                raise self._unholdable(said[0] if field in {LACKS, ORDER} else field, _NO_EXTRA)
        except Unholdable as error:
            error.key = key_text(key)
            raise
        return (literal, *body)

    def made(self, key: Any, record: Any) -> tuple[Document, Row, Fixed | None]:
        """The record's document, its `cells`, and what both were made of. Raises Unholdable."""
        plain = self.plain(key, record)
        if plain is not None:
            return plain
        document = self.record_type.document(record)
        return document, self.cells(key, document), self.record_type.fixed(record)

    def plain(self, key: Any, record: Any) -> tuple[Document, Row, Fixed | None] | None:
        """The same at once for a record of plain values; None for one that goes the long way, to whatever end."""
        made_of = None if self._plain is None else self.record_type.row(record)
        both = None if made_of is None or self._plain is None else self._plain.both(key, made_of[1])
        if both is None or made_of is None or self._plain is None:
            return None
        try:
            literal = self.key_literal(key)
        except Unholdable:
            return None
        document, body = both
        fixed = self._plain.fixed or are_fixed(made_of[1])
        return document, (literal, *body, None) if self.has_extra else (literal, *body), made_of if fixed else None

    def check_field(self, field: str, value: Json) -> None:
        """Nothing, or raises Unholdable when the table cannot hold this value of one top-level field."""
        exact = True
        try:
            if field in self._forths:
                forth, nullable = self._forths[field]
                exact = _null(nullable) if value is None else forth(value)[1]
            elif field != self.key_field:
                checked_size(canonical_text(value))
                exact = self.whole
        except OutOfDomain as error:
            raise self._unholdable(field, error.reason) from None
        if not exact and not self.has_extra:
            raise self._unholdable(field, _NO_EXTRA)

    def _text_key(self, key: Any) -> str:
        try:
            return key_text(key)
        except Unholdable as error:
            raise self._unholdable(self.key_name, error.reason, error.key) from None

    def _typed_key(self, column: Column, key: Any) -> str:
        try:
            plain = type(key) is str and key.isascii() and "\x00" not in key
            literal, exact = column.converter.forth(key if plain else GENERIC.encode(key))
        except (OutOfDomain, Unholdable) as error:
            raise self._unholdable(column.field, f"as key: {error.reason}", repr(key)) from None
        if not exact or literal is None:
            raise self._unholdable(column.field, f"{key!r} is no key of type {column.converter.cast}", repr(key))
        return literal

    def _typed_body(self, key: Any, document: Document) -> tuple[list[str | None], dict[str, Json]]:
        extra: dict[str, Json] = {}
        body: list[str | None] = []
        field = ""
        try:
            for field, forth, nullable, none_is_null in self._writers:
                value = document.get(field, MISSING)
                if value is None or value is MISSING:
                    literal, exact = None, _null(nullable) and (none_is_null or value is MISSING)
                else:
                    try:
                        literal, exact = forth(value)
                    except OutOfDomain:
                        literal, exact = _outside(forth, value, self.strict)
                body.append(literal)
                if not exact:
                    extra[field] = canonical_text(value)
            if self.key_field is not None and self.key_field in document:
                self._note_key(self.key_field, key, document, extra)
            if tuple(document) != self._order:
                self._note_fields(document, extra)
        except OutOfDomain as error:
            raise self._unholdable(field, error.reason) from None
        return body, extra

    def _note_key(self, field: str, key: Any, document: Document, extra: dict[str, Json]) -> None:
        """Notes the key field's value where it is not the key."""
        value = document[field]
        if type(key) is type(value) and key == value:
            return
        text = canonical_text(value)
        if canonical_text(GENERIC.encode(key)) != text:
            extra[field] = text

    def _note_fields(self, document: Document, extra: dict[str, Json]) -> None:
        """Notes fields without a column, missing fields, and an order that is not the table's own."""
        loose = sorted(field for field in document if field not in self._known)
        for field in loose:
            extra[field] = checked_size(canonical_text(document[field]))
        lacking = [field for field in self._order if field not in document and field not in self._silent]
        if lacking:
            extra[LACKS] = lacking
        if list(document) != [*(field for field in self._order if field in document), *loose]:
            extra[ORDER] = list(document)

    def _whole_body(self, document: Document) -> tuple[list[str | None], dict[str, Json]]:
        try:
            text = checked_size(canonical_text(document))
        except OutOfDomain as error:
            raise self._unholdable(DOCUMENT, error.reason) from None
        extra: dict[str, Json] = {
            field: canonical_text(value) for field, value in document.items() if not jsonb_exact(value)
        }
        if not jsonb_ordered(document):
            extra[ORDER] = list(document)
        return [text], extra

    # Reading.

    def read(self, row: Sequence[Any]) -> Stored:
        """Key, document, version, position of a row in `column_names` order, as psycopg's default loaders give it."""
        extra = row[-3] if self.has_extra else None
        document = self._whole_document(row[1], extra) if self.whole else self._typed_document(row, extra)
        return Stored(self.read_key(row[0]), document, row[-2], row[-1])

    def read_key(self, value: Any) -> Any:
        """The key that the key column's value stands for."""
        return parse_key(value) if self.key_column is None else GENERIC.decode(self.key_column.converter.back(value))

    def _typed_document(self, row: Sequence[Any], extra: dict[str, Any] | None) -> Document:
        document: Document = {}
        if extra is None:
            for field, at, back, none_is_null in self._readers:
                value = row[at]
                if value is not None:
                    document[field] = back(value)
                elif none_is_null:
                    document[field] = None
            return document
        lacks = extra.get(LACKS, ())
        for field, at, back, none_is_null in self._readers:
            value = row[at]
            if field in extra:
                document[field] = parse(extra[field])
            elif value is not None and field not in lacks:
                document[field] = back(value)
            elif value is None and none_is_null and field not in lacks:
                document[field] = None
        for field in sorted(extra):
            if field not in self._known and field not in {LACKS, ORDER}:
                document[field] = parse(extra[field])
        return _ordered(document, extra)

    def _whole_document(self, value: Any, extra: dict[str, Any] | None) -> Document:
        document: Document = {} if value is None else value
        if extra is None:
            return document
        for field, text in extra.items():
            if field != ORDER:
                document[field] = parse(text)
        return _ordered(document, extra)

    def _unholdable(self, field: str, reason: str, key: str = "?") -> Unholdable:
        return Unholdable(store=self.store, key=key, field=field, reason=reason)


def _ordered(document: Document, extra: dict[str, Any]) -> Document:
    names = extra.get(ORDER)
    return document if names is None else {field: document[field] for field in names}


def _key_field(record_type: RecordType, key: Column | None) -> str | None:
    """The record field that the key column also stands for."""
    if key is None or (record_type.fields and key.field not in record_type.fields):
        return None
    return key.field


def _null(nullable: bool) -> bool:
    if not nullable:
        raise OutOfDomain("the column is NOT NULL")
    return True


def _forth(column: Column, strict: bool) -> Forth:
    """A column's `forth`; in derived tables a value outside the domain leaves the column NULL."""
    forth = column.converter.forth

    def guarded(value: Json) -> Written:
        try:
            return forth(value)
        except OutOfDomain:
            return _outside(forth, value, strict)

    return guarded


def _outside(forth: Forth, value: Json, strict: bool) -> Written:
    """What the column holds of a value that its `forth` has just refused. Raises OutOfDomain."""
    while tag_of(value) == "$raw":
        value = value["$raw"]
        try:
            return forth(value)[0], False
        except OutOfDomain:
            continue
    if strict:
        return forth(value)
    return None, False


def _extra_text(extra: dict[str, Json]) -> str:
    names = extra.get(ORDER)
    if names is None or len(extra) > 1 or len(names) > 64:
        return canonical_text(extra)
    return _order_text(tuple(names))


@functools.lru_cache(maxsize=4096)
def _order_text(names: tuple[str, ...]) -> str:
    return canonical_text({ORDER: names})


__all__ = [
    "EXTRA",
    "KEY",
    "POSITION",
    "VERSION",
    "Column",
    "Position",
    "Row",
    "StoreTable",
    "Stored",
    "SystemColumns",
    "identifier",
]
