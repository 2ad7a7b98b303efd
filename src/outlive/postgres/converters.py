"""One column: how a document value becomes PostgreSQL text input, and what the stored value reads back as.

`forth` answers (literal, exact): `exact` says that `back` of what PostgreSQL returns is the identical document value;
where it is not, the table keeps the value's own text beside the column. `forth` raises OutOfDomain when the column
cannot hold the value's meaning; nothing is ever rounded or cut.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
import re
import struct
import typing
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from outlive.records import Json, canonical_text
from outlive.records.codec import tag_of
from outlive.records.scalars import decode_bytes, decode_datetime, decode_time, encode_any_float, encode_bytes

# PostgreSQL's limit for one jsonb string; taken for every value, so that no single value blocks a batch.
MAX_VALUE_BYTES = 0x0FFF_FFFF
MAX_KEY_BYTES = 2600

Written = tuple[str | None, bool]
Forth = Callable[[Json], Written]
Back = Callable[[Any], Json]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class OutOfDomain(Exception):
    """A column cannot hold a value's meaning; `reason` is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Converter:
    """A column's two directions and the type that its text is cast to; None (NULL) is not passed to either.

    `plain` is the class of stored values that are already what the record's own value is, with nothing to decode.
    `exact` says that the column holds every value of the annotation's own class as it is.
    """

    cast: str
    forth: Forth
    back: Back
    plain: type | None = None
    exact: bool = False


def identical(left: Json, right: Json) -> bool:
    """True when two document values have the same canonical text."""
    if type(left) is not type(right):
        return False
    if type(left) is str or type(left) is int:
        return bool(left == right)
    return canonical_text(left) == canonical_text(right)


