"""I8: a record's document gives back the record, equal with equal types at every depth."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlive.errors import Unholdable
from outlive.records import RecordType, canonical, key_text, parse, parse_key
from tests.unit.records.kinds import (
    AS_BUILTIN,
    CLASSES,
    FIELDS,
    UNHOLDABLE,
    VALUES,
    Colour,
    DictTask,
    make,
    same,
)
from tests.unit.records.strategies import field_values, hashables, plain_records, values


def back(record_type: RecordType, record: Any) -> Any:
    """The record after a journey through the bytes of its document."""
    data = canonical(record_type.document(record))
    document = parse(data)
    assert canonical(document) == data
    return record_type.record(document)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_any_value_in_any_field(cls: Any, name: str) -> None:
    """Whatever the annotation says, each field of each kind of class gives back each value."""
    record_type = RecordType.of(cls)
    for field in FIELDS:
        record = make(cls, **{"id": 1, field: VALUES[name]})
        assert same(back(record_type, record), record), field


@pytest.mark.parametrize("name", VALUES)
def test_any_value_in_dicts(name: str) -> None:
    """Typed and plain dicts give back each value under each key, missing keys stay missing."""
    value = VALUES[name]
    for declared in (DictTask, dict, dict[str, Any], dict[str, Colour]):
        record_type = RecordType.of(declared)
        for field in FIELDS:
            record = {"later": value, field: value}
            assert same(back(record_type, record), record), (declared, field)


@pytest.mark.parametrize("name", VALUES)
def test_any_value_as_record(name: str) -> None:
    """A record of a declared scalar type, or of Any, is given back whatever it is."""
    value = VALUES[name]
    for declared in (Any, type(value), int, list[Colour], Colour, *CLASSES, DictTask, dict):
        assert same(back(RecordType.of(declared), value), value), declared


def hashable(value: Any) -> bool:
    """True when the value may be a dict key."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("name", [name for name, value in VALUES.items() if hashable(value)])
def test_any_hashable_value_as_key(name: str) -> None:
    """Each hashable value has a key text, and the text gives it back; as a dict key it is given back too."""
    value = VALUES[name]
    assert same(parse_key(key_text(value)), value)
    record = {value: 1, "other": {value: 2}}
    assert same(back(RecordType.of(dict), record), record)


def test_key_texts_do_not_collide() -> None:
    """Keys that Python or JSON confuses have different texts."""
    keys = [1, True, "1", None, 1.0, "true", "null", (1,), [1], b"1", "(1,)", -0.0, 0.0, 0, False, ""]
    assert len({key_text(key) for key in keys}) == len(keys)


@pytest.mark.parametrize(("value", "builtin"), AS_BUILTIN)
def test_container_subclasses_are_builtins(value: Any, builtin: Any) -> None:
    """Tracked and other subclasses of dict, list and set have the document of their builtin."""
    record_type = RecordType.of(dict)
    assert canonical(record_type.document({"v": value})) == canonical(record_type.document({"v": builtin}))
    assert same(back(record_type, {"v": value}), {"v": builtin})


@pytest.mark.parametrize("name", UNHOLDABLE)
@pytest.mark.parametrize("declared", [*CLASSES, DictTask, dict], ids=lambda one: one.__name__)
def test_unholdable_names_the_path(declared: Any, name: str) -> None:
    """A value without canonical form raises Unholdable that names the field path, by record and by field."""
    value, path = UNHOLDABLE[name]
    record_type = RecordType.of(declared)
    record = {"text": value} if record_type.kind == "dict" else make(declared, id=1, text=value)
    with pytest.raises(Unholdable) as of_field:
        record_type.encode("text", value)
    with pytest.raises(Unholdable) as of_record:
        record_type.document(record)
    assert of_field.value.field == "text" + path or name == "cycle"
    assert of_record.value.field == "text" + path or name == "cycle"
    assert of_record.value.reason


@pytest.mark.parametrize("value", ["\x00", "\ud800", float("nan"), (1, float("inf")), object()])
def test_unholdable_keys(value: Any) -> None:
    """A key without text raises Unholdable that names it."""
    with pytest.raises(Unholdable) as caught:
        key_text(value)
    assert caught.value.key == repr(value)


@settings(deadline=None, max_examples=200)
@given(plain_records)
def test_plain_records(record: dict[Any, Any]) -> None:
    """Any dict of anything is given back, order and key types included."""
    assert same(back(RecordType.of(dict), record), record)


@settings(deadline=None, max_examples=200)
@given(field_values, st.sampled_from(CLASSES))
def test_model_records(fields: dict[str, Any], cls: Any) -> None:
    """Any values in any fields of any class are given back."""
    record = make(cls, **{"id": 1, **fields})
    assert same(back(RecordType.of(cls), record), record)


@settings(deadline=None, max_examples=200)
@given(values, st.sampled_from([Any, int, list[Colour], dict[Colour, float], tuple[Colour, ...], set[Colour]]))
def test_value_records(value: Any, declared: Any) -> None:
    """Any value is given back as a record of its own."""
    assert same(back(RecordType.of(declared), value), value)


@settings(deadline=None, max_examples=300)
@given(hashables, hashables)
def test_keys(one: Any, two: Any) -> None:
    """Key texts give the key back, and two keys share a text only when they are the same key."""
    assert same(parse_key(key_text(one)), one)
    assert (key_text(one) == key_text(two)) == same(one, two)
