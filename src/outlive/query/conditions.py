"""One filter as SQL over one column.

A condition is exact where it lets through the very rows that Python would; otherwise it lets through more, and the
rows are checked again as records. It speaks only of rows that the column itself decides (see `Column.odd`).
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from outlive.query import values
from outlive.query.columns import Column
from outlive.query.language import OPERATORS, Filter
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


def condition(column: Column, asked: Filter) -> Condition:
    """The filter over its column."""
    if column.domain == "json":
        return Condition(_in_json(column, asked), exact=False)
    if asked.op == "isnull":
        return Condition(build("{} IS NULL" if asked.value else "{} IS NOT NULL", column.place), exact=True)
    if asked.op == "in":
        return _among(column, asked.value)
    if asked.value is None:
        return Condition(build("false"), exact=True)
    return _compared(column, asked)


def _present(column: Column, *, exact: bool) -> Condition:
    return Condition(build("{} IS NOT NULL", column.place), exact)


def _compared(column: Column, asked: Filter) -> Condition:
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
    comparison = build("{} " + operator.sql + " {}", *sides)
    if operator.sql in {">", ">="} and column.domain in {"float", "numeric"}:
        comparison = build("{} AND {} <> 'NaN'", comparison, column.place)  # PostgreSQL orders NaN above all
    return Condition(comparison, exact=True)


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


JSON_TYPES = {"text": "string", "number": "number"}


def _in_json(column: Column, asked: Filter) -> Piece:
    """Rows that may match: scalars of the wanted JSON type are compared, all else is left to Python."""
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
    return build(
        "CASE WHEN jsonb_typeof({}) = {}::text THEN {} ELSE {} IS NOT NULL END",
        column.place,
        JSON_TYPES[kind],
        compared,
        column.place,
    )
