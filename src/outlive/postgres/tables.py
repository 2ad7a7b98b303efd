"""The table of a store: a record's document as one row, and the row as the identical document.

Typed columns hold what queries ask for. Whatever they would not give back byte for byte (a time zone's offset, a
Decimal's exponent, key order, a missing field) stands beside them in `outlive_extra`: an object with the field's
canonical text as a string, and under "$missing" and "$order" which fields the document lacks and how they stand.
"""

from __future__ import annotations

import functools
import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from outlive.errors import SchemaMismatch, Unholdable
from outlive.postgres.columns import (
    MAX_KEY_BYTES,
    Converter,
    OutOfDomain,
    Written,
    checked_size,
    column_hint,
    converter_for,
    derived_type,
    jsonb_exact,
    jsonb_ordered,
)
from outlive.records import Document, Json, RecordType, canonical_text, key_text, parse, parse_key
from outlive.records.codec import GENERIC

VERSION, POSITION, EXTRA, KEY, DOCUMENT = (
    "outlive_version",
    "outlive_position",
    "outlive_extra",
    "outlive_key",
    "document",
)
MISSING_FIELDS, ORDER = "$missing", "$order"
NAMING = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
}

Position = int | float | Decimal
Row = tuple[str | None, ...]


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


@dataclass(frozen=True, slots=True)
class Column:
    """A table column that holds one top-level field."""

    name: str
    field: str
    converter: Converter
    nullable: bool


