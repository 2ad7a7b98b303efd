"""Record types: what kind they are, and how live records are read and changed in place."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import sys
import threading
import types
import typing
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NewType, TypedDict

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions

from outlive.errors import Unholdable
from outlive.records import MISSING, RecordType, canonical, parse
from tests.unit.records.kinds import CLASSES, Address, Colour, DataTask, DictTask, Home, PydanticTask, make, same


@pytest.mark.parametrize(
    ("declared", "kind", "fields"),
    [
        (Address, "model", ["street", "number"]),
        (DataTask | None, "model", [*DictTask.__annotations__]),
        (DictTask, "dict", [*DictTask.__annotations__]),
        (dict, "dict", []),
        (dict[str, Address], "dict", []),
        (Mapping[str, int], "dict", []),
        (int, "value", ["value"]),
        (list[int], "value", ["value"]),
        (Any, "value", ["value"]),
        (NewType("Id", str), "value", ["value"]),
    ],
)
def test_kinds(declared: Any, kind: str, fields: list[str]) -> None:
    """A declaration gives its kind and its fields in order; equal declarations share one record type."""
    record_type = RecordType.of(declared)
    assert record_type.kind == kind
    assert list(record_type.fields) == fields
    assert RecordType.of(declared) is record_type
    assert repr(record_type).startswith("RecordType(")


def test_unhashable_declarations() -> None:
    """An annotation that cannot be hashed still has a record type."""
    assert RecordType.of(typing.Annotated[int, []]).document(1) == {"value": 1}


def test_documents_are_plain_where_annotations_tell() -> None:
    """Models are plain objects and enums their value where the annotation names them, and tagged elsewhere."""
    task = DataTask(1, home=Address(street="a", number=2), colour=Colour.BLUE, anything=Colour.RED)
    document = RecordType.of(DataTask).document(task)
    assert document["home"] == {"street": "a", "number": 2}
    assert document["colour"] == "blue"
    assert document["anything"] == {"$enum": ["tests.unit.records.kinds:Colour", "red"]}


def test_subclasses_and_strangers() -> None:
    """A subclass of the declared class, and a record of another type altogether, come back as what they were."""
    record_type = RecordType.of(Address)
    for record in (Home(street="a", floor=3), {"street": "dict"}, None, 5, Colour.RED):
        assert same(record_type.record(parse(canonical(record_type.document(record)))), record)
    assert not record_type.in_place(Address(street="a"), record_type.document(Home(street="a")))
    with pytest.raises(Unholdable):
        record_type.record({"street": "a", "$type": "nowhere:Home"})


class Watched:
    """Raises on any attribute write; stands for an instrumented class."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AssertionError(f"{name} was written through __setattr__")


@dataclasses.dataclass(init=False)
class WatchedData(Watched):
    a: int
    b: Any = 2


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_update_keeps_identity(cls: Any) -> None:
    """A record takes over a document in place, whole or by fields; an absent field is removed."""
    record_type = RecordType.of(cls)
    record, wanted = make(cls, id=1, text="a"), make(cls, id=2, text="ש", homes=[Address(street="x")])
    document = record_type.document(wanted)
    record_type.update(record, document, ["text", "homes"])
    assert (record.id, record.text) == (1, "ש")
    assert record.homes == wanted.homes
    record_type.update(record, document)
    assert same(record, wanted)
    record_type.update(record, {}, ["text"])
    assert record_type.peek(record, "text") is MISSING
    record_type.update(record, {}, ["text"])
    assert record_type.document(record)["$absent"] == ["text"]
    assert same(record_type.record(record_type.document(record)), record)
    assert record_type.peek(record, "$absent") == ["text"]
    record_type.update(record, document)
    assert same(record, wanted)
    assert record_type.peek(record, "$absent") is MISSING


