"""Record types of every kind, and values of every sort, for the fidelity tests."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import fractions
import functools
import ipaddress
import math
import pathlib
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

import attrs
import msgspec
import pydantic


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    YES = "yes"


class Right(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Odd(enum.Enum):
    PAIR = (1, 2)
    NOTHING = None
    TEXT = "text"


class Point(NamedTuple):
    x: Any
    y: Any


class Name(str):
    __slots__ = ()


class Count(int):
    pass


class Address(pydantic.BaseModel):
    street: str
    number: int = 1


class Home(Address):
    floor: int | None = None


@dataclasses.dataclass(frozen=True)
class Tag:
    label: str
    weight: Any = 1.0


class PydanticTask(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)

    id: int
    text: str | None = None
    amount: Decimal = Decimal("0.10")
    ratio: float = 1.0
    done: bool = False
    due: dt.datetime | None = None
    day: dt.date | None = None
    at: dt.time | None = None
    lasts: dt.timedelta | None = None
    ref: uuid.UUID | None = None
    raw: bytes = b""
    colour: Colour = Colour.RED
    level: Level | None = None
    kind: Literal["a", "b"] = "a"
    home: Address | None = None
    homes: list[Address] = []
    by_colour: dict[Colour, Address] = {}
    pair: tuple[int, Address] | None = None
    rest: tuple[Tag, ...] = ()
    some: set[Colour] = set()
    either: Address | Tag | str | None = None
    anything: Any = None
    _hidden: Any = pydantic.PrivateAttr(default=0)


@dataclasses.dataclass
class DataTask:
    id: int
    text: str | None = None
    amount: Decimal = Decimal("0.10")
    ratio: float = 1.0
    done: bool = False
    due: dt.datetime | None = None
    day: dt.date | None = None
    at: dt.time | None = None
    lasts: dt.timedelta | None = None
    ref: uuid.UUID | None = None
    raw: bytes = b""
    colour: Colour = Colour.RED
    level: Level | None = None
    kind: Literal["a", "b"] = "a"
    home: Address | None = None
    homes: list[Address] = dataclasses.field(default_factory=list)
    by_colour: dict[Colour, Address] = dataclasses.field(default_factory=dict)
    pair: tuple[int, Address] | None = None
    rest: tuple[Tag, ...] = ()
    some: set[Colour] = dataclasses.field(default_factory=set)
    either: Address | Tag | str | None = None
    anything: Any = None


SlotsTask = dataclasses.make_dataclass(
    "SlotsTask",
    [
        (f.name, f.type, dataclasses.field(default=f.default, default_factory=f.default_factory))
        for f in dataclasses.fields(DataTask)
    ],  # type: ignore[call-overload]
    slots=True,
)
SlotsTask.__module__ = __name__


@attrs.define
class AttrsTask:
    id: int
    text: str | None = None
    amount: Decimal = Decimal("0.10")
    ratio: float = 1.0
    done: bool = False
    due: dt.datetime | None = None
    day: dt.date | None = None
    at: dt.time | None = None
    lasts: dt.timedelta | None = None
    ref: uuid.UUID | None = None
    raw: bytes = b""
    colour: Colour = Colour.RED
    level: Level | None = None
    kind: Literal["a", "b"] = "a"
    home: Address | None = None
    homes: list[Address] = attrs.field(factory=list)
    by_colour: dict[Colour, Address] = attrs.field(factory=dict)
    pair: tuple[int, Address] | None = None
    rest: tuple[Tag, ...] = ()
    some: set[Colour] = attrs.field(factory=set)
    either: Address | Tag | str | None = None
    anything: Any = None


class StructTask(msgspec.Struct):
    id: int
    text: str | None = None
    amount: Decimal = Decimal("0.10")
    ratio: float = 1.0
    done: bool = False
    due: dt.datetime | None = None
    day: dt.date | None = None
    at: dt.time | None = None
    lasts: dt.timedelta | None = None
    ref: uuid.UUID | None = None
    raw: bytes = b""
    colour: Colour = Colour.RED
    level: Level | None = None
    kind: Literal["a", "b"] = "a"
    home: Address | None = None
    homes: list[Address] = []
    by_colour: dict[Colour, Address] = {}
    pair: tuple[int, Address] | None = None
    rest: tuple[Tag, ...] = ()
    some: set[Colour] = set()
    either: Address | Tag | str | None = None
    anything: Any = None


class DictTask(TypedDict, total=False):
    id: int
    text: str | None
    amount: Decimal
    ratio: float
    done: bool
    due: dt.datetime | None
    day: dt.date | None
    at: dt.time | None
    lasts: dt.timedelta | None
    ref: uuid.UUID | None
    raw: bytes
    colour: Colour
    level: Level | None
    kind: NotRequired[Literal["a", "b"]]
    home: Address | None
    homes: list[Address]
    by_colour: dict[Colour, Address]
    pair: tuple[int, Address] | None
    rest: tuple[Tag, ...]
    some: set[Colour]
    either: Address | Tag | str | None
    anything: Any


CLASSES: tuple[Any, ...] = (PydanticTask, DataTask, SlotsTask, AttrsTask, StructTask)
FIELDS: tuple[str, ...] = tuple(DictTask.__annotations__)

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
PLUS_TWO = dt.timezone(dt.timedelta(hours=2))
NOON = dt.datetime(2026, 3, 4, 12, 0, 0, 123456)

# Every trap of the field notes, section 4, and what else a record may hold: name -> value.
VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "minus": -7,
    "past 53 bits": 2**53 + 1,
    "bigint limit": 2**63 - 1,
    "past 64 bits": 2**64 + 1,
    "past 64 bits, negative": -(2**80),
    "five thousand digits": 10**5000 + 7,
    "float one": 1.0,
    "minus zero": -0.0,
    "large float": 2.56e16,
    "exponent float": 1e22,
    "largest float": 1.7976931348623157e308,
    "smallest float": 5e-324,
    "third": 0.1 + 0.2,
    "empty text": "",
    "arabic": "مهمة ١",
    "hebrew": "משימה ₪",
    "emoji": "👩‍👩‍👧 \U0001f600",
    "controls": "a\tb\nc\r\x01\x7f\u2028\ufeff",
    "quotes": "\"'\\ {} , NULL %s %% $1",
    "combining": "e\u0301 é",
    "number text": "1.0",
    "date text": "2025-11-01",
    "bytes": b"\x00\xff'\\",
    "bytearray": bytearray(b"\x00a"),
    "decimal": Decimal("1.10"),
    "decimal scale": Decimal("1.00"),
    "decimal exponent": Decimal("1E+2"),
    "decimal tiny": Decimal("1E-30"),
    "decimal minus zero": Decimal("-0.00"),
    "decimal long": Decimal("123456789012345678901234567890.123456789012345678901234567890"),
    "decimal nan": Decimal("Infinity"),
    "decimal far": Decimal("1E+200000"),
    "complex": complex(1.5, -0.0),
    "date": dt.date(2024, 2, 29),
    "first date": dt.date.min,
    "last date": dt.date.max,
    "naive": NOON,
    "first moment": dt.datetime.min,
    "last moment": dt.datetime.max,
    "utc": NOON.replace(tzinfo=dt.UTC),
    "offset": NOON.replace(tzinfo=PLUS_TWO),
    "odd offset": NOON.replace(tzinfo=dt.timezone(dt.timedelta(seconds=-3723, microseconds=5))),
    "tiny offset": NOON.replace(tzinfo=dt.timezone(dt.timedelta(microseconds=-1))),
    "named tiny offset": NOON.replace(tzinfo=dt.timezone(dt.timedelta(microseconds=7), "T")),
    "named offset": NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=1), "CET")),
    "named utc": NOON.replace(tzinfo=dt.timezone(dt.timedelta(0), "Z")),
    "zone": NOON.replace(tzinfo=BERLIN),
    "zone utc": NOON.replace(tzinfo=zoneinfo.ZoneInfo("UTC")),
    "fold": dt.datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=BERLIN),
    "naive fold": dt.datetime(2025, 10, 26, 2, 30, fold=1),
    "offset fold": dt.datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=PLUS_TWO),
    "before utc began": dt.datetime(1, 1, 1, tzinfo=PLUS_TWO),
    "pydantic zone": pydantic.TypeAdapter(dt.datetime).validate_python("2025-01-01T00:00:00+01:30"),
    "pydantic utc": pydantic.TypeAdapter(dt.datetime).validate_python("2025-01-01T00:00:00Z"),
    "time": dt.time(23, 59, 59, 999999),
    "aware time": dt.time(1, 2, tzinfo=PLUS_TWO),
    "zone time": dt.time(1, 2, tzinfo=BERLIN),
    "fold time": dt.time(1, 2, fold=1),
    "timedelta": dt.timedelta(days=-3, seconds=7, microseconds=1),
    "longest": dt.timedelta.max,
    "shortest": dt.timedelta.min,
    "uuid": uuid.UUID("12345678-1234-5678-1234-56781234ABCD"),
    "enum": Colour.BLUE,
    "int enum": Level.HIGH,
    "str enum": Word.YES,
    "flag": Right.READ | Right.WRITE,
    "enum pair": Odd.PAIR,
    "enum none": Odd.NOTHING,
    "enum value": "red",
    "int enum value": 2,
    "tuple": (1, "a", (None, [1.0])),
    "empty tuple": (),
    "named tuple": Point(1, Point(2, [3])),
    "list": [1, 1.0, True, None, "1", [[]], {}],
    "set": {1, "1", None, (1, 2)},
    "frozenset": frozenset({"a", "b"}),
    "empty set": set(),
    "deque": deque([1, (2,)], maxlen=5),
    "range": range(3, 2**70, 7),
    "fraction": fractions.Fraction(1, 3),
    "dict order": {"b": 1, "a": 2, "aa": 3, "A": 4},
    "dict keys": {1: "int", "1": "text", None: "none", (1, 2): "tuple", 2.5: "float", b"k": "bytes"},
    "dollar key": {"$decimal": "1.10"},
    "dollar keys": {"$tuple": [1], "b": 2},
    "empty dict": {},
    "deep dict": {"a": {"b": {"c": [{"d": (1, -0.0, 1e22)}]}}},
    "bool key": {True: 1, "True": 2},
    "enum key": {Colour.RED: 1},
    "zone value": BERLIN,
    "ip": ipaddress.ip_address("10.0.0.1"),
    "network": ipaddress.ip_network("2001:db8::/32"),
    "path": pathlib.PurePosixPath("/tmp/x"),
    "url": pydantic.HttpUrl("https://example.org/a?b=c"),
    "secret": pydantic.SecretStr("hush"),
    "str subclass": Name("n"),
    "int subclass": Count(4),
    "pydantic": Address(street="s"),
    "pydantic subclass": Home(street="s", floor=2),
    "dataclass": Tag("x", (1,)),
    "attrs": AttrsTask(1, anything=(1,)),
    "struct": StructTask(1, ratio=2.5),
    "models in containers": [Address(street="a", number=2), {"k": Tag("y")}, (Home(street="b"),)],
}

# Builtin subclasses come back as their builtin: value -> what it comes back as.
AS_BUILTIN: list[tuple[Any, Any]] = [
    (OrderedDict([("b", 1), ("a", 2)]), {"b": 1, "a": 2}),
    (defaultdict(list, {"a": [1]}), {"a": [1]}),
    (Counter("aab"), {"a": 2, "b": 1}),
    (type("Tracked", (list,), {})([1]), [1]),
    (type("Tracked", (dict,), {})({"a": 1}), {"a": 1}),
    (type("Tracked", (set,), {})({1}), {1}),
]


class Opaque:
    """No canonical form."""


def cyclic() -> list[Any]:
    """A list that holds itself."""
    knot: list[Any] = []
    knot.append(knot)
    return knot


# What no JSON holds: name -> (value, path below the field).
UNHOLDABLE: dict[str, tuple[Any, str]] = {
    "nul": ("a\x00b", ""),
    "nul in list": ([1, "a\x00"], "[1]"),
    "nul in key": ({"a\x00": 1}, ".a\x00"),
    "surrogate": ("\ud800", ""),
    "surrogate in dict": ({"a": {"b": ["\udfff"]}}, ".a.b[0]"),
    "nan in list": ([math.nan], "[0]"),
    "infinity in dict": ({"a": math.inf}, ".a"),
    "nan key": ({math.nan: 1}, "[nan]"),
    "opaque": (Opaque(), ""),
    "opaque in tuple": ((1, Opaque()), "[1]"),
    "function": (len, ""),
    "class": (int, ""),
    "memoryview": (memoryview(b"x"), ""),
    "module": (math, ""),
    "generator": ((item for item in ()), ""),
    "partial": (functools.partial(len), ""),
    "cycle": (cyclic(), ""),
}


def same(one: Any, two: Any) -> bool:
    """Equal with equal types at every depth, equal order of dicts, equal float signs and time zones."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return len(one) == len(two) and all(
            same(k1, k2) and same(v1, v2) for (k1, v1), (k2, v2) in zip(one.items(), two.items(), strict=True)
        )
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, (set, frozenset)):
        return len(one) == len(two) and all(any(same(a, b) for b in two) for a in one)
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(two)) or (one == two and math.copysign(1, one) == math.copysign(1, two))
    if isinstance(one, Decimal):
        return one.as_tuple() == two.as_tuple()
    if isinstance(one, (dt.datetime, dt.time)):
        zones = type(one.tzinfo) is type(two.tzinfo) and str(one.tzinfo) == str(two.tzinfo)
        return zones and one.replace(tzinfo=None) == two.replace(tzinfo=None) and one.fold == two.fold
    names = field_names(one)
    if names:
        held = {n: getattr(one, n) for n in names if hasattr(one, n)}
        back = {n: getattr(two, n) for n in names if hasattr(two, n)}
        return same(held, back) and same(pydantic_state(one), pydantic_state(two))
    return bool(one == two)


def pydantic_state(record: Any) -> Any:
    """What a Pydantic model knows beside its fields."""
    if not isinstance(record, pydantic.BaseModel):
        return None
    return record.model_fields_set, record.__pydantic_extra__, record.__pydantic_private__


def field_names(record: Any) -> tuple[str, ...]:
    """Declared fields of an instance, empty for plain values."""
    if isinstance(record, pydantic.BaseModel):
        return tuple(type(record).model_fields)
    if dataclasses.is_dataclass(record):
        return tuple(field.name for field in dataclasses.fields(record))
    if attrs.has(type(record)):
        return tuple(field.name for field in attrs.fields(type(record)))
    return tuple(getattr(record, "__struct_fields__", ()))


def make(cls: Any, **fields: Any) -> Any:
    """An instance with these fields, without validation."""
    return cls.model_construct(**fields) if issubclass(cls, pydantic.BaseModel) else cls(**fields)
