"""Classes with attributes as one thing: their fields, and reading, writing and making instances.

Everything here goes below `__init__`, `__setattr__` and validation, because classes are instrumented elsewhere and
because a rebuilt record must equal the old one, valid or not. A shape is compiled once a class and holds the class's
own descriptors as they were then.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from operator import is_
from typing import Any

from outlive.records.fixed import Fixed, fixed, same
from outlive.records.inline import Inline
from outlive.records.wire import MISSING

_attributes = object.__getattribute__
_set = object.__setattr__

# Types whose equal values cannot be told apart, and those that a private attribute may be reset from.
_CONSTANT = frozenset({type(None), bool, int, str, bytes})
_DATA = frozenset({*_CONSTANT, float, list, dict, set, tuple})

# Attributes that the tracking room keeps on instances.
HIDDEN = "_outlive"


class Shape:
    """Fields of a class and access to its instances; base for dataclasses and attrs classes.

    `names` are the declared fields in order, `hints` their annotations, `defaults` make what a field begins with.
    Fields live in `__dict__` or in slots.
    """

    keeps_extra = False

    def __init__(self, cls: type[Any], names: tuple[str, ...]) -> None:
        self.cls = cls
        self.names = names
        hints = class_hints(cls)
        self.hints: Mapping[str, Any] = {name: hints.get(name, Any) for name in names}
        self.slots = {name: slot for name in names if (slot := _data_descriptor(cls, name)) is not None}
        self.has_dict = _has_dict(cls)
        self.defaults: Mapping[str, Callable[[], Any]] = dict(_defaults(cls))
        self._known = frozenset(names)
        self._cached = frozenset(_cached_properties(cls))
        self._new = _maker(cls)
        self._by_object = isinstance(self._new, functools.partial) and self._new.func is object.__new__
        plain = type(self) is Shape and self.has_dict and not self.slots
        self._inline = Inline.of(cls, names) if plain else None

    @property
    def inline(self) -> bool:
        """Whether a new instance is one of `object.__new__` with its fields set one by one."""
        return self._inline is not None and self._by_object

    def values(self, record: Any) -> dict[str, Any]:
        """Declared fields that the record has; may be its own `__dict__` (with more in it), so only to be read."""
        if self._inline is not None:
            inline = self._inline.values(record)
            if inline is not None:
                return inline
        held: dict[str, Any] = _attributes(record, "__dict__") if self.has_dict else {}
        if not self.slots:
            return held
        held = dict(held)
        for name, slot in self.slots.items():
            value = _read(slot, record)
            if value is not MISSING:
                held[name] = value
        return held

    def row(self, record: Any) -> Fixed | None:
        """Names and values of a record that has all of the declared fields, in order, and nothing else; else None."""
        values = None if self._inline is None else self._inline.row(record)
        if values is None:
            held = self.values(record)
            values = tuple(held.values()) if tuple(held) == self.names else None
        return None if values is None else (self.names, values, None)

    def fixed(self, record: Any) -> Fixed | None:
        """What the record's document is made of; None where a part of it may change in place."""
        return fixed(self.values(record))

    def same(self, record: Any, then: Fixed) -> bool:
        """Whether the record is still made of that."""
        now = self.row(record) if then[0] is self.names else None
        return same(then, self.values(record)) if now is None else all(map(is_, then[1], now[1]))

    def get(self, record: Any, name: str) -> Any:
        """A field's value or MISSING."""
        slot = self.slots.get(name)
        if slot is not None:
            return _read(slot, record)
        if self._inline is not None:
            try:
                value = _attributes(record, name)
            except AttributeError:
                return MISSING
            if not self._inline.may_be_the_class(name, value) or self._inline.values(record) is not None:
                return value
        return _attributes(record, "__dict__").get(name, MISSING) if self.has_dict else MISSING

    def put(self, record: Any, name: str, value: Any) -> None:
        """Sets a field, past any `__setattr__`."""
        slot = self.slots.get(name)
        if slot is not None:
            slot.__set__(record, value)
        elif self._inline is not None:
            _set(record, name, value)
        else:
            _attributes(record, "__dict__")[name] = value

    def drop(self, record: Any, name: str) -> None:
        """Removes a field if the record has it."""
        slot = self.slots.get(name)
        if slot is None:
            if self.has_dict:
                _attributes(record, "__dict__").pop(name, None)
        elif _read(slot, record) is not MISSING:
            slot.__delete__(record)

    def make(self, values: dict[str, Any]) -> Any:
        """A new instance with these fields; `values` becomes its own."""
        record = self._new()
        if not self.slots:
            try:
                for name, value in values.items():
                    _set(record, name, value)  # without a __dict__ of its own the record is half as large
            except TypeError:  # a class that keeps its attributes in C
                _attributes(record, "__dict__").update(values)
            return record
        for name, value in values.items():
            self.put(record, name, value)
        return record

    def loose(self, record: Any) -> dict[str, Any]:
        """Attributes that were set on the instance and are no declared field; cached properties do not count."""
        if not self.has_dict or (self._inline is not None and self._inline.values(record) is not None):
            return {}
        held = _attributes(record, "__dict__")
        if held.keys() <= self._known:
            return {}
        return {name: held[name] for name in held if self._is_loose(name)}

    def set_loose(self, record: Any, values: Mapping[str, Any]) -> None:
        """Makes the undeclared attributes equal `values`."""
        for name in self.loose(record).keys() - values.keys():
            del _attributes(record, "__dict__")[name]
        if values:
            _attributes(record, "__dict__").update(values)

    def _is_loose(self, name: str) -> bool:
        return name not in self._known and name not in self._cached and not name.startswith(HIDDEN)


