"""Values as tagged JSON and back: the canonical form of everything a record may hold.

A *place* is where a value stands: it has an encoder and a decoder that belong together. Here is the generic place,
where every value that JSON does not hold exactly carries a tag; `places` has those that an annotation makes.
"""

from __future__ import annotations

import collections
import enum
import typing
from dataclasses import dataclass
from typing import Any

from outlive.errors import Unholdable
from outlive.records.classes import class_at, class_path
from outlive.records.scalars import (
    PYDANTIC_TEXTS,
    SCALAR_DECODERS,
    SCALAR_ENCODERS,
    Decode,
    Encode,
    encode_pydantic_text,
    unholdable,
)
from outlive.records.shapes import shape_of
from outlive.records.wire import Document, Json, canonical, canonical_text, parse


@dataclass(frozen=True, slots=True)
class Place:
    """An encoder and its decoder; `generic` when the annotation adds nothing."""

    encode: Encode
    decode: Decode
    generic: bool = False


def under(name: str, error: Unholdable) -> Unholdable:
    """The error with `name` put before its field path."""
    inner = error.field
    error.field = name + inner if not inner or inner[0] == "[" else f"{name}.{inner}"
    return error


# Generic places.


def encode_any(value: Any) -> Json:
    """Tagged JSON of any value; raises Unholdable naming the path for what cannot be held."""
    encoder = _encoders.get(type(value))
    return encoder(value) if encoder is not None else _encoder_for(type(value))(value)


def decode_any(value: Json) -> Any:
    """The value that `encode_any` wrote."""
    kind = type(value)
    if kind is dict:
        if len(value) == 1:
            for tag, inner in value.items():
                decoder = _decoders.get(tag)
                if decoder is not None:
                    return decoder(inner)
        return {name: decode_any(item) for name, item in value.items()}
    if kind is list:
        return [decode_any(item) for item in value]
    return value


def tag_of(value: Json) -> str | None:
    """The tag of a JSON value, None when it is plain."""
    if type(value) is dict and len(value) == 1:
        for tag in value:
            return tag if tag in _decoders else None
    return None


def encode_items(items: Any, encode: Encode = encode_any) -> list[Json]:
    """Each item encoded, in order; an error names the index."""
    done: list[Json] = []
    try:
        for item in items:
            done.append(encode(item))  # noqa: PERF401  (the length is the index of a failing item)
    except Unholdable as error:
        raise under(f"[{len(done)}]", error) from None
    return done


def _encode_list(value: list[Any]) -> Json:
    return encode_items(list.__iter__(value))


def _encode_tuple(value: tuple[Any, ...]) -> Json:
    return {"$tuple": encode_items(value)}


def sort_items(items: list[Json]) -> list[Json]:
    """Encoded members of a set in an order of their own."""
    return sorted(items, key=canonical)


def _encode_set(value: set[Any]) -> Json:
    return {"$set": sort_items(encode_items(set.__iter__(value)))}


def _encode_frozenset(value: frozenset[Any]) -> Json:
    return {"$frozenset": sort_items(encode_items(value))}


def _encode_deque(value: collections.deque[Any]) -> Json:
    return {"$deque": [encode_items(value), value.maxlen]}


def plain_keys(value: dict[Any, Any]) -> bool:
    """True when an untagged JSON object can hold the dict's keys."""
    for key in dict.keys(value):  # noqa: SIM110  (twice as fast as all() over a generator)
        if type(key) is not str or key[:1] == "$":
            return False
    return True


def encode_dict(value: dict[Any, Any], encode: Encode = encode_any, encode_key: Encode = encode_any) -> Json:
    """A JSON object, or pairs under $dict when a key is no plain text; an error names the key."""
    if not plain_keys(value):
        return encode_pairs(value, encode, encode_key)
    check_key = SCALAR_ENCODERS[str]
    done: Document = {}
    key: Any = ""
    try:
        for key, item in dict.items(value):
            done[check_key(key)] = encode(item)
    except Unholdable as error:
        raise under(str(key), error) from None
    return done


def encode_pairs(value: dict[Any, Any], encode: Encode = encode_any, encode_key: Encode = encode_any) -> Json:
    """The dict as [key, value] pairs under $dict."""
    pairs: list[Json] = []
    key: Any = ""
    try:
        for key, item in dict.items(value):
            pairs.append([encode_key(key), encode(item)])
    except Unholdable as error:
        raise under(f"[{key!r}]", error) from None
    return {"$dict": pairs}


def _decode_pairs(pairs: list[Json]) -> dict[Any, Any]:
    return {decode_any(key): decode_any(item) for key, item in pairs}


# Enums.


def _encode_enum(member: enum.Enum) -> Json:
    path = class_path(type(member))
    if comes_back(member):
        return {"$enum": [path, encode_any(member.value)]}
    return {"$enum": [path, None, member.name]}


def comes_back(member: enum.Enum) -> bool:
    """True when the enum gives the member back for its value."""
    try:
        return type(member)(member.value) is member or type(member)(member.value) == member
    except ValueError:
        return False


