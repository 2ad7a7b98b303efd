"""One filter as SQL over one column.

A condition is exact where it lets through the very rows that Python would; otherwise it lets through more, and the
rows are checked again as records. It speaks only of rows that the column itself decides (see `Column.odd`).
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from outlive.query import values
from outlive.query.areas import Area, Rectangle
from outlive.query.casing import caseless_parts, is_caseless
from outlive.query.columns import Column, no_plain_array
from outlive.query.language import OPERATORS, TEXTS, Filter, Operator
from outlive.query.near import in_box, in_reach
from outlive.query.pieces import Piece, build, joined

BIGINT = range(-(2**63), 2**63)
CASTS: dict[str, LiteralString] = {
    "text": "{}::text",
    "integer": "{}::bigint",
    "float": "{}::float8",
    "numeric": "{}::numeric",
    "boolean": "{}::boolean",
    "date": "{}::date",
    "instant": "{}::timestamptz",
    "local": "{}::timestamp",
    "time": "{}::time",
    "duration": "{}::interval",
    "uuid": "{}::uuid",
    "bytes": "{}::bytea",
}
ARRAYS: dict[str, LiteralString] = {domain: cast.removeprefix("{}::") + "[]" for domain, cast in CASTS.items()}


class Condition(NamedTuple):
    """SQL that is true for every row that may match, and for no other if `exact`."""

    piece: Piece
    exact: bool


class Slot:
    """Stands for the parameter of a filter while a statement is composed that serves every such parameter."""

    __slots__ = ()


def parameter(column: Column, asked: Filter) -> str | list[str] | None:
    """The parameter of an exact condition whose SQL follows from field and operator; None for any other condition."""
    if asked.op == "has":
        return _element_text(column, asked.value)
    if column.domain in {"unknown", "place", "json"} or column.kind is None or asked.value is None:
        return None
    if asked.op in {"contains", "startswith"}:
        plain = (column.domain, column.kind) == ("text", "text") and _text("text", asked.value) is not None
        return str(asked.value) if plain else None
    if asked.op == "in":
        listed = [_plainly(column, each) for each in asked.value]
        return None if not listed or None in listed else listed  # type: ignore[return-value]
    operator = OPERATORS.get(asked.op)
    return None if operator is None or operator.sql is None else _plainly(column, asked.value)


def _plainly(column: Column, value: Any) -> str | None:
    """A value as the column's own type writes it."""
    kind, key = (None, None) if value is None else values.keyed(value)
    if kind is None or kind != column.kind or values.is_nan(key):
        return None
    written = literal(column.domain, kind, key)
    return None if written is None or written[0] != column.domain else written[1]


def _slotted(column: Column, asked: Filter) -> Condition:
    """The condition of a filter with a parameter, whatever that is."""
    if asked.op == "in":
        listed = build("({} = ANY({}::text[]::" + ARRAYS[column.domain] + "))", column.place, asked.value)
        return Condition(listed, exact=True)
    if asked.op in TEXTS:
        return Condition(_held(column.place, asked), exact=True)
    if asked.op == "has":
        return Condition(build("{} @> ARRAY[{}::text]", column.place, asked.value), exact=True)
    operator = OPERATORS[asked.op]
    left = build('{} COLLATE "C"', column.place) if column.domain == "text" and operator.ordered else column.place
    return Condition(_comparison(column, operator, (left, build(CASTS[column.domain], asked.value))), exact=True)


def condition(column: Column, asked: Filter) -> Condition:
    """The filter over its column."""
    if isinstance(asked.value, Slot):
        return _slotted(column, asked)
    if asked.op == "within":
        return Condition(within(column, asked.value), exact=False)
    if column.domain in {"unknown", "place"}:
        return Condition(build("true"), exact=False)
    if column.domain == "json":
        return Condition(_in_json(column, asked), exact=False)
    if asked.op == "isnull":
        return Condition(build("{} IS NULL" if asked.value else "{} IS NOT NULL", column.place), exact=True)
    if asked.op == "in":
        return _among(column, asked.value)
    if asked.op == "has":
        return _listing(column, asked.value)
    if asked.value is None:
        return Condition(build("false"), exact=True)
    return _compared(column, asked)