class PydanticShape(Shape):
    """A Pydantic v2 model: fields in `__dict__`, extras and the set of given fields in slots of their own."""

    def __init__(self, cls: type[Any]) -> None:
        super().__init__(cls, tuple(cls.__pydantic_fields__))
        as_values = bool(cls.model_config.get("use_enum_values"))
        self.hints = {
            name: _enum_values(field.annotation) if as_values else field.annotation
            for name, field in cls.__pydantic_fields__.items()
        }
        self.slots = {}
        self.keeps_extra = cls.model_config.get("extra") == "allow"
        self._private: Mapping[str, Any] = cls.__private_attributes__ or {}
        self._all = frozenset(self.names)

    def row(self, record: Any) -> Fixed | None:
        held = self.values(record)
        if self.keeps_extra or self._private or tuple(held) != self.names or self.given(record) != self._all:
            return None
        return self.names, tuple(held.values()), self._all

    def fixed(self, record: Any) -> Fixed | None:
        if self.keeps_extra or self._private:
            return None
        return fixed(self.values(record), frozenset(self.given(record)))

    def same(self, record: Any, then: Fixed) -> bool:
        return same(then, self.values(record), self.given(record))

    def extra(self, record: Any) -> dict[str, Any]:
        """Fields beyond the declared ones (`extra="allow"`)."""
        return _attributes(record, "__pydantic_extra__") or {} if self.keeps_extra else {}

    def get(self, record: Any, name: str) -> Any:
        value = _attributes(record, "__dict__").get(name, MISSING) if name in self._known else MISSING
        return self.extra(record).get(name, MISSING) if value is MISSING else value

    def put(self, record: Any, name: str, value: Any) -> None:
        home = _attributes(record, "__dict__") if name in self._known else self._open_extra(record)
        home[name] = value

    def drop(self, record: Any, name: str) -> None:
        home = _attributes(record, "__dict__") if name in self._known else self.extra(record)
        home.pop(name, None)

    def unset(self, record: Any) -> list[str]:
        """Names of fields that the record holds by default and not because they were given."""
        given = _attributes(record, "__pydantic_fields_set__")
        held = _attributes(record, "__dict__")
        extra = self.extra(record)
        if len(given) == len(held) + len(extra) == len(self.names) + len(extra):
            return []
        return [name for name in (*self.names, *extra) if name not in given and (name in held or name in extra)]

    def make(self, values: dict[str, Any]) -> Any:
        record = self._new()
        extra = {name: values.pop(name) for name in [*values] if name not in self._known} if self.keeps_extra else None
        object.__setattr__(record, "__dict__", values)
        object.__setattr__(record, "__pydantic_extra__", extra)
        object.__setattr__(record, "__pydantic_fields_set__", {*values, *(extra or ())})
        object.__setattr__(record, "__pydantic_private__", self._fresh_private())
        return record

    def set_given(self, record: Any, given: set[str]) -> None:
        """Replaces the set of fields that were given."""
        object.__setattr__(record, "__pydantic_fields_set__", given)

    def given(self, record: Any) -> set[str]:
        """The record's own set of given fields."""
        held: set[str] = _attributes(record, "__pydantic_fields_set__")
        return held

    def loose(self, record: Any) -> dict[str, Any]:
        """Private attributes that differ from the default that a new instance has."""
        held = _attributes(record, "__pydantic_private__") or {}
        return {name: value for name, value in held.items() if self._tells(name, value)}

    def set_loose(self, record: Any, values: Mapping[str, Any]) -> None:
        """Sets private attributes; one that `values` does not name goes back to its default if it told something."""
        if not values and not self._private:
            return
        held = _attributes(record, "__pydantic_private__") or {}
        kept = {name: value for name, value in held.items() if name not in values and not self._is_data(name, value)}
        fresh = {name: value for name, value in (self._fresh_private() or {}).items() if name not in kept}
        object.__setattr__(record, "__pydantic_private__", {**fresh, **kept, **values})

    def makes_itself(self, name: str) -> bool:
        """True when a private attribute has a default to begin with after a restart."""
        attribute = self._private.get(name)
        return attribute is not None and self._default(attribute) is not MISSING

    def _tells(self, name: str, value: Any) -> bool:
        if name.startswith(HIDDEN):
            return False
        attribute = self._private.get(name)
        if attribute is None or attribute.default_factory is not None:
            return True
        default = attribute.default
        return type(value) is not type(default) or type(value) not in _CONSTANT or value != default

    def _is_data(self, name: str, value: Any) -> bool:
        return self._tells(name, value) and type(value) in _DATA

    def _fresh_private(self) -> dict[str, Any] | None:
        if not self._private:
            return None
        fresh = {name: self._default(attribute) for name, attribute in self._private.items()}
        return {name: value for name, value in fresh.items() if value is not MISSING}

    @staticmethod
    def _default(attribute: Any) -> Any:
        if attribute.default_factory is not None:
            return attribute.default_factory()
        value = attribute.get_default()
        return MISSING if type(value).__name__ == "PydanticUndefinedType" else value

    def _open_extra(self, record: Any) -> dict[str, Any]:
        extra: dict[str, Any] | None = _attributes(record, "__pydantic_extra__")
        if extra is None:
            extra = {}
            object.__setattr__(record, "__pydantic_extra__", extra)
        return extra