def test_no_write_passes_setattr() -> None:
    """Making and updating records does not call the class's __setattr__ or __init__."""
    record_type = RecordType.of(WatchedData)
    record = record_type.record({"a": 1, "b": [2]})
    record_type.update(record, {"a": 5, "b": 6})
    assert (record.a, record.b) == (5, 6)
    assert record_type.record({"a": 1}).b == 2


@pytest.mark.parametrize("declared", [dict, DictTask, dict[str, int]])
def test_update_dicts(declared: Any) -> None:
    """A dict takes over a document in place, key order included; OrderedDict too."""
    record_type = RecordType.of(declared)
    for kind in (dict, OrderedDict):
        record = kind({"a": 1, 5: 2})
        record_type.update(record, record_type.document({5: 3, "b": 4, "a": 1}))
        assert list(record.items()) == [(5, 3), ("b", 4), ("a", 1)]
        record_type.update(record, {"b": 9}, ["b", "$:5", "none"])
        assert list(record.items()) == [("b", 9), ("a", 1)]
        assert record_type.document(record) == {"b": 9, "a": 1}
    assert record_type.peek({5: 1}, "$:5") == 1
    assert record_type.peek({5: 1}, "5") is MISSING
    assert record_type.peek([], "5") is MISSING
    assert record_type.field_name(5) == "$:5"


@pytest.mark.parametrize(("record", "other"), [([1], [2, 3]), ({"a": 1}, {"b": 2}), ({1}, {2, 3})])
def test_update_containers(record: Any, other: Any) -> None:
    """A container that is itself the record takes over content in place; other values must be replaced."""
    record_type = RecordType.of(Any)
    identity = id(record)
    record_type.update(record, record_type.document(other))
    assert (record, id(record)) == (other, identity)
    assert record_type.peek(record, "value") is record
    assert record_type.peek(record, "other") is MISSING
    with pytest.raises(TypeError):
        record_type.update(record, record_type.document(5))
    with pytest.raises(TypeError):
        record_type.update(5, record_type.document(6))


def test_pydantic_given_fields() -> None:
    """The set of given fields survives, whole and by field."""
    record_type = RecordType.of(PydanticTask)
    record = PydanticTask(id=1, text="t", extra_one=5)
    document = record_type.document(record)
    assert "text" not in document["$unset"]
    assert document["extra_one"] == 5
    assert record_type.record(document).model_fields_set == {"id", "text", "extra_one"}
    assert record_type.peek(record, "$unset") == document["$unset"]
    record_type.update(record, {"done": True}, ["done"])
    assert "done" in record.model_fields_set
    record_type.update(record, {"$unset": ["done"]}, ["$unset"])
    assert "done" not in record.model_fields_set
    assert "extra_one" in record.model_fields_set
    record_type.update(record, {"extra_two": 1}, ["extra_two", "extra_one"])
    assert record.__pydantic_extra__ == {"extra_two": 1}
    assert record_type.peek(record, "extra_two") == 1
    record_type.update(record, document)
    assert record.__pydantic_extra__ == {"extra_one": 5}
    assert record_type.encode("$unset", ["a"]) == ["a"]


def test_extra_names_that_look_reserved() -> None:
    """Extra fields and keys that begin with a dollar sign are kept apart from reserved names."""
    record = PydanticTask(id=1, **{"$unset": 1, "$record": 2, "$:": 3})
    record_type = RecordType.of(PydanticTask)
    assert same(record_type.record(record_type.document(record)), record)
    record_type.update(record, {**record_type.document(record), '$:"$unset"': 7})
    assert record.__pydantic_extra__["$unset"] == 7
    plain = {"$missing": 1, "$order": 2, "$absent": 3}
    assert RecordType.of(dict).record(RecordType.of(dict).document(plain)) == plain


def test_extra_after_model_construct() -> None:
    """An extra field can be set on a record whose extras were never made."""
    record = PydanticTask(id=1)
    object.__setattr__(record, "__pydantic_extra__", None)
    record_type = RecordType.of(PydanticTask)
    record_type.update(record, {"new": 1}, ["new"])
    assert record.__pydantic_extra__ == {"new": 1}