def _present(column: Column, *, exact: bool) -> Condition:
    return Condition(build("{} IS NOT NULL", column.place), exact)


def _listing(column: Column, wanted: Any) -> Condition:
    """An array of texts is asked itself, so that an index over it serves; all else is left to Python."""
    written = _element_text(column, wanted)
    if written is None:
        return _present(column, exact=False)
    return Condition(build("{} @> ARRAY[{}::text]", column.place, written), exact=True)


def _element_text(column: Column, wanted: Any) -> str | None:
    """An element of a column that is an array of texts; None for what no such array holds."""
    wanted = values.plain(wanted)
    held = column.texts and isinstance(wanted, str) and _text("text", wanted) is not None
    return str(wanted) if held else None


def _compared(column: Column, asked: Filter) -> Condition:
    if asked.op in TEXTS:
        return _in_text(column, asked)
    operator = OPERATORS[asked.op]
    if column.kind is None or operator.sql is None:
        return _present(column, exact=False)
    kind, key = values.keyed(asked.value)
    if kind != column.kind and operator.ordered:
        return _present(column, exact=False)
    if kind != column.kind or values.is_nan(key):
        return _present(column, exact=True) if asked.op == "ne" else Condition(build("false"), exact=True)
    sides = _sides(column, key, ordered=operator.ordered)
    if sides is None:
        return _present(column, exact=False)
    return Condition(_comparison(column, operator, sides), exact=True)


def _comparison(column: Column, operator: Operator, sides: tuple[Piece, Piece]) -> Piece:
    comparison = build("{} " + (operator.sql or "=") + " {}", *sides)
    if operator.sql in {">", ">="} and column.domain in {"float", "numeric"}:
        comparison = build("{} AND {} <> 'NaN'", comparison, column.place)  # PostgreSQL orders NaN above all
    return comparison


def _among(column: Column, wanted: tuple[Any, ...]) -> Condition:
    some = [each for each in wanted if each is not None]
    choices = [_present(column, exact=False)] if column.kind is None and some else _choices(column, some)
    if len(some) < len(wanted):
        choices.append(Condition(build("{} IS NULL", column.place), exact=True))
    piece = joined(" OR ", (each.piece for each in choices), "false")
    return Condition(piece, all(each.exact for each in choices))


def _choices(column: Column, wanted: list[Any]) -> list[Condition]:
    """One condition for all values that the column's own type can write, and one for each other value."""
    listed: list[str] = []
    others: list[Condition] = []
    for each in wanted:
        kind, key = values.keyed(each)
        written = literal(column.domain, kind, key) if kind == column.kind and not values.is_nan(key) else None
        if written is not None and written[0] == column.domain:
            listed.append(written[1])
        else:
            others.append(_compared(column, Filter(column.field, "eq", each)))
    if listed:
        others.append(
            Condition(build("{} = ANY({}::text[]::" + ARRAYS[column.domain] + ")", column.place, listed), True)
        )
    return others


def _sides(column: Column, key: Any, *, ordered: bool) -> tuple[Piece, Piece] | None:
    """Both sides of a comparison with a key of the column's kind; None where PostgreSQL cannot write the key."""
    written = literal(column.domain, column.kind or "", key)
    if written is None:
        return None
    domain, text = written
    left = column.place
    if domain != column.domain:
        left = _as(column, domain)
    elif domain == "text" and ordered:
        left = build('{} COLLATE "C"', left)
    return left, build(CASTS[domain], text)


def _as(column: Column, domain: str) -> Piece:
    """The column in another domain, value for value."""
    if column.domain == "date":
        return build("to_char({}, 'YYYY-MM-DD') COLLATE \"C\"", column.place)
    if domain == "text":
        return build('{}::text COLLATE "C"', column.place)
    return numeric(column)


def numeric(column: Column) -> Piece:
    """A number column as numeric, every digit kept."""
    if column.domain == "float":
        return build("{}::float8::text::numeric", column.place)  # a direct cast keeps 15 digits
    if column.domain == "boolean":
        return build("{}::integer::numeric", column.place)
    return build("{}::numeric", column.place)