class StructShape(Shape):
    """A msgspec Struct: fields in C slots; a new one is a copy of a template, because `__new__` wants valid fields."""

    def __init__(self, cls: type[Any]) -> None:
        super().__init__(cls, tuple(cls.__struct_fields__))

    def make(self, values: dict[str, Any]) -> Any:
        record = self._new().__copy__()
        for name in self.names:
            if name in values:
                self.put(record, name, values[name])
            else:
                self.drop(record, name)
        return record


def shape_of(cls: Any) -> Shape | None:
    """The shape of a class with attributes, or None when `cls` is no such class. Compiled once a class."""
    return _shape(cls) if isinstance(cls, type) and typing.get_origin(cls) is None else None


@functools.cache
def _shape(cls: type[Any]) -> Shape | None:
    if is_pydantic(cls):
        return PydanticShape(cls)
    if dataclasses.is_dataclass(cls):
        return Shape(cls, tuple(field.name for field in dataclasses.fields(cls)))
    if "__attrs_attrs__" in vars(cls) or hasattr(cls, "__attrs_attrs__"):
        return Shape(cls, tuple(field.name for field in cls.__attrs_attrs__))
    return StructShape(cls) if _is_struct(cls) else None


def is_pydantic(cls: type[Any]) -> bool:
    """True for a Pydantic v2 model class; never imports Pydantic."""
    module = sys.modules.get("pydantic")
    return module is not None and issubclass(cls, module.BaseModel) and cls is not module.BaseModel


def _is_struct(cls: type[Any]) -> bool:
    module = sys.modules.get("msgspec")
    return module is not None and issubclass(cls, module.Struct) and cls is not module.Struct