class StoreTable:
    """One store's table. Build with `derive` or `from_model`.

    `column_names` is the order of `row` and of what `read` takes: key, fields, then the system columns. `strict` tables
    (from a model) refuse what a column cannot hold; derived ones keep it in `outlive_extra`.
    """

    def __init__(
        self,
        service: str,
        store: str,
        record_type: RecordType,
        table: sa.Table,
        key: Column | None,
        columns: Sequence[Column],
        *,
        strict: bool,
        whole: bool = False,
    ) -> None:
        self.service, self.store, self.record_type, self.table = service, store, record_type, table
        self.columns = tuple(columns)
        self.strict, self.whole = strict, whole
        self.key_column = key
        self.key_name = KEY if key is None else key.name
        declared = not record_type.fields or (key is not None and key.field in record_type.fields)
        self.key_field = key.field if key is not None and declared else None
        self.has_extra = EXTRA in table.columns
        system = (EXTRA, VERSION, POSITION) if self.has_extra else (VERSION, POSITION)
        body = (DOCUMENT,) if whole else tuple(column.name for column in self.columns)
        self.column_names = (self.key_name, *body, *system)
        self.casts = (
            "text" if key is None else key.converter.cast,
            *self._body_casts(),
            *_SYSTEM_CASTS[-len(system) :],
        )
        self._layout = _layout(self.columns, self.key_field, record_type)
        self._known = frozenset(self._layout)
        self._writers = [(column.field, _writer(column, strict)) for column in self.columns]
        self._write_of = dict(self._writers)
        self._readers = {column.field: (at, column.converter.back) for at, column in enumerate(self.columns, 1)}
        if key is not None and self.key_field is not None:
            self._readers[self.key_field] = (0, key.converter.back)
        self._read_plan = [(field, *self._readers[field]) for field in self._layout]

    @classmethod
    def derive(cls, service: str, store: str, record_type: RecordType, key: str | None) -> StoreTable:
        """The table for a record type: schema of the service, typed columns for declared fields, all nullable."""
        metadata = sa.MetaData(schema=identifier(service), naming_convention=NAMING)
        whole = record_type.kind == "dict" and not record_type.fields
        key_column = _derived_key(record_type, key)
        columns = [] if whole else list(_derived_columns(record_type, None if key_column is None else key_column.field))
        parts = [
            _key_definition(record_type, key_column),
            *(sa.Column(c.name, derived_type(record_type.fields[c.field].annotation)) for c in columns),
            *([sa.Column(DOCUMENT, postgresql.JSONB(none_as_null=True))] if whole else []),
            sa.Column(VERSION, sa.BigInteger, nullable=False),
            sa.Column(POSITION, sa.Numeric, nullable=False),
            sa.Column(EXTRA, postgresql.JSONB(none_as_null=True)),
        ]
        table = sa.Table(identifier(store), metadata, *parts)
        return cls(service, store, record_type, table, key_column, columns, strict=False, whole=whole)

    @classmethod
    def from_model(cls, service: str, store: str, record_type: RecordType, key: str | None, model: Any) -> StoreTable:
        """The table that the user gives, a declarative class or a Table; values outside a column's domain are refused.

        Raises SchemaMismatch when system columns or the key are missing, or a record field's column has a type that
        outlive cannot write.
        """
        table, names = _model_columns(model)
        for needed in (VERSION, POSITION):
            if needed not in table.columns:
                raise SchemaMismatch(table=table.fullname, column=needed, reason="missing; use SystemColumns")
        key_name = _model_key(table, names, key)
        columns = list(_mapped_columns(table, names, record_type, key_name))
        key_column = None if key_name == KEY else next(c for c in columns if c.name == key_name)
        rest = [column for column in columns if column is not key_column and column.name != KEY]
        return cls(service, store, record_type, table, key_column, rest, strict=True)

    def key_literal(self, key: Any) -> str:
        """The key as text input of the key column; raises Unholdable when the column would not give it back."""
        if self.key_column is None:
            return self._checked_key(key, key_text(key))
        if self.key_column.converter.cast == "text" and type(key) is str and key.isascii() and "\x00" not in key:
            self._write_key(key, key)
            return self._checked_key(key, key)
        try:
            written = GENERIC.encode(key)
        except Unholdable as error:
            raise self._unholdable(self.key_column.field, error.reason, repr(key)) from None
        return self._checked_key(key, self._write_key(key, written))

    @property
    def key_cast(self) -> str:
        """The type that key texts are cast to."""
        return self.casts[0]

    def row(self, key: Any, document: Document, version: int, position: Position) -> Row:
        """PostgreSQL text input of each column, in `column_names` order; None is NULL.

        Raises Unholdable naming the field that the table cannot hold.
        """
        literal = self.key_literal(key)
        try:
            body, extra = self._whole_body(document) if self.whole else self._typed_body(key, document)
        except Unholdable as error:
            error.key = repr(key)
            raise
        if not self.has_extra:
            self._refuse_extra(key, extra)
            return (literal, *body, str(version), str(position))
        return (literal, *body, canonical_text(extra) if extra else None, str(version), str(position))

    def check_field(self, field: str, value: Json) -> None:
        """Nothing, or raises Unholdable when the table cannot hold this value of one top-level field."""
        if field == self.key_field or field in self._write_of:
            exact = self._written(field, value)[1] if field in self._write_of else True
            if exact or self.has_extra:
                return
            raise self._unholdable(field, "the column gives back another form of the value")
        if self.whole or self.has_extra:
            _sized(self, field, canonical_text(value))
            return
        raise self._unholdable(field, "the table has no column for this field")

    def read(self, row: Sequence[Any]) -> Stored:
        """Key, document, version, position of a row in `column_names` order, as psycopg's default loaders give it."""
        key = parse_key(row[0]) if self.key_column is None else GENERIC.decode(self.key_column.converter.back(row[0]))
        extra = row[-3] if self.has_extra else None
        document = dict(row[1]) if self.whole else self._typed_document(row, extra)
        return Stored(key, _completed(document, extra) if extra else document, row[-2], row[-1])

    def _body_casts(self) -> tuple[str, ...]:
        return ("jsonb",) if self.whole else tuple(column.converter.cast for column in self.columns)

    def _typed_body(self, key: Any, document: Document) -> tuple[list[str | None], dict[str, Json]]:
        extra: dict[str, Json] = {}
        body: list[str | None] = []
        for field, write in self._writers:
            if field in document:
                literal, exact = self._guarded(field, write, document[field])
                body.append(literal)
                if not exact:
                    extra[field] = canonical_text(document[field])
            else:
                body.append(self._absent(field, write))
        if self.key_field is not None and self.key_field in document:
            self._compare_key(key, document[self.key_field], extra)
        if tuple(document) != self._layout:
            self._describe(document, extra)
        return body, extra

    def _absent(self, field: str, write: Callable[[Json], Written]) -> str | None:
        """NULL for a missing field, unless the column forbids it."""
        return self._guarded(field, write, None)[0]

    def _compare_key(self, key: Any, value: Json, extra: dict[str, Json]) -> None:
        assert self.key_field is not None
        if type(key) is type(value) and key == value:
            return
        if canonical_text(GENERIC.encode(key)) != canonical_text(value):
            extra[self.key_field] = canonical_text(value)

    def _describe(self, document: Document, extra: dict[str, Json]) -> None:
        """Notes fields without a column, missing fields, and an order that is not the table's own."""
        loose = [field for field in document if field not in self._known]
        for field in loose:
            extra[field] = _sized(self, field, canonical_text(document[field]))
        missing = [field for field in self._layout if field not in document]
        if missing:
            extra[MISSING_FIELDS] = missing
        if list(document) != [*(field for field in self._layout if field in document), *sorted(loose)]:
            extra[ORDER] = list(document)

    def _whole_body(self, document: Document) -> tuple[list[str | None], dict[str, Json]]:
        text = canonical_text(document)
        extra = {field: canonical_text(value) for field, value in document.items() if not jsonb_exact(value)}
        _sized(self, DOCUMENT, text)
        if not jsonb_ordered(document):
            return [text], {**extra, ORDER: list(document)}
        return [text], extra

    def _typed_document(self, row: Sequence[Any], extra: dict[str, Any] | None) -> Document:
        document: Document = {}
        for field, at, back in self._read_plan:
            value = row[at]
            if extra is not None and field in extra:
                document[field] = parse(extra[field])
            else:
                document[field] = None if value is None else back(value)
        return document

    def _written(self, field: str, value: Json) -> Written:
        return self._guarded(field, self._write_of[field], value)

    def _guarded(self, field: str, write: Callable[[Json], Written], value: Json) -> Written:
        try:
            return write(value)
        except OutOfDomain as error:
            raise self._unholdable(field, error.reason) from None

    def _write_key(self, key: Any, written: Json) -> str:
        assert self.key_column is not None
        try:
            literal, exact = self.key_column.converter.forth(written)
        except OutOfDomain as error:
            raise self._unholdable(self.key_column.field, f"as key: {error.reason}", repr(key)) from None
        if not exact or literal is None:
            raise self._unholdable(self.key_column.field, f"{key!r} is no key of the key column's type", repr(key))
        return literal

    def _checked_key(self, key: Any, literal: str) -> str:
        if len(literal) > MAX_KEY_BYTES // 4 and len(literal.encode()) > MAX_KEY_BYTES:
            raise self._unholdable(self.key_name, f"the key is longer than {MAX_KEY_BYTES} bytes", repr(key)[:80])
        return literal

    def _refuse_extra(self, key: Any, extra: dict[str, Json]) -> None:
        for field, said in extra.items():
            name = said[0] if field in (MISSING_FIELDS, ORDER) else field
            reason = "the table has no outlive_extra column to keep this form of the record"
            raise self._unholdable(name, reason, repr(key))

    def _unholdable(self, field: str, reason: str, key: str = "?") -> Unholdable:
        return Unholdable(store=self.store, key=key, field=field, reason=reason)


