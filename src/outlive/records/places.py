"""Places that annotations make: an enum member is written as its value there, and a model as a plain object.

Whatever else is met in such a place is written with tags, so nothing depends on the annotation being true.
"""

from __future__ import annotations

import collections
import collections.abc
import enum
import functools
import types
import typing
from collections.abc import Callable
from typing import Any

from outlive.errors import Unholdable
from outlive.records.classes import remember
from outlive.records.codec import (
    GENERIC,
    Place,
    comes_back,
    decode_any,
    encode_any,
    encode_dict,
    encode_items,
    encode_pairs,
    plain_keys,
    tag_of,
    under,
)
from outlive.records.scalars import SCALAR_ENCODERS, Decode, unholdable
from outlive.records.shapes import class_hints, shape_of
from outlive.records.wire import Document, Json


def strip(hint: Any) -> tuple[Any, bool]:
    """(annotation without Annotated, NewType, alias, Optional and the like; True when None was allowed)."""
    nullable = False
    while True:
        origin = typing.get_origin(hint)
        if origin in (typing.Annotated, typing.Required, typing.NotRequired, typing.Final, typing.ClassVar):
            hint = typing.get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        elif isinstance(hint, typing.TypeVar):
            hint = hint.__bound__ or Any
        elif origin in (typing.Union, types.UnionType):
            members = [member for member in typing.get_args(hint) if member is not type(None)]
            nullable = nullable or len(members) < len(typing.get_args(hint))
            if len(members) != 1:
                return hint, nullable
            hint = members[0]
        else:
            return hint, nullable


