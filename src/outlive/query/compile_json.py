"""A query's answer as JSON text that PostgreSQL makes: what Python would make of the records, to the byte but for the
white space inside nested objects and lists.

Only what is certain is made there: fields of plain types whose column alone gives the record back. The statement
counts its records and those whose text is certain; where they differ, or where an odd row may match, its answer is
not used.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import typing
import uuid
from collections.abc import Hashable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, LiteralString

import sqlalchemy as sa
from psycopg import sql

from outlive.query.compile import Compiler
from outlive.query.language import Query
from outlive.query.pieces import Piece, build, joined
from outlive.records.places import strip

ALSO_UTC = '+00:00",{"pydantic":0}]}'  # how a time ends whose zone is UTC as Pydantic has it
UNSET = "$unset"  # which fields of a Pydantic model were given; says nothing of its JSON

_MOMENT: LiteralString = "'\"' || replace(to_char({0}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '.000000', '')"
_NUMBER: LiteralString = (
    "CASE WHEN {0} = 0 OR (abs({0}) >= 1e-4 AND abs({0}) < 1e15)"
    " THEN {0}::text || CASE WHEN {0} = trunc({0}) THEN '.0' ELSE '' END END"
)
_TEXTS: dict[tuple[str, Any], LiteralString] = {
    ("text", str): "to_json({0})::text",
    ("bigint", int): "{0}::text",
    ("boolean", bool): "{0}::text",
    ("double precision", float): _NUMBER,
    ("date", dt.date): "CASE WHEN isfinite({0}) THEN '\"' || to_char({0}, 'YYYY-MM-DD') || '\"' END",
    ("timestamp", dt.datetime): "CASE WHEN isfinite({0}) THEN " + _MOMENT + " || '\"' END",
    ("uuid", uuid.UUID): "'\"' || {0}::text || '\"'",
    ("numeric", float): _NUMBER.replace("{0}", "({0}::double precision)"),
    ("jsonb", list[str]): (
        "CASE WHEN jsonb_typeof({0}) = 'array' AND NOT jsonb_path_exists({0}, '$[*] ? (@.type() <> \"string\")') THEN"
        " (SELECT '[' || coalesce(string_agg(to_json(e.x)::text, ',' ORDER BY e.n), '') || ']'"
        " FROM jsonb_array_elements_text({0}) WITH ORDINALITY AS e(x, n)) END"
    ),
    ("text[]", list[str]): "CASE WHEN array_position({0}, NULL) IS NULL THEN array_to_json({0})::text END",
    ("jsonb", Any): "CASE WHEN strpos({0}::text, '\"$') = 0 THEN {0}::text END",
    ("json", Any): "CASE WHEN strpos({0}::text, '\"$') = 0 THEN {0}::text END",
}
_KEPT_MOMENT: LiteralString = (
    r"""CASE WHEN {0} ~ '^\{"\$datetime":"[0-9T:.+-]+"\}$' THEN '"' || substr({0}, 15, length({0}) - 16) || '"' END"""
)
_KEPT: dict[str, LiteralString] = {
    "timestamptz": _KEPT_MOMENT,
    "timestamp": _KEPT_MOMENT,
    "jsonb": "CASE WHEN strpos({0}, '\"$') = 0 THEN {0} END",
}
_DECIMALS: dict[str, LiteralString] = {
    "text": (
        "CASE WHEN {0} <> 'NaN' AND abs({0}) < 1e30 AND (abs({0}) >= 0.000001 OR scale({0}) <= 6)"
        " THEN '\"' || {0}::text || '\"' END"
    ),
    "number": (
        "CASE WHEN {0} = 'NaN' THEN NULL WHEN scale({0}) = 0 THEN {0}::text ELSE "
        + _NUMBER.replace("{0}", "({0}::double precision)")
        + " END"
    ),
}
_ENDS: dict[str, LiteralString] = {
    "Z": " || 'Z\"' END", "+00:00": " || '+00:00\"' END", "": " || '\"' END",
}  # fmt: skip
_INSTANT: LiteralString = "CASE WHEN isfinite({0}) THEN " + _MOMENT.replace("{0}", "({0} AT TIME ZONE 'UTC')")


@dataclasses.dataclass(frozen=True)
class JsonForm:
    """How an encoder writes records: each field's name in JSON, in order, what stands for UTC, what Decimals are.

    `gather` and `unless_none` are as in `outlive.JsonView`.
    """

    names: Mapping[str, str]
    utc: str
    decimals: Literal["text", "number"]
    utc_of: Mapping[str, str] = dataclasses.field(default_factory=dict)
    gather: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    unless_none: tuple[str, ...] = ()


def compile_json(at: Compiler, query: Query, form: JsonForm, *, total: bool = False) -> Piece | None:
    """The statement, or None where PostgreSQL cannot make the text: then fetch the records and encode them.

    Its one row: how many records, how many texts, the texts joined by commas, whether an odd row may match, and with
    `total` how many records there are without limit and offset.
    """
    record = _rendered(at, form)
    conditions = [at.condition(each) for each in query.filters]
    if record is None or not all(map(at.sorts, query.order)) or not all(each.exact for each in conditions):
        return None
    strange = at.is_odd(query.fields)
    decided = at.decided(query.filters, strange)
    order = joined_order([*(at.ordering(each) for each in query.order), at.insertion])
    limit = build("") if query.limit is None else build(" LIMIT {}::bigint", min(query.limit, 2**62))
    offset = build(" OFFSET {}::bigint", min(query.offset, 2**62)) if query.offset else build("")
    page = build(
        "SELECT {} AS j FROM (SELECT * FROM {} WHERE {} ORDER BY {}{}{}) AS rows",  # so that partitions do not render
        record, at.relation, decided, order, limit, offset,
    )  # fmt: skip
    return build(
        "SELECT count(*), count(j), '[' || coalesce(string_agg(j, ','), '') || ']', EXISTS ({}){} FROM ({}) AS page",
        at.odd_rows(query.filters, strange),
        build(", {}", _counted(at, at.in_parts(query.filters, strange))) if total else build(""),
        page,  # its order is the order in which it is aggregated
    )


def _counted(at: Compiler, parts: list[Piece]) -> Piece:
    return joined(" + ", (build("SELECT count(*) FROM {} WHERE {}", at.relation, each) for each in parts), "0")


def compile_one(at: Compiler, query: Query, form: JsonForm, literal: Any) -> Piece | None:
    """The statement that brings the text of the record of one key, if it passes the filters: NULL where the text is not
    certain, and no row where the columns do not decide. None where it would never bring one."""
    record = _rendered(at, form)
    if record is None or not all(at.condition(each).exact for each in query.filters):
        return None
    decided = at.decided(query.filters, at.is_odd(query.fields))
    row = build("SELECT * FROM {} WHERE {} AND {} LIMIT 1", at.relation, at.key_is(literal), decided)
    return build("SELECT {} FROM ({}) AS row", record, row)


def texts_of(at: Compiler, keys: Sequence[Hashable], form: JsonForm) -> Piece:
    """The statement that brings key and text of the records of these keys; NULL where the text is not certain."""
    record = _rendered(at, form) or build("NULL::text")
    return build("SELECT {}, {} FROM {} WHERE {}", at.key, record, at.relation, at.key_in(keys))


def joined_order(parts: list[Piece]) -> Piece:
    """An ORDER BY list."""
    whole = parts[0]
    for part in parts[1:]:
        whole = build("{}, {}", whole, part)
    return whole


def _rendered(at: Compiler, form: JsonForm) -> Piece | None:
    """`_record`, made once for a table and a form: composing it takes longer than running it."""
    known: dict[int, tuple[JsonForm, Piece | None]] = at.__dict__.setdefault("_json_records", {})
    if id(form) not in known:
        made = _record(at, form)
        text = None if made is None else made.text.as_string(None)
        known[id(form)] = form, None if text is None else Piece(sql.Composed([sql.SQL(text)]))
    return known[id(form)][1]


def _record(at: Compiler, form: JsonForm) -> Piece | None:
    """One record's text, NULL where it is not certain; None where the table never makes it certain."""
    source: Any = at.source
    if source.whole:
        return None
    key = source.key_column
    stored = {column.field: column for column in (*source.columns, *([] if key is None else [key]))}
    texts: dict[str, Piece] = {}
    kept = [UNSET]
    for field in form.names:
        column = stored.get(field)
        text = None if column is None else _text(source, column, form)
        if column is None or text is None:
            return None
        if source.has_extra and column is not key and column.converter.cast in _KEPT:
            kept.append(field)
            text = _or_kept(field, column.converter.cast, text)
        texts[field] = text
    parts = [*_members(texts, form)]
    if form.unless_none and next(iter(texts)) in form.unless_none:
        return None  # the comma that would stand before the next one
    whole = joined(" || ", parts, "'{{'")
    return build("CASE WHEN {} THEN {} || '}}' END", _certain(source, kept), whole)