class Private(pydantic.BaseModel):
    a: int = 1
    _count: int = 0
    _seen: list[int] = pydantic.PrivateAttr(default_factory=list)
    _lock: Any = pydantic.PrivateAttr(default_factory=threading.Lock)
    _late: Any

    @functools.cached_property
    def twice(self) -> int:
        """A cached value, no data."""
        return self.a * 2


def test_pydantic_private_attributes() -> None:
    """Private data survives; what has no canonical form begins anew, or is refused when it has no default."""
    record_type = RecordType.of(Private)
    record = Private(a=2)
    assert record.twice == 4
    assert record_type.document(record)["$private"] == {"_seen": []}
    record._count, record._late = 5, (1,)
    record._seen.append(7)
    document = record_type.document(record)
    found = record_type.record(document)
    assert (found._count, found._seen, found._late) == (5, [7], (1,))
    assert isinstance(found._lock, type(threading.Lock()))
    assert record_type.peek(record, "$private") == {"_count": 5, "_seen": [7], "_late": (1,)}
    lock = record._lock
    record_type.update(record, {"$private": {"_seen": [8]}}, ["$private"])
    assert (record._count, record._seen, record._lock is lock) == (0, [8], True)
    record_type.update(found, document)
    assert found._count == 5
    record._late = threading.Lock()
    with pytest.raises(Unholdable) as caught:
        record_type.document(record)
    assert caught.value.field == "_late"


@dataclasses.dataclass
class Loose:
    a: int = 1

    @functools.cached_property
    def twice(self) -> int:
        """A cached value, no data."""
        return self.a * 2


def test_undeclared_attributes() -> None:
    """Attributes that were set on an instance survive, cached properties and tracking marks are left out."""
    record_type = RecordType.of(Loose)
    record = Loose(3)
    record.note, record._outlive_owner = {"k": (1,)}, object()  # type: ignore[attr-defined]
    assert record.twice == 6
    document = record_type.document(record)
    assert document == {"a": 3, "$private": {"note": {"k": {"$tuple": [1]}}}}
    assert record_type.record(document).note == {"k": (1,)}
    record_type.update(record, {"a": 4})
    assert not hasattr(record, "note")
    record.bad = object()  # type: ignore[attr-defined]
    with pytest.raises(Unholdable) as caught:
        record_type.document(record)
    assert caught.value.field == "bad"