def class_hints(cls: Any) -> dict[str, Any]:
    """Annotations by name, resolved; one that cannot be resolved counts as Any."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except Exception:  # noqa: BLE001  (a name that only type checkers see)
        return dict(_single_hints(cls))


def _single_hints(cls: Any) -> Iterator[tuple[str, Any]]:
    for base in reversed(cls.__mro__):
        namespace = dict(vars(sys.modules.get(base.__module__, types)))
        for name, annotation in vars(base).get("__annotations__", {}).items():
            holder = types.SimpleNamespace(__annotations__={name: annotation})
            try:
                yield name, typing.get_type_hints(holder, namespace, {cls.__name__: cls}, include_extras=True)[name]
            except Exception:  # noqa: BLE001
                yield name, Any


def _defaults(cls: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What a field begins with that a stored document does not have yet, because it was declared later."""
    if dataclasses.is_dataclass(cls):
        for field in dataclasses.fields(cls):
            if field.default_factory is not dataclasses.MISSING:
                yield field.name, field.default_factory
            elif field.default is not dataclasses.MISSING:
                yield field.name, functools.partial(_same, field.default)
    elif hasattr(cls, "__attrs_attrs__"):
        yield from _attrs_defaults(cls)
    elif hasattr(cls, "__pydantic_fields__"):
        for name, info in cls.__pydantic_fields__.items():
            if not info.is_required() and not getattr(info, "default_factory_takes_validated_data", False):
                yield name, functools.partial(info.get_default, call_default_factory=True)
    elif _is_struct(cls):
        yield from _struct_defaults(cls)


def _attrs_defaults(cls: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    attrs = sys.modules["attr"]
    for field in cls.__attrs_attrs__:
        if isinstance(field.default, attrs.Factory):
            if not field.default.takes_self:
                yield field.name, field.default.factory
        elif field.default is not attrs.NOTHING:
            yield field.name, functools.partial(_same, field.default)


def _struct_defaults(cls: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    msgspec = sys.modules["msgspec"]
    for field in msgspec.structs.fields(cls):
        if field.default_factory is not msgspec.NODEFAULT:
            yield field.name, field.default_factory
        elif field.default is not msgspec.NODEFAULT:
            yield field.name, functools.partial(_same, field.default)


def _same(value: Any) -> Any:
    return value


def _enum_values(hint: Any) -> Any:
    """The annotation that a field has once `use_enum_values` put values in the place of members."""
    members = [member for member in typing.get_args(hint) if member is not type(None)] or [hint]
    enums = [member for member in members if isinstance(member, type) and issubclass(member, enum.Enum)]
    if not enums:
        return hint
    kinds = {type(member.value) for kind in enums for member in kind}
    return kinds.pop() | None if len(kinds) == 1 and len(members) == 1 else Any


def _data_descriptor(cls: type[Any], name: str) -> Any:
    for base in cls.__mro__:
        if name in vars(base):
            found = vars(base)[name]
            return found if hasattr(type(found), "__set__") else None
    return None


def _read(slot: Any, record: Any) -> Any:
    try:
        return slot.__get__(record, type(record))
    except AttributeError:
        return MISSING


def _has_dict(cls: type[Any]) -> bool:
    return any("__dict__" in vars(base) for base in cls.__mro__ if base is not object)


def _cached_properties(cls: type[Any]) -> Iterator[str]:
    for base in cls.__mro__:
        yield from (name for name, value in vars(base).items() if isinstance(value, functools.cached_property))


def _maker(cls: type[Any]) -> Callable[[], Any]:
    if _is_struct(cls):
        template = _struct_template(cls)
        return lambda: template
    try:
        object.__new__(cls)
    except TypeError:
        return functools.partial(cls.__new__, cls)
    return functools.partial(object.__new__, cls)


def _struct_template(cls: Any) -> Any:
    """An instance to copy from; made through a subclass so that the user's `__post_init__` does not run."""
    quiet = type(cls)(
        cls.__name__, (cls,), {"__module__": cls.__module__, "__post_init__": lambda self: None}, kw_only=True
    )
    template = quiet(**{name: [] for name in quiet.__struct_encode_fields__ and quiet.__struct_fields__})
    vars(object)["__class__"].__set__(template, cls)
    return template