def literal(domain: str, kind: str, key: Any) -> tuple[str, str] | None:
    """(domain, text) that writes a key for a column; another domain where the column's own cannot hold it."""
    if kind == "number":
        return _number(domain, key)
    if kind == "text":
        return _text(domain, key)
    if kind == "instant":
        return _instant(key)
    if kind == "duration":
        return "duration", duration(key)
    return domain, f"\\x{key.hex()}" if kind == "bytes" else str(key)


def _number(domain: str, key: int | Decimal) -> tuple[str, str] | None:
    exact = Decimal(key)
    if exact.is_finite() and max(abs(exact.adjusted()), -int(exact.as_tuple().exponent)) > 10_000:
        return None
    whole = exact.is_finite() and exact == exact.to_integral_value()
    if domain == "boolean" and exact in {0, 1}:
        return domain, "true" if exact else "false"
    if domain == "integer" and whole and int(exact) in BIGINT:
        return domain, str(int(exact))
    if domain == "float" and values.as_written(float(exact)) == exact:
        return domain, repr(float(exact))
    return "numeric", str(exact)


def _text(domain: str, key: str) -> tuple[str, str] | None:
    if (domain == "date" and _is_iso_date(key)) or (domain == "uuid" and _is_uuid(key)):
        return domain, str(key)
    if "\x00" in key or not _encodable(key):
        return None
    return "text", str(key)


def _is_iso_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _instant(key: timedelta) -> tuple[str, str] | None:
    try:
        return "instant", (values.EPOCH + key).isoformat()
    except OverflowError:
        return None


def duration(value: timedelta) -> str:
    """A timedelta as interval text."""
    return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"


def _in_text(column: Column, asked: Filter) -> Condition:
    written = _text(column.domain, asked.value) if (column.domain, column.kind) == ("text", "text") else None
    if written is None:
        return _present(column, exact=False)
    if asked.op == "icontains":
        return Condition(joined(" AND ", folded(column.place, asked.value), "true"), is_caseless(asked.value))
    return Condition(_held(column.place, asked), exact=True)


def _held(text: Piece, asked: Filter) -> Piece:
    if asked.op == "contains":
        return build('strpos({} COLLATE "C", {}::text) > 0', text, asked.value)
    return build('({} COLLATE "C") ^@ {}::text', text, asked.value)


def folded(text: Piece, wanted: str) -> list[Piece]:
    """What a text must satisfy to hold `wanted` in any case: its caseless stretches as they are, and all of it in lower
    case unless the text goes beyond ASCII, whose cases PostgreSQL may see otherwise."""
    pieces = [build('strpos({} COLLATE "C", {}::text) > 0', text, part) for part in caseless_parts(wanted)]
    if not is_caseless(wanted):
        beyond = build("octet_length({}) <> char_length({})", text, text)
        low = build('strpos(lower({} COLLATE "C"), {}::text) > 0', text, wanted.casefold())
        pieces.append(build("({} OR {})", beyond, low) if wanted.casefold().isascii() else beyond)
    return pieces or [build("{} IS NOT NULL", text)]


def within(column: Column, area: Area) -> Piece:
    """Rows whose place may lie in the area: those inside the rectangles around it, or of no plain coordinates."""
    if column.parts is not None:
        if not all(each.kind == "number" or each.domain == "json" for each in column.parts):
            return build("true")
        if column.by_point:
            return _by_index(column, area)
        lat, lon = (_coordinate(each) for each in column.parts)
        loose = [each.place for each in column.parts if each.domain == "json"]
        inside = _in_rectangles(area, lat, lon)
        return _if_numbers(loose, inside, build("true")) if loose else inside
    if column.domain != "json":
        return build("true")
    lat, lon = (build("({} -> {}::text)", column.place, name) for name in ("lat", "lon"))
    inside = _in_rectangles(area, build("{}::numeric", lat), build("{}::numeric", lon))
    return _if_numbers([lat, lon], inside, _undecided(column))


def _by_index(column: Column, area: Area) -> Piece:
    """The rectangles around an area, and what the index over a table's places answers."""
    assert column.parts is not None
    lat, lon = (each.place for each in column.parts)
    numbers = [_coordinate(each) for each in column.parts]
    if column.geography is None:
        boxes = (build("{} AND {}", in_box(lat, lon, each), _in_rectangle(each, *numbers)) for each in area.rectangles)
        return joined(" OR ", boxes, "false")
    reach = in_reach(column.geography, area)
    inside = _in_rectangles(area, *numbers)
    return inside if reach is None else build("({}) AND {}", inside, reach)


