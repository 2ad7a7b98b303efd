"""Records keep no `__dict__` of their own, and what they hold is read as exactly as from one."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

from outlive.records import MISSING, RecordType
from outlive.records.inline import Inline, held
from outlive.records.shapes import shape_of


@dataclass
class Plain:
    id: int
    title: str = "untitled"
    note: str | None = None


@dataclass
class Asks:
    id: int

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def has_dict(record: Any) -> bool:
    """Whether an instance has a dict."""
    return any(type(part) is dict for part in gc.get_referents(record))


def test_reading_and_writing_a_record_gives_it_no_dict() -> None:
    """A document is made, a field read and set, a record built: none of them has a `__dict__` afterwards."""
    kind = RecordType.of(Plain)
    record = Plain(1)
    shape = shape_of(Plain)
    assert shape is not None
    assert kind.document(record) == {"id": 1, "title": "untitled", "note": None}
    assert [kind.peek(record, name) for name in ("title", "note", "other")] == ["untitled", None, MISSING]
    shape.put(record, "title", "t")
    built = kind.record(kind.document(record))
    assert built == Plain(1, "t")
    assert not has_dict(record)
    assert not has_dict(built)


def test_what_an_instance_lacks_is_not_taken_from_its_class() -> None:
    """A deleted field is missing though its class has a default, and an undeclared attribute is seen."""
    kind = RecordType.of(Plain)
    bare, more = Plain(1), Plain(2)
    del bare.title
    more.extra = 3  # type: ignore[attr-defined]
    assert kind.peek(bare, "title") is MISSING
    assert kind.document(bare) == {"id": 1, "note": None, "$absent": ["title"]}
    assert kind.document(more)["$private"] == {"extra": 3}


def test_attributes_in_another_order_and_in_a_dict_are_the_same() -> None:
    """A record whose attributes were set in another order, or that has a `__dict__`, has the same document."""
    turned = object.__new__(Plain)
    turned.note, turned.title, turned.id = None, "t", 1
    looked_at = Plain(1, "t")
    assert vars(looked_at)
    kind = RecordType.of(Plain)
    assert held(looked_at) is None
    assert kind.document(turned) == kind.document(looked_at) == kind.document(Plain(1, "t"))


def test_a_class_that_answers_for_its_attributes_is_not_asked() -> None:
    """`__getattr__` of a record's class never runs."""
    assert Inline.of(Asks, ("id",)) is None
    record = Asks(1)
    del record.id
    assert RecordType.of(Asks).document(record) == {"$absent": ["id"]}