def _members(texts: Mapping[str, Piece], form: JsonForm) -> Iterator[Piece]:
    """Each member of the object with the brace or comma before it."""
    group_of = {field: name for name, fields in form.gather.items() for field in fields}
    begun: set[str] = set()
    for field, text in texts.items():
        group = group_of.get(field)
        if group in begun:
            continue
        opening = _opening(group or form.names[field], first=field == next(iter(texts)))
        if group is not None:
            begun.add(group)
        shown = text if group is None else _object(texts, form, group)
        if (group or field) in form.unless_none:
            yield build("CASE ({}) WHEN 'null' THEN '' ELSE {} || ({}) END", shown, opening, shown)
        else:
            yield build("{} || ({})", opening, shown)


def _object(texts: Mapping[str, Piece], form: JsonForm, group: str) -> Piece:
    """Several fields as one object, null where all of them are."""
    fields = [field for field in texts if field in form.gather[group]]
    empty = joined(" AND ", (build("({}) = 'null'", texts[field]) for field in fields), "true")
    parts = (
        build("{} || ({})", _opening(form.names[field], first=field == fields[0]), texts[field]) for field in fields
    )
    return build("CASE WHEN {} THEN 'null' ELSE {} || '}}' END", empty, joined(" || ", parts, "'{{'"))