def _decode_enum(parts: list[Json]) -> Any:
    cls: Any = class_at(parts[0])
    if not issubclass(cls, enum.Enum):
        raise unholdable(f"{parts[0]} is no enum")
    return cls[parts[2]] if len(parts) == 3 else cls(decode_any(parts[1]))


# Named tuples, subclasses of scalars, and objects with fields.


def _encode_named(value: Any) -> Json:
    return {"$named": [class_path(type(value)), encode_items(tuple.__iter__(value))]}


def _decode_named(parts: list[Json]) -> Any:
    cls = class_at(parts[0])
    if not issubclass(cls, tuple):
        raise unholdable(f"{parts[0]} is no named tuple")
    return tuple.__new__(cls, [decode_any(item) for item in parts[1]])


_BASES: dict[str, type[Any]] = {"str": str, "int": int, "float": float, "bytes": bytes}


def _encode_derived(base: type[Any]) -> Encode:
    encode = SCALAR_ENCODERS[base]

    def encode_derived(value: Any) -> Json:
        if getattr(value, "__dict__", None):
            raise unholdable(f"{type(value).__qualname__} carries attributes of its own")
        return {"$derived": [class_path(type(value)), base.__name__, encode(base.__new__(base, value))]}

    return encode_derived


def _decode_derived(parts: list[Json]) -> Any:
    cls, base = class_at(parts[0]), _BASES[parts[1]]
    if not issubclass(cls, base) or issubclass(cls, enum.Enum):
        raise unholdable(f"{parts[0]} is no {parts[1]}")
    return base.__new__(cls, decode_any(parts[2]))


# Objects are built of places and places of this module, so their room is entered when it is needed.


def _encode_object(value: Any) -> Json:
    from outlive.records.objects import codec_of

    return {"$object": [class_path(type(value)), codec_of(type(value)).document(value)]}


def _decode_object(parts: list[Json]) -> Any:
    from outlive.records.objects import codec_of

    return codec_of(class_at(parts[0])).build(parts[1])


# Subclasses of builtin containers count as the builtin: tracked containers are such subclasses.
_CONTAINERS: tuple[tuple[type[Any], Encode], ...] = (
    (collections.OrderedDict, lambda value: encode_dict({**value})),
    (dict, encode_dict),
    (list, _encode_list),
    (set, _encode_set),
    (frozenset, _encode_frozenset),
    (collections.deque, _encode_deque),
)

_encoders: dict[type[Any], Encode] = {
    **SCALAR_ENCODERS,
    dict: encode_dict,
    list: _encode_list,
    tuple: _encode_tuple,
    set: _encode_set,
    frozenset: _encode_frozenset,
    collections.deque: _encode_deque,
}

_decoders: dict[str, Decode] = {
    **SCALAR_DECODERS,
    "$tuple": lambda items: tuple([decode_any(item) for item in items]),
    "$set": lambda items: {decode_any(item) for item in items},
    "$frozenset": lambda items: frozenset([decode_any(item) for item in items]),
    "$deque": lambda parts: collections.deque([decode_any(item) for item in parts[0]], parts[1]),
    "$dict": _decode_pairs,
    "$enum": _decode_enum,
    "$named": _decode_named,
    "$derived": _decode_derived,
    "$object": _decode_object,
    "$raw": decode_any,
}

GENERIC = Place(encode_any, decode_any, generic=True)


def refuse_kind(kind: type[Any]) -> typing.NoReturn:
    """Raises Unholdable: values of this class have no canonical form."""
    raise unholdable(f"no canonical form for {kind.__module__}.{kind.__qualname__}")


def _encoder_for(kind: type[Any]) -> Encode:
    """Chooses by class and remembers; raises Unholdable for classes without a canonical form."""
    encoder = _choose(kind)
    if encoder is None:
        refuse_kind(kind)
    _encoders[kind] = encoder
    return encoder


def _choose(kind: type[Any]) -> Encode | None:
    if issubclass(kind, enum.Enum):
        return _encode_enum
    if shape_of(kind) is not None:
        return _encode_object
    for base, encoder in _CONTAINERS:
        if issubclass(kind, base):
            return encoder
    if issubclass(kind, tuple):
        return _encode_named if hasattr(kind, "_fields") else None
    if kind.__module__.startswith("pydantic") and kind.__name__ in PYDANTIC_TEXTS:
        return encode_pydantic_text
    return next((_encode_derived(base) for base in _BASES.values() if issubclass(kind, base)), None)


# Field names of documents.


def field_name(key: Any) -> str:
    """Document field that stands for a dict key or attribute: itself when plain text, else "$:" and its key text."""
    if type(key) is str and key[:1] != "$":
        encoded: str = SCALAR_ENCODERS[str](key)
        return encoded
    return "$:" + canonical_text(encode_any(key))


def key_of_field(field: str) -> Any:
    """The dict key that a document field stands for."""
    if field[:2] != "$:":
        return field
    return decode_any(parse(field[2:]))