_SYSTEM_CASTS = ("jsonb", "bigint", "numeric")


def _completed(document: Document, extra: dict[str, Any]) -> Document:
    """The document with what `outlive_extra` says of it."""
    names = extra.get(ORDER)
    for field in extra.get(MISSING_FIELDS, ()):
        document.pop(field, None)
    for field in sorted(extra):
        if field not in (MISSING_FIELDS, ORDER):
            document[field] = parse(extra[field])
    return document if names is None else {field: document[field] for field in names}


def _writer(column: Column, strict: bool) -> Callable[[Json], Written]:
    """A column's `forth` with NULL, and with the derived tables' leniency."""
    forth, nullable = column.converter.forth, column.nullable

    def write(value: Json) -> Written:
        if value is None:
            if not nullable:
                raise OutOfDomain("the column is NOT NULL")
            return None, True
        return forth(value)

    def write_leniently(value: Json) -> Written:
        if value is None:
            return None, True
        try:
            return forth(value)
        except OutOfDomain:
            return None, False

    return write if strict else write_leniently


def _sized(table: StoreTable, field: str, text: str) -> str:
    try:
        return checked_size(text)
    except OutOfDomain as error:
        raise table._unholdable(field, error.reason) from None


def _layout(columns: Sequence[Column], key_field: str | None, record_type: RecordType) -> tuple[str, ...]:
    """Fields with a column in the order that a document has them in when nothing else is noted."""
    held = {column.field for column in columns} | ({key_field} if key_field is not None else set())
    declared = [field for field in record_type.fields if field in held]
    keyed = [] if key_field is None or key_field in declared else [key_field]
    return (*keyed, *declared, *(column.field for column in columns if column.field not in declared))


