"""Single values as tagged JSON, and back.

A tag is an object with one key that begins with "$". Every encoder here takes a value of exactly the named type; its
decoder gives back an equal value of that type.
"""

from __future__ import annotations

import base64
import datetime as dt
import fractions
import importlib
import ipaddress
import math
import pathlib
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from outlive.errors import Unholdable
from outlive.records.wire import Json

Encode = Callable[[Any], Json]
Decode = Callable[[Json], Any]

# CPython converts integers beyond 4300 digits to decimal text only when told to; hexadecimal has no limit.
_WIDE_INT_BITS = 4096


def unholdable(reason: str) -> Unholdable:
    """An `Unholdable` whose field path the enclosing containers fill in."""
    return Unholdable(reason=reason)


def identity(value: Any) -> Any:
    """The value itself: JSON holds it exactly."""
    return value


def encode_str(value: str) -> Json:
    """The text itself; raises Unholdable for NUL and lone surrogates."""
    if "\x00" in value:
        raise unholdable("text contains NUL (U+0000)")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise unholdable(f"text contains a lone surrogate at {error.start}") from None
    return value


def encode_int(value: int) -> Json:
    """The number, or hexadecimal text once it is very long."""
    if value.bit_length() <= _WIDE_INT_BITS:
        return value
    return {"$int": hex(value)}


def encode_float(value: float) -> Json:
    """The number; raises Unholdable for NaN and the infinities."""
    if math.isfinite(value):
        return value
    raise unholdable(f"{value} inside JSON")


def encode_any_float(value: float) -> Json:
    """The number, tagged when it is NaN or infinite."""
    return value if math.isfinite(value) else {"$float": repr(value)}


def encode_bytes(value: bytes) -> Json:
    """Base64 under the tag $bytes."""
    return {"$bytes": base64.b64encode(value).decode()}


def decode_bytes(text: str) -> bytes:
    """Bytes of a $bytes tag."""
    return base64.b64decode(text, validate=True)


def _encode_bytearray(value: bytearray) -> Json:
    return {"$bytearray": base64.b64encode(value).decode()}


def _encode_complex(value: complex) -> Json:
    return {"$complex": [encode_float(value.real), encode_float(value.imag)]}


def _encode_timedelta(value: dt.timedelta) -> Json:
    return {"$timedelta": [value.days, value.seconds, value.microseconds]}


def _encode_range(value: range) -> Json:
    return {"$range": [encode_int(value.start), encode_int(value.stop), encode_int(value.step)]}


def _decode_range(bounds: list[Json]) -> range:
    return range(*(decode_int(bound["$int"]) if type(bound) is dict else bound for bound in bounds))


def decode_int(text: str) -> int:
    """Number of a $int tag."""
    return int(text, 16)


def _zone(tzinfo: dt.tzinfo, offset: dt.timedelta | None) -> dict[str, Json]:
    """What names a time zone that an ISO offset alone would not give back."""
    if type(tzinfo) is zoneinfo.ZoneInfo and tzinfo.key is not None:
        return {"zone": tzinfo.key}
    if type(tzinfo) is dt.timezone:
        named: dict[str, Json] = {"name": encode_str(str(tzinfo))}
        if offset is None or not _is_tiny(offset):
            return named
        return {**named, "us": round(offset.total_seconds() * 1_000_000)}
    module = type(tzinfo).__module__.partition(".")[0]
    if module == "pydantic_core" and offset is not None:
        return {"pydantic": int(offset.total_seconds())}
    if module == "pytz" and getattr(tzinfo, "zone", None):
        return {"pytz": getattr(tzinfo, "zone")}  # noqa: B009  (typed as tzinfo)
    raise unholdable(f"time zone of class {type(tzinfo).__module__}.{type(tzinfo).__qualname__}")


def _encode_moment(tag: str, value: Any) -> Json:
    tzinfo = value.tzinfo
    if tzinfo is None:
        return {tag: [value.isoformat(), {"fold": 1}] if value.fold else value.isoformat()}
    if tzinfo is dt.UTC and not value.fold:
        return {tag: value.isoformat()}
    offset = value.utcoffset()
    plain = type(tzinfo) is dt.timezone and not value.fold and not _is_tiny(offset)
    if plain and tzinfo == dt.timezone(offset) and _unnamed(tzinfo, offset):
        return {tag: value.isoformat()}
    hints = _zone(tzinfo, offset)
    if value.fold:
        hints["fold"] = 1
    return {tag: [value.isoformat(), hints]}


def _is_tiny(offset: dt.timedelta | None) -> bool:
    """Whether an offset is under a second: `fromisoformat` reads such a one as UTC."""
    return offset is not None and dt.timedelta(0) < abs(offset) < dt.timedelta(seconds=1)


def _unnamed(tzinfo: dt.timezone, offset: dt.timedelta) -> bool:
    return str(tzinfo) == str(dt.timezone(offset))


def _encode_datetime(value: dt.datetime) -> Json:
    return _encode_moment("$datetime", value)


def _encode_time(value: dt.time) -> Json:
    return _encode_moment("$time", value)