def _shown(value: Json) -> str:
    text = canonical_text(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _refuse(value: Json, kind: str) -> typing.NoReturn:
    raise OutOfDomain(f"{_shown(value)} is no {kind}")


def checked_size(text: str) -> str:
    """The text; raises OutOfDomain when it is larger than PostgreSQL takes."""
    if len(text) > MAX_VALUE_BYTES // 4 and len(text.encode()) > MAX_VALUE_BYTES:
        raise OutOfDomain("larger than 256 MB")
    return text


# Text.

_TEXT_TAGS = {uuid.UUID: "$uuid", Decimal: "$decimal", dt.date: "$date", dt.datetime: "$datetime", dt.time: "$time"}


def text_converter(hint: Any, length: int | None = None, *, padded: bool = False) -> Converter:
    """text, varchar(n) or char(n); a tagged value of the hinted class is kept as its text."""
    own_tag = _TEXT_TAGS.get(hint)

    def forth(value: Json) -> Written:
        exact = own_tag is None
        if exact and length is None and type(value) is str and len(value) <= MAX_VALUE_BYTES // 4:
            return value, True
        if type(value) is not str:
            tag = tag_of(value)
            if tag not in _TEXT_TAGS.values() or type(value[tag]) is not str:
                _refuse(value, "text")
            exact, value = tag == own_tag, value[tag]
        if length is not None and len(value) > length:
            raise OutOfDomain(f"{len(value)} characters, the column holds {length}")
        return checked_size(value), exact and not (padded and len(value) != length)

    if own_tag is None:
        return Converter("text", forth, lambda text: text, str, exact=hint is str and length is None)
    return Converter("text", forth, lambda text: {own_tag: text})


def enum_converter(labels: dict[str, str], cast: str) -> Converter:
    """A column of labels; `labels` maps document values to them."""
    values = {label: value for value, label in labels.items()}

    def forth(value: Json) -> Written:
        label = labels.get(value) if type(value) is str else None
        if label is None:
            _refuse(value, f"value of {', '.join(labels)}")
        return label, True

    return Converter(cast, forth, lambda label: values.get(label, label))


# Numbers.


def _number(value: Json, hint: Any, kind: str) -> Decimal:
    """The exact number that a document value means; `hint` str allows digits as text."""
    if type(value) is float:
        return Decimal(repr(value))
    if type(value) in (int, bool):
        return Decimal(value)
    tag = tag_of(value)
    if tag == "$decimal":
        return Decimal(value[tag])
    if tag == "$int":
        return Decimal(int(value[tag], 16))
    if type(value) is str and hint is str and _NUMBER.fullmatch(value):
        return Decimal(value)
    _refuse(value, kind)


def _number_back(hint: Any, default: Any) -> Back:
    """What a stored number reads back as, by the annotation."""
    kind = hint if hint in (int, float, Decimal, str, bool) else default

    def back(value: Any) -> Json:
        if kind is float:
            return encode_any_float(float(value))
        if kind is Decimal:
            return {"$decimal": str(value)}
        if kind is str:
            return str(value)
        if kind is bool and value in (0, 1):
            return bool(value)
        if isinstance(value, int):
            return value
        return int(value) if math.isfinite(value) and value == int(value) else encode_any_float(float(value))

    return back


def int_converter(hint: Any, bits: int = 64) -> Converter:
    """smallint, integer or bigint."""
    limit = 1 << (bits - 1)
    back = _number_back(hint, int)
    direct = hint not in (float, Decimal, str, bool)

    def forth(value: Json) -> Written:
        if type(value) is int:
            number, exact = value, direct
        else:
            number, exact = _whole(_number(value, hint, "whole number"), value), False
        if not -limit <= number < limit:
            raise OutOfDomain(f"beyond {bits}-bit integers")
        return str(number), exact or identical(back(number), value)

    return Converter("bigint", forth, back, int if direct else None, exact=hint is int and bits == 64)


def _whole(number: Decimal, value: Json) -> int:
    if not number.is_finite() or number.adjusted() > 30 or number != number.to_integral_value():
        _refuse(value, "whole number of the column")
    return int(number)


def float_converter(hint: Any, *, single: bool = False) -> Converter:
    """double precision, or real with values that fit it exactly."""
    plain = _number_back(hint, float)
    direct = hint not in (int, Decimal, str, bool)

    def back(value: Any) -> Json:
        return plain(_as_single(value) if single else value)  # psycopg reads real as its shortest text, 0.1

    def forth(value: Json) -> Written:
        number = value if type(value) is float else _as_float(value, hint)
        if single and math.isfinite(number) and _as_single(number) != number:
            raise OutOfDomain(f"{number!r} does not fit real exactly")
        if not math.isfinite(number):
            return repr(number), direct
        return repr(number), (direct and type(value) is float) or identical(back(number), value)

    plainly = float if direct and not single else None
    return Converter("double precision", forth, back, plainly, exact=hint is float and not single)


def _as_float(value: Json, hint: Any) -> float:
    if tag_of(value) == "$float":
        return float(value["$float"])
    exactly = _number(value, hint, "number")
    try:
        number = float(exactly)
    except (OverflowError, ValueError):
        _refuse(value, "double precision number")
    if not math.isfinite(number) or Decimal(repr(number)) != exactly:
        _refuse(value, "double precision number")
    return number


def _as_single(number: float) -> float:
    try:
        single: float = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return math.inf
    return single


def numeric_converter(hint: Any, precision: int | None = None, scale: int | None = None) -> Converter:
    """numeric or numeric(p, s); a value with more decimals or digits is refused."""
    places = (scale or 0) if precision is not None else scale
    back = _number_back(hint, float)

    def forth(value: Json) -> Written:
        number = _number(value, hint, "number")
        if not number.is_finite():
            return _special(number, value, precision), identical(back(number), value)
        stored = _at_scale(number, precision, places)
        return format(stored, "f"), identical(back(stored), value)

    return Converter("numeric", forth, back, Decimal if hint is Decimal else None)


def _special(number: Decimal, value: Json, precision: int | None) -> str:
    text = str(number)
    if precision is None and text in ("NaN", "Infinity", "-Infinity"):
        return text
    _refuse(value, "number of the column")


def _at_scale(number: Decimal, precision: int | None, places: int | None) -> Decimal:
    """The number as PostgreSQL returns it; raises OutOfDomain when the column would round or overflow."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if places is None:
        if exponent < -16383 or number.adjusted() > 131_000:
            raise OutOfDomain("more digits than numeric holds")
        return _unsigned_zero(Decimal(format(number, "f")))
    integral = number.adjusted() + 1 if number else 0
    if precision is not None and integral > precision - places:
        raise OutOfDomain(f"more than {precision - places} digits before the decimal point")
    if -exponent > places and number != _cut(number, places):
        raise OutOfDomain(f"more than {places} decimals")
    return _unsigned_zero(_cut(number, places))


def _cut(number: Decimal, places: int) -> Decimal:
    """The number with exactly `places` decimals, the rest dropped; exact in any decimal context."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    shift = exponent + places
    kept = digits + (0,) * shift if shift >= 0 else digits[:shift]
    return Decimal((sign, kept or (0,), -places))


def _unsigned_zero(number: Decimal) -> Decimal:
    return number or number.copy_abs()


def bool_converter(hint: Any) -> Converter:
    """boolean; 0 and 1 are its numbers."""

    def forth(value: Json) -> Written:
        if type(value) is bool:
            return ("true" if value else "false"), True
        if type(value) in (int, float) and value in (0, 1):
            return ("true" if value else "false"), False
        _refuse(value, "boolean")

    return Converter("boolean", forth, lambda value: value, bool, exact=hint is bool)


# Dates and times.


def date_converter(hint: Any) -> Converter:
    """date; also YYYY-MM-DD as text."""
    tagged = hint is dt.date

    def forth(value: Json) -> Written:
        is_text = type(value) is str
        text = value if is_text else value["$date"] if tag_of(value) == "$date" else None
        if text is None or not _DAY.fullmatch(text):
            _refuse(value, "date (YYYY-MM-DD)")
        try:
            dt.date.fromisoformat(text)
        except ValueError:
            _refuse(value, "date (YYYY-MM-DD)")
        return text, is_text is not tagged

    def back(value: dt.date) -> Json:
        return {"$date": value.isoformat()} if tagged else value.isoformat()

    return Converter("date", forth, back, dt.date if tagged else None, exact=tagged)


def timestamp_converter(hint: Any, *, aware: bool, digits: int | None = None) -> Converter:
    """timestamptz (naive values count as UTC) or timestamp (naive values only); also ISO text."""
    tagged = hint is dt.datetime

    def back(value: dt.datetime) -> Json:
        text = (value.astimezone(dt.UTC) if aware else value).isoformat()
        return {"$datetime": text} if tagged else text

    def forth(value: Json) -> Written:
        if aware and type(value) is dict and digits is None:
            text = value.get("$datetime")
            if type(text) is str and text[-6:] == "+00:00":
                return text, tagged
        moment = _moment(value)
        if digits is not None and digits < 6 and moment.microsecond % 10 ** (6 - digits):
            raise OutOfDomain(f"finer than {digits} digits of a second")
        naive = moment.utcoffset() is None
        if not aware and not naive:
            raise OutOfDomain("a time zone, which the column does not hold")
        if aware:
            moment = moment.replace(tzinfo=dt.UTC) if naive else _in_utc(moment)
        return moment.isoformat(), not (aware and naive) and identical(back(moment), value)

    kind, exact = "timestamptz" if aware else "timestamp", tagged and aware and digits is None
    return Converter(kind, forth, back, dt.datetime if tagged else None, exact=exact)


def _moment(value: Json) -> dt.datetime:
    try:
        if tag_of(value) == "$datetime":
            return decode_datetime(value["$datetime"])
        if type(value) is str:
            return dt.datetime.fromisoformat(value)
    except ValueError:
        pass
    _refuse(value, "date and time")


def _in_utc(moment: dt.datetime) -> dt.datetime:
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:
        raise OutOfDomain("outside the years 1 to 9999 in UTC") from None


def time_converter(hint: Any, *, aware: bool = False) -> Converter:
    """time or timetz; also ISO text."""
    tagged = hint is dt.time

    def back(value: dt.time) -> Json:
        return {"$time": value.isoformat()} if tagged else value.isoformat()

    def forth(value: Json) -> Written:
        is_tag = tag_of(value) == "$time"
        if not is_tag and type(value) is not str:
            _refuse(value, "time of day")
        try:
            moment = decode_time(value["$time"] if is_tag else value)
        except ValueError:
            _refuse(value, "time of day")
        if (moment.utcoffset() is not None) is not aware:
            raise OutOfDomain("the column wants a time of day " + ("with offset" if aware else "without offset"))
        return moment.isoformat(), identical(back(moment), value)

    return Converter("timetz" if aware else "time", forth, back)


def interval_converter(hint: Any) -> Converter:
    """interval, in days and microseconds."""

    def forth(value: Json) -> Written:
        if tag_of(value) != "$timedelta":
            _refuse(value, "duration")
        days, seconds, micros = value["$timedelta"]
        return f"{days} days {seconds}.{micros:06d} seconds", True

    def back(value: dt.timedelta) -> Json:
        return {"$timedelta": [value.days, value.seconds, value.microseconds]}

    return Converter("interval", forth, back, dt.timedelta)


# Identifiers, bytes, JSON, arrays.


def uuid_converter(hint: Any) -> Converter:
    """uuid; also its text."""
    tagged = hint is uuid.UUID

    def back(value: uuid.UUID) -> Json:
        return {"$uuid": str(value)} if tagged else str(value)

    def forth(value: Json) -> Written:
        text = value["$uuid"] if tag_of(value) == "$uuid" else value
        try:
            found = uuid.UUID(text if type(text) is str else "")
        except ValueError:
            _refuse(value, "UUID")
        return str(found), identical(back(found), value)

    return Converter("uuid", forth, back, uuid.UUID if tagged else None)


def bytes_converter(hint: Any) -> Converter:
    """bytea."""

    def forth(value: Json) -> Written:
        if tag_of(value) != "$bytes":
            _refuse(value, "bytes")
        return checked_size("\\x" + decode_bytes(value["$bytes"]).hex()), True

    return Converter("bytea", forth, lambda value: encode_bytes(bytes(value)), bytes)


def jsonb_exact(value: Json) -> bool:
    """True when jsonb gives the value back with the same numbers and key order."""
    kind = type(value)
    if kind is float:
        return abs(value) < 1e16 and (value != 0 or math.copysign(1, value) > 0)
    if kind is list:
        return all(jsonb_exact(item) for item in value)
    if kind is dict:
        return jsonb_ordered(value) and all(jsonb_exact(item) for item in value.values())
    return True


def jsonb_ordered(value: dict[str, Json]) -> bool:
    """True when the keys stand as jsonb sorts them: by length in bytes, then by bytes."""
    if len(value) < 2:
        return True
    return _small_ordered(tuple(value)) if len(value) <= 64 else _names_ordered(value)


def _names_ordered(names: Iterable[str]) -> bool:
    ranks = ((len(raw), raw) for raw in (name.encode() for name in names))
    return all(one < two for one, two in itertools.pairwise(ranks))


@functools.lru_cache(maxsize=4096)
def _small_ordered(names: tuple[str, ...]) -> bool:
    return _names_ordered(names)


def json_converter(*, binary: bool) -> Converter:
    """jsonb (which reorders keys and rewrites numbers) or json (which keeps the text)."""

    def forth(value: Json) -> Written:
        return checked_size(canonical_text(value)), not binary or jsonb_exact(value)

    return Converter("jsonb" if binary else "json", forth, lambda value: value)


def array_converter(item: Converter) -> Converter:
    """A one-dimensional array."""

    def forth(value: Json) -> Written:
        if type(value) is not list:
            _refuse(value, "list")
        exact, parts = True, []
        for inner in value:
            literal, same = (None, True) if inner is None else item.forth(inner)
            exact = exact and same
            parts.append("NULL" if literal is None else _quoted(literal))
        return checked_size("{" + ",".join(parts) + "}"), exact

    def back(value: list[Any]) -> Json:
        return [None if inner is None else item.back(inner) for inner in value]

    return Converter(item.cast + "[]", forth, back)


def _quoted(literal: str) -> str:
    return '"' + literal.replace("\\", "\\\\").replace('"', '\\"') + '"'
