"""Which columns a store's table has: derived from the record type, or found in the user's model."""

from __future__ import annotations

import functools
import hashlib
import re
import typing
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from outlive.errors import BadSetting, SchemaMismatch
from outlive.postgres.columns import column_hint, converter_for, derived_type
from outlive.postgres.converters import Converter
from outlive.query.near import PLACE_COLUMN
from outlive.records import FieldType, RecordType

VERSION, POSITION, EXTRA = "outlive_version", "outlive_position", "outlive_extra"
KEY, DOCUMENT = "outlive_key", "document"
FIELD = "field"  # in a column's `info`: the record field that it holds, where a model cannot be given its name
NAMING = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
}

_PREPARER = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]
_RANGE = re.compile(r'\s*RANGE\s*\(\s*"?(?P<column>\w+)"?\s*\)\s*', re.IGNORECASE)
_KEY_HINTS = (str, int, uuid.UUID)
_SYSTEM_NAMES = {VERSION, POSITION, EXTRA, KEY, PLACE_COLUMN, "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}


@dataclass(frozen=True, slots=True)
class Column:
    """A table column that holds one top-level field.

    `none_is_null`: NULL reads back as None; where the annotation has no None it reads back as a missing field, which
    is what rows hold that are older than the column.
    """

    name: str
    field: str
    converter: Converter
    nullable: bool
    none_is_null: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A table and what its columns hold. Without `key` the key stands in outlive_key; `whole`: one document column."""

    table: sa.Table
    key: Column | None
    columns: tuple[Column, ...]
    strict: bool
    whole: bool = False
    partitioned: bool = False  # by something else than the key, so that the key alone is under no unique index
    partition: str | None = None  # the column, where the table is partitioned by ranges of one


@functools.lru_cache(maxsize=1024)
def identifier(name: str) -> str:
    """A PostgreSQL identifier for a service's or store's name: lower case, at most 63 bytes, never a system schema."""
    plain = re.sub(r"[^a-z0-9_]+", "_", name.lower()) or "_"
    if plain[0].isdigit() or plain.startswith("pg_") or plain in {"outlive", "public", "information_schema"}:
        plain = "s_" + plain
    return _short(plain)


def _short(name: str) -> str:
    if len(name.encode()) <= 63:
        return name
    cut = name.encode()[:52].decode(errors="ignore")
    return f"{cut}_{hashlib.blake2b(name.encode(), digest_size=5).hexdigest()}"


def _column_names(fields: Sequence[str]) -> dict[str, str]:
    """A column name for each field: its own, unless PostgreSQL or psycopg could not take it."""
    names: dict[str, str] = {}
    taken = set(_SYSTEM_NAMES)
    for field in fields:
        name = _short(field.replace("%", "_")) or "_"
        while name in taken:
            name = _short(name + "_")
        names[field] = name
        taken.add(name)
    return names


def _none_is_null(field: FieldType | None) -> bool:
    """True unless the annotation says that None is no value of the field."""
    if field is None or field.nullable or field.base in {Any, object, type(None)}:
        return True
    if typing.get_origin(field.base) is typing.Literal:
        return None in typing.get_args(field.base)
    return isinstance(field.base, (str, typing.TypeVar, typing.ForwardRef))


# Derived tables.


def derived_layout(
    service: str, store: str, record_type: RecordType, key: str | None, partition_by: tuple[str, Any] | None = None
) -> Layout:
    """Typed columns for declared fields, all nullable but the key; one jsonb column for records without fields."""
    whole = record_type.kind == "dict" and not record_type.fields
    columns = {column.field: column for column in _derived_columns(record_type)}
    key_column = columns.get(key or "")
    if key_column is not None and record_type.fields[key_column.field].base not in _KEY_HINTS:
        key_column = None
    rest = tuple(column for column in columns.values() if column is not key_column)
    apart = None if partition_by is None else _partition(store, partition_by[0], columns, key_column)
    own_key = _key_definition(record_type, key_column, alone=apart is None)
    partition_rule = None if apart is None else f"RANGE ({_PREPARER.quote(apart)})"
    table = sa.Table(
        identifier(store),
        sa.MetaData(schema=identifier(service), naming_convention=NAMING),
        own_key,
        *(sa.Column(column.name, derived_type(record_type.fields[column.field].annotation)) for column in rest),
        *([sa.Column(DOCUMENT, postgresql.JSONB(none_as_null=True))] if whole else []),
        sa.Column(VERSION, sa.BigInteger, nullable=False),
        sa.Column(POSITION, sa.Numeric, nullable=False),
        sa.Column(EXTRA, postgresql.JSONB(none_as_null=True)),
        *([] if apart is None else [sa.UniqueConstraint(own_key.name, apart)]),
        postgresql_partition_by=partition_rule,
    )
    return Layout(table, key_column, rest, strict=False, whole=whole, partitioned=apart is not None, partition=apart)


def _partition(store: str, field: str, columns: dict[str, Column], key: Column | None) -> str:
    """The column of the field that a derived table is partitioned by. Raises BadSetting."""
    found = columns.get(field)
    if found is None or found is key or not found.converter.cast.startswith(("date", "timestamp")):
        reason = "is the key" if found is not None and found is key else "is no date or time field"
        raise BadSetting(name=f"{store}: partition_by", value=field, reason=reason)
    return found.name


def _derived_columns(record_type: RecordType) -> Iterator[Column]:
    names = _column_names([*record_type.fields])
    for name, field in record_type.fields.items():
        converter = converter_for(derived_type(field.annotation), column_hint(field.annotation))
        assert converter is not None
        yield Column(names[name], name, converter, nullable=True, none_is_null=_none_is_null(field))


def _key_definition(record_type: RecordType, key: Column | None, *, alone: bool) -> sa.Column[Any]:
    """The key's column; where it is not unique `alone`, the statements see to it that no key comes twice."""
    if key is None:
        return sa.Column(KEY, sa.Text(collation="C"), primary_key=alone, nullable=False)
    kind = derived_type(record_type.fields[key.field].annotation)
    return sa.Column(key.name, kind, primary_key=alone, nullable=False, autoincrement=False)


# Tables from models.


def model_layout(
    record_type: RecordType, key: str | None, model: Any, store: str = "?", partition_by: tuple[str, Any] | None = None
) -> Layout:
    """The columns of a declarative class or Table that stand for record fields. Raises SchemaMismatch."""
    table, names = _model_columns(model)
    for needed in (VERSION, POSITION):
        if needed not in table.columns:
            raise SchemaMismatch(table=table.fullname, column=needed, reason="missing; use SystemColumns")
    key_name = _model_key(table, names, key)
    columns = list(_mapped_columns(table, names, record_type, key_name))
    key_column = next((column for column in columns if column.name == key_name), None)
    rest = tuple(column for column in columns if column is not key_column)
    said = table.dialect_options["postgresql"]["partition_by"]
    found = _RANGE.fullmatch(str(said or ""))
    column = found["column"] if found is not None else None
    wanted = partition_by and {each.field: each.name for each in columns}.get(partition_by[0])
    if partition_by is not None and (column is None or column != wanted):
        reason = f"the model is partitioned by {said or 'nothing'}; say it in postgresql_partition_by"
        raise BadSetting(name=f"{store}: partition_by", value=partition_by[0], reason=reason)
    apart = bool(said) and {each.name for each in table.primary_key.columns} != {key_name}
    return Layout(table, key_column, rest, strict=True, partitioned=apart, partition=column)


def _model_columns(model: Any) -> tuple[sa.Table, dict[str, str]]:
    """The model's table, and the record fields of its columns by column name."""
    if isinstance(model, sa.Table):
        return model, {column.name: column.key for column in model.columns}
    mapper = sa.inspect(model)
    table = mapper.local_table
    assert isinstance(table, sa.Table)
    names = {
        attr.columns[0].name: attr.columns[0].info.get(FIELD, attr.key)
        for attr in mapper.column_attrs
        if attr.columns[0].table is table
    }
    return table, names


def _model_key(table: sa.Table, names: dict[str, str], key: str | None) -> str:
    """Name of the key column: the one of the key field, else outlive_key, else the single primary key."""
    for name, attribute in names.items():
        if key is not None and key in {attribute, name}:
            return name
    if KEY in table.columns:
        return KEY
    primary = [column.name for column in table.primary_key.columns]
    if key is None and len(primary) == 1:
        return primary[0]
    raise SchemaMismatch(table=table.fullname, column=key or "", reason="no column for the key")


def _mapped_columns(table: sa.Table, names: dict[str, str], record_type: RecordType, key_name: str) -> Iterator[Column]:
    """Columns that stand for a record field; for records without declared fields, all but the system columns. What
    PostgreSQL computes is no record's."""
    for column in table.columns:
        field = names.get(column.name, column.name)
        if column.name in {VERSION, POSITION, EXTRA, KEY} or column.computed is not None:
            continue
        declared = record_type.fields.get(field)
        if record_type.fields and declared is None and column.name != key_name:
            continue
        hint = _key_hint(column, record_type) if declared is None else column_hint(declared.annotation)
        converter = converter_for(column.type, hint)
        if converter is None:
            reason = f"values of type {column.type!r} cannot be written from a record"
            raise SchemaMismatch(table=table.fullname, column=column.name, reason=reason)
        nullable = bool(column.nullable) and not column.primary_key
        # SQLAlchemy's names are a subclass of str, and documents take exact ones.
        yield Column(str(column.name), str(field), converter, nullable, _none_is_null(declared))


def _key_hint(column: sa.Column[Any], record_type: RecordType) -> Any:
    """What keys are that stand beside the record: the column's own Python type. Undeclared fields are as in JSON."""
    if not record_type.fields:
        return None
    try:
        return column.type.python_type
    except NotImplementedError:
        return None