def _rezoned(value: Any, hints: dict[str, Json]) -> Any:
    tzinfo = value.tzinfo
    if "zone" in hints:
        tzinfo = zoneinfo.ZoneInfo(hints["zone"])
    elif "name" in hints:
        offset = dt.timedelta(microseconds=hints["us"]) if "us" in hints else value.utcoffset()
        tzinfo = dt.timezone(offset, hints["name"])
    elif "pydantic" in hints:
        tzinfo = importlib.import_module("pydantic_core").TzInfo(hints["pydantic"])
    elif "pytz" in hints:
        zone = importlib.import_module("pytz").timezone(hints["pytz"])
        tzinfo = zone.normalize(value).tzinfo if isinstance(value, dt.datetime) else zone
    return value.replace(tzinfo=tzinfo, fold=hints.get("fold", 0))


def decode_datetime(written: Json) -> dt.datetime:
    """Moment of a $datetime tag, with the very time zone it had."""
    if type(written) is str:
        return dt.datetime.fromisoformat(written)
    moment: dt.datetime = _rezoned(dt.datetime.fromisoformat(written[0]), written[1])
    return moment


def decode_time(written: Json) -> dt.time:
    """Time of day of a $time tag."""
    if type(written) is str:
        return dt.time.fromisoformat(written)
    moment: dt.time = _rezoned(dt.time.fromisoformat(written[0]), written[1])
    return moment


_ADDRESSES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        ipaddress.IPv4Address,
        ipaddress.IPv6Address,
        ipaddress.IPv4Network,
        ipaddress.IPv6Network,
        ipaddress.IPv4Interface,
        ipaddress.IPv6Interface,
    )
}
_PATHS: dict[str, type[pathlib.PurePath]] = {
    kind.__name__: kind
    for kind in (pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath)
}


def _encode_address(value: Any) -> Json:
    return {"$ip": [type(value).__name__, str(value)]}


def _encode_path(value: pathlib.PurePath) -> Json:
    return {"$path": [type(value).__name__, encode_str(str(value))]}


def _encode_fraction(value: fractions.Fraction) -> Json:
    return {"$fraction": [encode_int(value.numerator), encode_int(value.denominator)]}


def _decode_fraction(parts: list[Json]) -> fractions.Fraction:
    return fractions.Fraction(*(decode_int(part["$int"]) if type(part) is dict else part for part in parts))


def _encode_zone(value: zoneinfo.ZoneInfo) -> Json:
    if value.key is None:
        raise unholdable("a time zone without a name")
    return {"$zone": value.key}


SCALAR_ENCODERS: dict[type[Any], Encode] = {
    type(None): identity,
    bool: identity,
    str: encode_str,
    int: encode_int,
    float: encode_float,
    bytes: encode_bytes,
    bytearray: _encode_bytearray,
    complex: _encode_complex,
    Decimal: lambda value: {"$decimal": str(value)},
    uuid.UUID: lambda value: {"$uuid": str(value)},
    dt.datetime: _encode_datetime,
    dt.date: lambda value: {"$date": value.isoformat()},
    dt.time: _encode_time,
    dt.timedelta: _encode_timedelta,
    range: _encode_range,
    fractions.Fraction: _encode_fraction,
    zoneinfo.ZoneInfo: _encode_zone,
    **dict.fromkeys(_ADDRESSES.values(), _encode_address),
    **dict.fromkeys(_PATHS.values(), _encode_path),
}

SCALAR_DECODERS: dict[str, Decode] = {
    "$int": decode_int,
    "$float": float,
    "$bytes": decode_bytes,
    "$bytearray": lambda text: bytearray(decode_bytes(text)),
    "$complex": lambda parts: complex(*parts),
    "$decimal": Decimal,
    "$uuid": uuid.UUID,
    "$datetime": decode_datetime,
    "$date": dt.date.fromisoformat,
    "$time": decode_time,
    "$timedelta": lambda parts: dt.timedelta(*parts),
    "$range": _decode_range,
    "$fraction": _decode_fraction,
    "$zone": zoneinfo.ZoneInfo,
    "$ip": lambda parts: _ADDRESSES[parts[0]](parts[1]),
    "$path": lambda parts: _PATHS[parts[0]](parts[1]),
}

# Pydantic's wrapped texts: their class name, and how to read the text.
PYDANTIC_TEXTS: dict[str, Callable[[Any], str]] = {
    "SecretStr": lambda value: str(value.get_secret_value()),
    "AnyUrl": str,
    "AnyHttpUrl": str,
    "HttpUrl": str,
    "AnyWebsocketUrl": str,
    "WebsocketUrl": str,
    "FileUrl": str,
    "FtpUrl": str,
    "PostgresDsn": str,
    "RedisDsn": str,
}


def encode_pydantic_text(value: Any) -> Json:
    """Text of one of Pydantic's wrapping classes; raises Unholdable when the text does not give the value back."""
    name = type(value).__name__
    tagged = [name, encode_str(PYDANTIC_TEXTS[name](value))]
    if decode_pydantic_text(tagged) != value:
        raise unholdable(f"a {name} that its own text does not give back")
    return {"$pydantic": tagged}


def decode_pydantic_text(parts: list[str]) -> Any:
    """Value of a $pydantic tag; raises Unholdable when Pydantic is not in this process."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or parts[0] not in PYDANTIC_TEXTS:
        raise unholdable(f"pydantic's {parts[0]} is not imported")
    return getattr(pydantic, parts[0])(parts[1])


SCALAR_DECODERS["$pydantic"] = decode_pydantic_text
