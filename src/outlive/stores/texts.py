"""Records as JSON, as the service's own responses have them.

A Pydantic model is written as FastAPI writes it for `-> list[Model]`: by Pydantic, in JSON mode, by alias. Every other
record is written as FastAPI writes it without a response model: dataclasses and the like as objects of their fields,
dates as ISO text, Decimals as numbers, enum members as their values. A service that answers otherwise overrides
`Repository.encode_json`.
"""

from __future__ import annotations

import collections
import datetime as dt
import enum
import functools
import json
import pathlib
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from outlive.errors import Unholdable
from outlive.query.compile_json import JsonForm
from outlive.records import MISSING, RecordType
from outlive.records.shapes import PydanticShape, is_pydantic, shape_of

_LISTS = (set, frozenset, tuple, collections.deque)


def encode_record(record: Any) -> bytes:
    """The record's JSON. Raises Unholdable for a value that JSON has no form for, such as NaN."""
    try:
        if is_pydantic(type(record)):
            return _by_pydantic(record)
        return _encode(record).encode()
    except (ValueError, TypeError) as error:
        raise Unholdable(reason=str(error)) from None


def _by_pydantic(record: Any) -> bytes:
    text: bytes = type(record).__pydantic_serializer__.to_json(record, by_alias=True, warnings=False)
    return text


def _other(value: Any) -> Any:
    """A value that JSON has no form for, as one that it has."""
    for kind, form in _FORMS.items():
        if isinstance(value, kind):
            return form(value)
    if is_pydantic(type(value)):
        return type(value).__pydantic_serializer__.to_python(value, mode="json", by_alias=True, warnings=False)
    shape = shape_of(type(value))
    if shape is None:
        raise TypeError(f"{type(value).__qualname__} has no form in JSON")
    held = ((name, shape.get(value, name)) for name in shape.names)
    return {name: part for name, part in held if part is not MISSING}


def _number(value: Decimal) -> int | float:
    exponent = value.as_tuple().exponent
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


_FORMS: dict[type[Any] | tuple[type[Any], ...], Callable[[Any], Any]] = {
    enum.Enum: lambda value: value.value,
    (dt.date, dt.time): lambda value: value.isoformat(),
    Decimal: _number,
    _LISTS: list,
    (uuid.UUID, pathlib.PurePath): str,
    dt.timedelta: lambda value: value.total_seconds(),
    bytes: lambda value: value.decode(),
}
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_other).encode


@functools.cache
def json_form(record_type: RecordType) -> JsonForm | None:
    """How `encode_record` writes records of a type, None where only the records themselves can tell."""
    shape = shape_of(record_type.declared) if record_type.kind == "model" else None
    if shape is None:
        return None
    if not isinstance(shape, PydanticShape):
        return JsonForm({name: name for name in shape.names}, "+00:00", decimals=False)
    if not _writes_plainly(shape.cls):
        return None
    fields = shape.cls.__pydantic_fields__
    names = {name: field.serialization_alias or field.alias or name for name, field in fields.items()}
    return JsonForm(names, "Z", decimals=True)


def _writes_plainly(cls: Any) -> bool:
    """Whether a model's JSON is its fields, one by one, as Pydantic writes their types."""
    config, given = cls.model_config, cls.__pydantic_decorators__
    if any(name == "json_encoders" or name.startswith("ser_json") or name == "extra" for name in config):
        return False
    if (
        given.field_serializers
        or given.model_serializers
        or given.computed_fields
        or "__get_pydantic_core_schema__" in vars(cls)
    ):
        return False
    fields = cls.__pydantic_fields__.values()
    return not any(field.exclude or any("Serial" in type(m).__name__ for m in field.metadata) for field in fields)