# Names.


@functools.lru_cache(maxsize=1024)
def identifier(name: str) -> str:
    """A PostgreSQL identifier for a service's or store's name: lower case, at most 63 bytes, never a system schema."""
    plain = re.sub(r"[^a-z0-9_]+", "_", name.lower()) or "_"
    if plain[0].isdigit() or plain.startswith("pg_") or plain in ("outlive", "public", "information_schema"):
        plain = "s_" + plain
    return _short(plain)


def _short(name: str) -> str:
    if len(name.encode()) <= 63:
        return name
    cut = name.encode()[:52].decode(errors="ignore")
    return f"{cut}_{hashlib.blake2b(name.encode(), digest_size=5).hexdigest()}"


def _column_name(field: str) -> str:
    name = _short(field)
    return name + "_" if name in (VERSION, POSITION, EXTRA, KEY) else name


# Derived tables.


def _derived_key(record_type: RecordType, key: str | None) -> Column | None:
    field = record_type.fields.get(key) if key is not None else None
    if key is None or field is None or column_hint(field.annotation) not in _KEY_HINTS:
        return None
    if field.base not in _KEY_HINTS:
        return None
    return _derived_column(record_type, key, nullable=False)


_KEY_HINTS = (str, int, uuid.UUID)


def _derived_column(record_type: RecordType, field: str, *, nullable: bool) -> Column:
    annotation = record_type.fields[field].annotation
    converter = converter_for(derived_type(annotation), column_hint(annotation))
    assert converter is not None
    return Column(_column_name(field), field, converter, nullable)


def _derived_columns(record_type: RecordType, key_field: str | None) -> Iterator[Column]:
    for field in record_type.fields:
        if field != key_field:
            yield _derived_column(record_type, field, nullable=True)


def _key_definition(record_type: RecordType, key: Column | None) -> sa.Column[Any]:
    if key is None:
        return sa.Column(KEY, sa.Text(collation="C"), primary_key=True)
    kind = derived_type(record_type.fields[key.field].annotation)
    return sa.Column(key.name, kind, primary_key=True, autoincrement=False)


# Tables from models.


def _model_columns(model: Any) -> tuple[sa.Table, dict[str, str]]:
    """The model's table, and its columns' attribute names by column name."""
    if isinstance(model, sa.Table):
        return model, {column.name: column.key for column in model.columns}
    mapper = sa.inspect(model)
    table = mapper.local_table
    assert isinstance(table, sa.Table)
    names = {attr.columns[0].name: attr.key for attr in mapper.column_attrs if attr.columns[0].table is table}
    return table, names


def _model_key(table: sa.Table, names: dict[str, str], key: str | None) -> str:
    """Name of the key column: the one of the key field, else outlive_key, else the single primary key."""
    if key is not None:
        for name, attribute in names.items():
            if key in (attribute, name):
                return name
    if KEY in table.columns:
        return KEY
    primary = [column.name for column in table.primary_key.columns]
    if key is None and len(primary) == 1:
        return primary[0]
    raise SchemaMismatch(table=table.fullname, column=key or "", reason="no column for the key")


def _mapped_columns(table: sa.Table, names: dict[str, str], record_type: RecordType, key_name: str) -> Iterator[Column]:
    """Columns that stand for a record field; for records without declared fields, all but the system columns."""
    for column in table.columns:
        field = names.get(column.name, column.name)
        if column.name in (VERSION, POSITION, EXTRA, KEY):
            continue
        if record_type.fields and field not in record_type.fields and column.name != key_name:
            continue
        declared = record_type.fields.get(field)
        hint = None if declared is None else column_hint(declared.annotation)
        converter = converter_for(column.type, hint)
        if converter is None:
            reason = f"values of type {column.type!r} cannot be written from a record"
            raise SchemaMismatch(table=table.fullname, column=column.name, reason=reason)
        yield Column(column.name, field, converter, bool(column.nullable) and not column.primary_key)


__all__ = ["Column", "Position", "Row", "StoreTable", "Stored", "SystemColumns", "identifier"]