def _opening(name: str, *, first: bool) -> sql.Literal:
    return _literal(("{" if first else ",") + json.dumps(name, ensure_ascii=False) + ":")


def _certain(source: Any, kept: list[str]) -> Piece:
    """True for rows that have no more to say than their columns, and in outlive_extra what text can be made of."""
    if not source.has_extra:
        return build("true")
    names = build("ARRAY[{}]", Piece(sql.SQL(", ").join(map(_literal, kept))))
    return build("(outlive_extra IS NULL OR outlive_extra - {}::text[] = '{{}}'::jsonb)", names)


def _literal(text: str) -> sql.Literal:
    return sql.Literal(text.replace("%", "%%"))


def _or_kept(field: str, cast: str, text: Piece) -> Piece:
    """The column's text, or that of the value which outlive_extra keeps because the column alone does not tell it."""
    place = Piece(sql.Composed([sql.SQL("(outlive_extra ->> "), _literal(field), sql.SQL(")")]))
    parts: list[sql.Composable] = []
    for number, piece in enumerate(_KEPT[cast].split("{0}")):
        parts += [place.text, sql.SQL(piece)] if number else [sql.SQL(piece)]
    made = Piece(sql.Composed(parts))
    other = build("{} <> {}", build("right({}, {})", place, sql.Literal(len(ALSO_UTC))), sql.Literal(ALSO_UTC))
    if cast != "timestamptz":
        other = build("true")
    return build("CASE WHEN outlive_extra ? {} AND {} THEN {} ELSE {} END", _literal(field), other, made, text)


def _text(source: Any, column: Any, form: JsonForm) -> Piece | None:
    """One field's JSON text."""
    template = _template(column, source.record_type.fields[column.field], source.table.columns[column.name].type, form)
    if template is None:
        return None
    text = _filled(template, sql.Identifier(column.name))
    if not column.none_is_null:
        return text  # NULL is a missing field, and makes the whole text NULL
    return build("CASE WHEN {} IS NULL THEN 'null' ELSE {} END", sql.Identifier(column.name), text)


def _filled(template: LiteralString, column: sql.Identifier) -> Piece:
    """The template with every {0} filled by the column."""
    pieces = template.split("{0}")
    parts: list[sql.Composable] = []
    for number, piece in enumerate(pieces):
        parts += [column, sql.SQL(piece)] if number else [sql.SQL(piece)]
    return Piece(sql.Composed(parts))


def _template(column: Any, field: Any, kind: Any, form: JsonForm) -> LiteralString | None:
    cast, base = column.converter.cast, field.base
    if isinstance(kind, sa.REAL | sa.CHAR | sa.Enum) or (isinstance(kind, sa.Float) and (kind.precision or 53) <= 24):
        return None
    if cast == "timestamptz" and base is dt.datetime:
        utc = form.utc_of.get(column.field, form.utc)
        return _INSTANT + _ENDS[utc] if utc in _ENDS else None
    if cast == "numeric" and base is Decimal:
        return _DECIMALS[form.decimals]
    return _TEXTS.get((cast, next(_plain(base), None)))


def _plain(base: Any) -> Iterator[Any]:
    """The plain type that a value of an annotation has in JSON."""
    origin, args = typing.get_origin(base), typing.get_args(base)
    if base in (list, str, int, float, bool, dt.date, dt.datetime, uuid.UUID):
        yield base if base is not list else Any
    elif isinstance(base, type) and origin is None and issubclass(base, enum.Enum):
        yield str if all(type(member.value) is str for member in base) else None
    elif origin is typing.Literal:
        yield str if all(type(value) is str for value in args) else None
    elif origin is list and args == (str,):
        yield list[str]
    elif base is dict or (origin in (list, dict) and all(map(_is_free, args))):
        yield Any


def _is_free(annotation: Any) -> bool:
    """Whether values of an annotation are written in a document as JSON has them, or else with a tag."""
    bare, _ = strip(annotation)
    if typing.get_origin(bare) in (list, dict):
        return all(map(_is_free, typing.get_args(bare)))
    return bare in (Any, object, str, int, float, bool, dict, list)