class UsesValues(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(use_enum_values=True)
    colour: Colour
    maybe: Colour | None = None
    either: Colour | int | None = None
    n: int = 1


def test_use_enum_values() -> None:
    """A Pydantic model that holds enum values and not members is written plainly and given back."""
    record = UsesValues(colour=Colour.RED, maybe=Colour.BLUE, either=Colour.RED)
    record_type = RecordType.of(UsesValues)
    assert record_type.document(record)["colour"] == "red"
    assert same(record_type.record(record_type.document(record)), record)


class Tree(pydantic.BaseModel):
    children: list[Tree] = []
    parent: Tree | None = None


class TypedTree(TypedDict, total=False):
    inner: TypedTree
    colours: dict[str, Colour]


def test_recursive_types() -> None:
    """Types that name themselves work at any depth."""
    tree = Tree(children=[Tree(children=[Tree()])], parent=Tree())
    assert same(RecordType.of(Tree).record(RecordType.of(Tree).document(tree)), tree)
    typed = {"inner": {"inner": {"colours": {"a": Colour.RED}}, "x": (1,), "colours": 5}, "colours": {"$a": Colour.RED}}
    assert RecordType.of(TypedTree).record(RecordType.of(TypedTree).document(typed)) == typed
    with pytest.raises(Unholdable) as caught:
        RecordType.of(TypedTree).document({"inner": {"inner": {"x": object()}}})
    assert caught.value.field == "inner.inner.x"
    odd = {"inner": [1], "colours": {1: Colour.RED}}
    assert RecordType.of(TypedTree).record(RecordType.of(TypedTree).document(odd)) == odd
    keyed = {"inner": {1: 2}}
    assert RecordType.of(TypedTree).record(RecordType.of(TypedTree).document(keyed)) == keyed


def test_cycles_are_refused() -> None:
    """A record that contains itself raises Unholdable instead of exhausting the stack."""
    tree = Tree()
    tree.children.append(tree)
    with pytest.raises(Unholdable, match="itself"):
        RecordType.of(Tree).document(tree)


@attrs.define
class AttrsDefaults:
    a: int
    b: list[int] = attrs.field(factory=list)
    c: int = 4
    d: int = attrs.field(default=attrs.Factory(lambda self: self.c, takes_self=True))


class StructDefaults(msgspec.Struct, frozen=True, kw_only=True):
    a: int
    b: list[int] = []
    c: int = 4

    def __post_init__(self) -> None:
        if self.a == 0:
            raise AssertionError("__post_init__ ran")


class PydanticDefaults(pydantic.BaseModel):
    a: int
    b: list[int] = []
    c: int = 4
    d: int = pydantic.Field(default_factory=lambda data: data["c"])


@pytest.mark.parametrize("cls", [AttrsDefaults, StructDefaults, PydanticDefaults])
def test_fields_declared_later(cls: Any) -> None:
    """A document written before a field was declared gives a record with the field's default, if it has one alone."""
    record = RecordType.of(cls).record({"a": 0})
    assert (record.a, record.b, record.c) == (0, [], 4)
    assert not hasattr(record, "d")
    assert not hasattr(RecordType.of(cls).record({"c": 1}), "a")
    assert RecordType.of(cls).record({"a": 1, "gone": 2}).a == 1


def test_enum_values_that_are_no_more() -> None:
    """A stored value that its enum no longer has raises Unholdable; one that the enum itself maps is taken."""

    class Mapped(enum.Enum):
        NEW = "new"

        @classmethod
        def _missing_(cls, value: object) -> Any:
            return cls.NEW if value == "old" else None

    declared = dataclasses.make_dataclass("HasMapped", [("m", Mapped)])
    record_type = RecordType.of(declared)
    assert record_type.record({"m": "old"}).m is Mapped.NEW
    with pytest.raises(Unholdable, match="is no value of"):
        record_type.record({"m": "never"})


def test_local_classes() -> None:
    """A class that no module gives back is written where an annotation leads to it, and refused elsewhere."""

    @dataclasses.dataclass
    class Hidden:
        a: int

    with pytest.raises(Unholdable, match="cannot be found again"):
        RecordType.of(dict).document({"x": Hidden(1)})
    holder = dataclasses.make_dataclass("Holder", [("one", Hidden | int), ("two", Any)])
    record_type = RecordType.of(holder)
    record = holder(Hidden(1), [Hidden(2)])
    assert record_type.record(record_type.document(record)) == record


def test_unresolvable_annotations() -> None:
    """An annotation that only type checkers can resolve counts as Any, the others keep their meaning."""

    @dataclasses.dataclass
    class Half:
        known: Colour
        unknown: NotThere  # type: ignore[name-defined]  # noqa: F821
        own: Half | None = None

    record_type = RecordType.of(Half)
    record = Half(Colour.RED, Colour.BLUE, None)
    document = record_type.document(record)
    assert document["known"] == "red"
    assert document["unknown"] == {"$enum": ["tests.unit.records.kinds:Colour", "blue"]}
    assert record_type.record(document) == record


@pytest.mark.parametrize(
    "document",
    [
        {"x": {"$enum": ["builtins:int", 1]}},
        {"x": {"$enum": ["nowhere:Colour", 1]}},
        {"x": {"$object": ["builtins:int", {}]}},
        {"x": {"$named": ["builtins:int", []]}},
        {"x": {"$derived": ["builtins:bytes", "str", "a"]}},
        {"x": {"$pydantic": ["BaseModel", "a"]}},
    ],
)
def test_tags_build_nothing_else(document: Any) -> None:
    """A tag that names a class of another sort is refused: documents cannot call what they like."""
    with pytest.raises(Unholdable):
        RecordType.of(dict).record(document)


def test_derived_scalars_with_attributes() -> None:
    """A subclass of a scalar that carries attributes of its own is refused, not cut."""
    text = type("Text", (str,), {})("a")
    sys.modules[__name__].Text = type(text)  # type: ignore[attr-defined]
    type(text).__module__, type(text).__qualname__ = __name__, "Text"
    assert type(RecordType.of(str).record(RecordType.of(str).document(text))) is type(text)
    text.note = 1
    with pytest.raises(Unholdable, match="attributes"):
        RecordType.of(str).document(text)


class FakePytz(dt.tzinfo):
    zone = "Fake/Zone"

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        """Three hours."""
        return dt.timedelta(hours=3)

    def normalize(self, when: dt.datetime) -> dt.datetime:
        """The moment in this zone."""
        return when.replace(tzinfo=self)


def test_time_zones_of_other_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytz zones come back by name; a zone class that nobody knows is refused."""
    zone = FakePytz()
    moments = [dt.datetime(2025, 1, 1, tzinfo=zone), dt.time(1, tzinfo=zone)]
    with pytest.raises(Unholdable, match="time zone of class"):
        RecordType.of(dict).document({"x": moments[0]})
    monkeypatch.setitem(sys.modules, "pytz", types.SimpleNamespace(timezone=lambda name: zone))  # type: ignore[arg-type]
    monkeypatch.setattr(FakePytz, "__module__", "pytz.fake")
    for moment in moments:
        found = RecordType.of(dict).record(RecordType.of(dict).document({"x": moment}))["x"]
        assert (found, found.tzinfo) == (moment, zone)


def test_missing_is_one_object() -> None:
    """MISSING is falsy, says its name, and stays itself through pickling."""
    import copy

    assert not MISSING
    assert repr(MISSING) == "MISSING"
    assert copy.copy(MISSING) is MISSING


@pytest.mark.parametrize("data", [b"NaN", b'{"a":Infinity}', b"{", b"\xff"])
def test_parse_refuses_what_is_no_document(data: bytes) -> None:
    """Bytes that are no strict JSON raise ValueError."""
    with pytest.raises(ValueError):
        parse(data)


Bound = typing.TypeVar("Bound", bound=Colour)
Alias = typing_extensions.TypeAliasType("Alias", list[Colour])


@pytest.mark.parametrize(
    ("annotation", "value", "written"),
    [
        (Bound, Colour.RED, "red"),
        (Alias, [Colour.RED], ["red"]),
        (typing.Annotated[Colour | None, "note"], Colour.RED, "red"),
        (typing.List, [Colour.RED], None),  # noqa: UP006
        (typing.Sequence[Colour], [Colour.RED], ["red"]),
        (typing.Dict[str, Colour], {"a": Colour.RED}, {"a": "red"}),  # noqa: UP006
        (dict[str, Colour], {"$tuple": Colour.RED}, {"$dict": [["$tuple", "red"]]}),
        (dict[str, Colour], [Colour.RED], None),
        (tuple[Colour, Address], (Colour.RED, Address(street="a"), Colour.RED), None),
        (tuple[Colour, ...], [Colour.RED], None),
        (list[Colour], "red", "red"),
        (Colour, {"a": 1}, {"a": 1}),
        (Colour, "red", {"$raw": "red"}),
        (Address, {"street": "a"}, {"$dict": [["street", "a"]]}),
    ],
    ids=str,
)
def test_places(annotation: Any, value: Any, written: Any) -> None:
    """An annotation shortens what it names; any other value in its place comes back as what it is."""
    record_type = RecordType.of(dataclasses.make_dataclass("Placed", [("v", annotation)]))
    found = record_type.encode("v", value)
    assert written is None or found == written
    assert same(record_type.decode("v", parse(canonical(found))), value)