def _if_numbers(places: list[Piece], inside: Piece, otherwise: Piece) -> Piece:
    numbers = joined(" AND ", (build("jsonb_typeof({}) = 'number'", each) for each in places), "true")
    return build("CASE WHEN {} THEN {} ELSE {} END", numbers, inside, otherwise)


def _coordinate(column: Column) -> Piece:
    if column.domain == "json":
        return build("{}::numeric", column.place)
    return column.place if column.domain == "float" else numeric(column)


def _in_rectangles(area: Area, lat: Piece, lon: Piece) -> Piece:
    """Against a float column PostgreSQL turns the bounds into floats; a float of a numeric column might not exist."""
    return joined(" OR ", (_in_rectangle(each, lat, lon) for each in area.rectangles), "false")


def _in_rectangle(sides: Rectangle, lat: Piece, lon: Piece) -> Piece:
    south, west, north, east = map(float, sides)
    return build(
        "{} BETWEEN {}::numeric AND {}::numeric AND {} BETWEEN {}::numeric AND {}::numeric",
        lat,
        south,
        north,
        lon,
        west,
        east,
    )


def _undecided(column: Column) -> Piece:
    """True for rows of which jsonb does not show what Python compares."""
    present = build("{} IS NOT NULL", column.place)
    return present if column.hidden is None else build("({} OR {})", present, column.hidden)


JSON_TYPES = {"text": "string", "number": "number"}


def _in_json(column: Column, asked: Filter) -> Piece:
    """Rows that may match: scalars of the wanted JSON type are compared, all else is left to Python."""
    if asked.op == "in" and None not in asked.value:
        return joined(" OR ", (_in_json(column, Filter(asked.field, "eq", each)) for each in asked.value), "false")
    if asked.op == "has":
        return _element(column, asked.value)
    if asked.op in TEXTS:
        return _part(column, asked)
    operator = OPERATORS.get(asked.op)
    if operator is None or operator.sql is None or asked.value is None or asked.op == "ne":
        return build("true")
    kind, key = values.keyed(asked.value)
    domain = "text" if kind == "text" else "numeric"
    written = literal(domain, kind, key) if kind in JSON_TYPES and not values.is_nan(key) else None
    if written is None or written[1].endswith("Infinity"):
        return build("true")
    if kind == "text":
        compared = build("({} #>> '{{}}') COLLATE \"C\" " + operator.sql + " {}::text", column.place, written[1])
    else:
        compared = build("({})::numeric " + operator.sql + " {}::numeric", column.place, written[1])
    return _of_type(column, JSON_TYPES[kind], compared)


def _of_type(column: Column, kind: str, decided: Piece) -> Piece:
    return build(
        "CASE WHEN jsonb_typeof({}) = {}::text THEN {} ELSE {} END", column.place, kind, decided, _undecided(column)
    )


def _part(column: Column, asked: Filter) -> Piece:
    if _text("text", asked.value) is None:
        return build("true")
    text = build("({} #>> '{{}}')", column.place)
    decided = folded(text, asked.value) if asked.op == "icontains" else [_held(text, asked)]
    return _of_type(column, "string", joined(" AND ", decided, "true"))


def _element(column: Column, wanted: Any) -> Piece:
    """Rows whose array may have the element: it is there, or another is written with a tag."""
    wanted = values.plain(wanted)
    if isinstance(wanted, bool) or wanted in ({0, 1} if isinstance(wanted, values.NUMBERS) else ()):
        choices = [json.dumps([bool(wanted)]), json.dumps([int(wanted)])]
    elif (isinstance(wanted, str) and _text("text", wanted) is not None) or isinstance(wanted, int):
        choices = [json.dumps([wanted])]
    else:
        return build("true")
    found = joined(" OR ", (build("{} @> {}::jsonb", column.place, each) for each in choices), "false")
    other = no_plain_array(column.place)
    hidden = build("false") if column.hidden is None else column.hidden
    return joined(" OR ", (found, other, hidden), "false")