def place_of(hint: Any) -> Place:
    """The place that an annotation makes; generic when it says nothing that shortens the document."""
    hint, _ = strip(hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union_place(args)
    if isinstance(hint, type) and origin is None:
        return _class_place(hint)
    if not args:
        return GENERIC
    if origin in (list, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Iterable):
        return _list_place(place_of(args[0]))
    if origin in (dict, collections.abc.Mapping, collections.abc.MutableMapping, collections.defaultdict):
        return _dict_place(place_of(args[0]), place_of(args[1]))
    if origin is tuple:
        return _tuple_place(args)
    if origin in (set, frozenset, collections.abc.Set, collections.abc.MutableSet):
        return _set_place(place_of(args[0]))
    return _class_place(origin) if isinstance(origin, type) and shape_of(origin) is not None else GENERIC


def _union_place(members: tuple[Any, ...]) -> Place:
    """Which member wrote a value cannot be told from plain JSON, so unions are generic; their classes become known."""
    for member in members:
        place_of(member)
    return GENERIC


def _encode_str_first(value: Any) -> Json:
    if type(value) is str and value.isascii() and "\x00" not in value:
        return value
    return encode_any(value)


# Encoders that look for the annotated type before they look at all types.
_FAST: dict[Any, Place] = {
    str: Place(_encode_str_first, decode_any, generic=True),
    bool: Place(lambda value: value if type(value) is bool else encode_any(value), decode_any, generic=True),
}


def _class_place(cls: type[Any]) -> Place:
    if cls in _FAST:
        return _FAST[cls]
    if typing.is_typeddict(cls):
        return _typed_dict_place(cls)
    if issubclass(cls, enum.Enum):
        return _enum_place(cls)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        remember(cls)
    return _object_place(cls) if shape_of(cls) is not None else GENERIC


def _object_place(cls: type[Any]) -> Place:
    remember(cls)

    @functools.cache
    def codec() -> Any:
        from outlive.records.objects import codec_of  # compiled at first use, for a class may name itself

        return codec_of(cls)

    def encode(value: Any) -> Json:
        if type(value) is cls:
            return codec().document(value)
        return encode_pairs(value) if isinstance(value, dict) else encode_any(value)

    def decode(value: Json) -> Any:
        if type(value) is dict and tag_of(value) is None:
            return codec().build(value)
        return decode_any(value)

    return Place(encode, decode)


def _typed_dict_place(cls: type[Any]) -> Place:
    places: dict[str, Place] = {}

    def lookup(name: str) -> Place:
        if not places:
            places.update({field: place_of(hint) for field, hint in class_hints(cls).items()})
        return places.get(name, GENERIC)

    def encode(value: Any) -> Json:
        if not isinstance(value, dict):
            return encode_any(value)
        if not plain_keys(value):
            return encode_pairs(value)
        done: Document = {}
        key = ""
        try:
            for key, item in dict.items(value):
                done[SCALAR_ENCODERS[str](key)] = lookup(key).encode(item)
        except Unholdable as error:
            raise under(key, error) from None
        return done

    def decode(value: Json) -> Any:
        if type(value) is dict and tag_of(value) is None:
            return {name: lookup(name).decode(item) for name, item in value.items()}
        return decode_any(value)

    return Place(encode, decode)


def _list_place(item: Place) -> Place:
    if item.generic:
        return GENERIC

    def encode(value: Any) -> Json:
        if isinstance(value, list):
            return encode_items(list.__iter__(value), item.encode)
        return encode_any(value)

    def decode(value: Json) -> Any:
        if type(value) is list:
            return [item.decode(inner) for inner in value]
        return decode_any(value)

    return Place(encode, decode)


def _dict_place(key: Place, item: Place) -> Place:
    if key.generic and item.generic:
        return GENERIC

    def encode(value: Any) -> Json:
        if isinstance(value, dict):
            return encode_dict(value, item.encode, key.encode)
        return encode_any(value)

    def decode(value: Json) -> Any:
        if type(value) is not dict:
            return decode_any(value)
        tag = tag_of(value)
        if tag is None:
            return {name: item.decode(inner) for name, inner in value.items()}
        if tag == "$dict":
            return {key.decode(name): item.decode(inner) for name, inner in value["$dict"]}
        return decode_any(value)

    return Place(encode, decode)


def _tagged_place(tag: str, kind: type[Any], encode_all: Callable[[Any], list[Json]], decode_all: Decode) -> Place:
    """A place for one container class that carries a tag; other values are generic."""

    def encode(value: Any) -> Json:
        return {tag: encode_all(value)} if type(value) is kind else encode_any(value)

    def decode(value: Json) -> Any:
        return decode_all(value[tag]) if tag_of(value) == tag else decode_any(value)

    return Place(encode, decode)


def _tuple_place(args: tuple[Any, ...]) -> Place:
    if len(args) == 2 and args[1] is Ellipsis:
        each = place_of(args[0])
        if each.generic:
            return GENERIC
        return _tagged_place(
            "$tuple",
            tuple,
            lambda value: encode_items(value, each.encode),
            lambda items: tuple([each.decode(item) for item in items]),
        )
    places = [place_of(arg) for arg in args]
    if all(place.generic for place in places):
        return GENERIC
    return _tagged_place(
        "$tuple",
        tuple,
        lambda value: [(places[i] if i < len(places) else GENERIC).encode(item) for i, item in enumerate(value)],
        lambda items: tuple([(places[i] if i < len(places) else GENERIC).decode(x) for i, x in enumerate(items)]),
    )


def _set_place(item: Place) -> Place:
    """Sets stay generic, for their members order themselves by canonical text; their classes become known."""
    return GENERIC


def _enum_place(cls: type[enum.Enum]) -> Place:
    """Members are written as their value where all values are plain JSON; everything else is marked raw."""
    remember(cls)
    members = {member.value: member for member in cls if type(member.value) in (str, int) and comes_back(member)}
    if len(members) != len(list(cls)) or issubclass(cls, enum.Flag):
        return GENERIC

    def encode(value: Any) -> Json:
        if type(value) is cls:
            return value.value
        return _raw(encode_any(value))

    def decode(value: Json) -> Any:
        kind = type(value)
        if kind is str or kind is int:
            return members[value] if value in members else _member(cls, value)
        return decode_any(value)

    return Place(encode, decode)


def _member(cls: type[enum.Enum], value: Json) -> Any:
    try:
        return cls(value)
    except ValueError:
        raise unholdable(f"{value!r} is no value of {cls.__qualname__} in this process") from None


def _raw(value: Json) -> Json:
    """Marks plain JSON that must not be read by the annotation of its place."""
    return {"$raw": value} if type(value) in (str, int) else value
