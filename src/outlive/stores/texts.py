"""Records as JSON, as the service's own responses have them.

A Pydantic model is written as FastAPI writes it for `-> list[Model]`: by Pydantic, in JSON mode, by alias. Every other
record is written as FastAPI writes it without a response model: dataclasses and the like as objects of their fields,
dates as ISO text, Decimals as numbers, enum members as their values. A service that answers otherwise overrides
`Repository.encode_json`.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import functools
import json
import pathlib
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from outlive.errors import Unholdable
from outlive.query.compile_json import JsonForm
from outlive.records import MISSING, RecordType
from outlive.records.shapes import PydanticShape, is_pydantic, shape_of

_LISTS = (set, frozenset, tuple, collections.deque)


@dataclasses.dataclass(frozen=True, eq=False)
class JsonView:
    """How a repository's records look in JSON: the class attribute `json_view` of a subclass of `outlive.Repository`.

    `names` gives the fields that have another name there, `hide` those that are left out. `utc` is what aware times in
    UTC end with: "+00:00", "Z", or "" for services that always answered without a zone; `utc_of` says it for single
    fields. `gather` makes one object of several fields, null where all of them are None; `unless_none` names fields
    and such objects that are left out where they are None. Not for Pydantic models, which say all of this themselves.
    """

    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hide: tuple[str, ...] = ()
    utc: str = "+00:00"
    utc_of: Mapping[str, str] = dataclasses.field(default_factory=dict)
    gather: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    unless_none: tuple[str, ...] = ()

    def name_of(self, field: str) -> str | None:
        """A field's name in JSON, None where it is left out."""
        return None if field in self.hide else self.names.get(field, field)

    @functools.cached_property
    def _groups(self) -> dict[str, str]:
        return {field: name for name, fields in self.gather.items() for field in fields}

    def group_of(self, field: str) -> str | None:
        """The name in JSON of the object that a field is part of."""
        return self._groups.get(field)


PLAIN_VIEW = JsonView()


def encode_record(record: Any, view: JsonView = PLAIN_VIEW) -> bytes:
    """The record's JSON. Raises Unholdable for a value that JSON has no form for, such as NaN."""
    try:
        if is_pydantic(type(record)):
            return _by_pydantic(record)
        return _encoder(view.utc)(record if view is PLAIN_VIEW else _viewed(record, view)).encode()
    except (ValueError, TypeError) as error:
        raise Unholdable(reason=str(error)) from None


def _viewed(record: Any, view: JsonView) -> dict[str, Any]:
    shape = shape_of(type(record))
    fields = record.items() if shape is None else ((name, shape.get(record, name)) for name in shape.names)
    shown: dict[str, Any] = {}
    for field, part in fields:
        name, group = view.name_of(field), view.group_of(field)
        if name is None or part is MISSING or (part is None and field in view.unless_none):
            continue
        at = shown if group is None else shown.setdefault(group, {})
        at[name] = _moment(part, view.utc_of[field]) if field in view.utc_of else part
    for group in view.gather:
        if group in shown and all(part is None for part in shown[group].values()):
            shown[group] = None
            if group in view.unless_none:
                del shown[group]
    return shown


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


@functools.cache
def _encoder(utc: str) -> Callable[[Any], str]:
    def moment(value: Any) -> Any:
        return _moment(value, utc) if isinstance(value, dt.datetime) else _other(value)

    default = _other if utc == "+00:00" else moment
    return json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default).encode


def _moment(value: Any, utc: str) -> Any:
    """A time as text, in UTC with this ending; any other value as it is."""
    if not isinstance(value, dt.datetime):
        return value
    return value.replace(tzinfo=None).isoformat() + utc if value.utcoffset() == _NO_OFFSET else value.isoformat()


_NO_OFFSET = dt.timedelta(0)
_FORM_CACHE: dict[tuple[int, int], tuple[RecordType, JsonView, JsonForm | None]] = {}


def json_form(record_type: RecordType, view: JsonView = PLAIN_VIEW) -> JsonForm | None:
    """How `encode_record` writes records of a type, None where only the records themselves can tell."""
    place = id(record_type), id(view)
    if place not in _FORM_CACHE:
        _FORM_CACHE[place] = record_type, view, _json_form(record_type, view)
    return _FORM_CACHE[place][2]


def _json_form(record_type: RecordType, view: JsonView) -> JsonForm | None:
    shape = shape_of(record_type.declared) if record_type.kind == "model" else None
    if shape is None:
        return None
    if not isinstance(shape, PydanticShape):
        shown = ((name, view.name_of(name)) for name in shape.names)
        names = {name: as_ for name, as_ in shown if as_ is not None}
        return JsonForm(
            names, view.utc, decimals="number", utc_of=view.utc_of, gather=view.gather, unless_none=view.unless_none
        )
    if not _writes_plainly(shape.cls):
        return None
    fields = shape.cls.__pydantic_fields__
    names = {name: field.serialization_alias or field.alias or name for name, field in fields.items()}
    return JsonForm(names, "Z", decimals="text")


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
