"""What tells without encoding whether a record still holds the very same values."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections import OrderedDict
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, PrivateAttr

from outlive.records import RecordType


class Colour(enum.Enum):
    RED = "red"


class Holder(enum.Enum):
    LIST = [1]


@dataclasses.dataclass
class Plain:
    name: str
    value: Any = None


@dataclasses.dataclass(slots=True)
class Slotted:
    name: str
    value: Any = None


class Model(BaseModel):
    name: str
    value: Any = None


class Secretive(BaseModel):
    name: str
    _secret: int = PrivateAttr(default=1)


FIXED = [None, 1, 1.5, True, "x", b"x", 1j, Decimal("1.0"), dt.datetime(2026, 1, 1), dt.timedelta(1), Colour.RED]
LOOSE = [[1], {"a": 1}, (1, 2), Plain("x"), Holder.LIST]


@pytest.mark.parametrize("cls", [Plain, Slotted, Model])
@pytest.mark.parametrize("value", FIXED, ids=repr)
def test_a_record_of_values_that_cannot_change_is_the_same_until_one_is_replaced(cls: Any, value: Any) -> None:
    """An equal value in another object counts as a change: it may have another form."""
    record_type, record = RecordType.of(cls), cls(name="a", value=value)
    then = record_type.fixed(record)
    assert then is not None
    assert record_type.same(record, then)
    record.name = "b"
    assert not record_type.same(record, then)


@pytest.mark.parametrize("value", LOOSE, ids=repr)
def test_a_record_with_a_value_that_may_change_in_place_tells_nothing(value: Any) -> None:
    """Lists, dicts, tuples, objects: only the document can tell."""
    assert RecordType.of(Plain).fixed(Plain("a", value)) is None
    assert RecordType.of(dict).fixed({"a": value}) is None


def test_true_is_not_one() -> None:
    """Equality is not enough: 1, 1.0 and True have different forms."""
    record_type, record = RecordType.of(Plain), Plain("a", 1)
    then = record_type.fixed(record)
    record.value = True
    assert then is not None
    assert not record_type.same(record, then)


def test_a_dict_is_the_same_with_the_same_items_in_the_same_order() -> None:
    """Another key, another order or an ordered dict is a change, or tells nothing."""
    record_type = RecordType.of(dict)
    one, two = "one", 2
    then = record_type.fixed({"a": one, "b": two})
    assert then is not None
    assert record_type.same({"a": one, "b": two}, then)
    assert not record_type.same({"b": two, "a": one}, then)
    assert not record_type.same({"a": one, "b": two, "c": None}, then)
    assert record_type.fixed(OrderedDict(a=one)) is None
    assert record_type.fixed({(1,): one}) is None


def test_what_a_model_was_given_is_part_of_it() -> None:
    """A Pydantic model tells given fields from defaults; one with private attributes or extras tells nothing."""
    record_type, record = RecordType.of(Model), Model(name="a")
    then = record_type.fixed(record)
    record.model_fields_set.add("value")
    assert then is not None
    assert not record_type.same(record, then)
    assert RecordType.of(Secretive).fixed(Secretive(name="a")) is None
