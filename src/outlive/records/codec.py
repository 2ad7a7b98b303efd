"""Values as tagged JSON and back: the canonical form of everything a record may hold.

A *place* is where a value stands: it has an encoder and a decoder that belong together. Without an annotation the
place is generic, and every value that JSON does not hold exactly carries a tag. With one, an enum member is written as
its value and a model as a plain object; whatever else is met there is still written with tags, so nothing depends on
the annotation being true.
"""

from __future__ import annotations

import collections
import collections.abc
import enum
import sys
import types
import typing
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outlive.errors import Unholdable
from outlive.records.scalars import (
    PYDANTIC_TEXTS,
    SCALAR_DECODERS,
    SCALAR_ENCODERS,
    Decode,
    Encode,
    encode_pydantic_text,
    unholdable,
)
from outlive.records.shapes import PydanticShape, Shape, class_hints, shape_of
from outlive.records.wire import MISSING, Document, Json, canonical, canonical_text, parse

# Classes that annotations lead to, by "module:Qualname"; also those that no module gives back, such as local ones.
_known: weakref.WeakValueDictionary[str, type[Any]] = weakref.WeakValueDictionary()


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


def class_path(cls: type[Any]) -> str:
    """ "module:Qualname" of a class; raises Unholdable when that name does not lead back to it."""
    path = f"{cls.__module__}:{cls.__qualname__}"
    if find_class(path) is not cls:
        raise unholdable(f"class {path} cannot be found again by its name")
    return path


def find_class(path: str) -> type[Any] | None:
    """The class of a path among those imported or annotated; imports nothing."""
    known = _known.get(path)
    if known is not None:
        return known
    module, _, qualname = path.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None


def _class_at(path: str) -> type[Any]:
    cls = find_class(path)
    if cls is None:
        raise unholdable(f"class {path} is not imported")
    return cls


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
    return all(type(key) is str and key[:1] != "$" for key in dict.keys(value))


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
    if _comes_back(member):
        return {"$enum": [path, encode_any(member.value)]}
    return {"$enum": [path, None, member.name]}


def _comes_back(member: enum.Enum) -> bool:
    try:
        return type(member)(member.value) is member or type(member)(member.value) == member
    except ValueError:
        return False


def _decode_enum(parts: list[Json]) -> Any:
    cls: Any = _class_at(parts[0])
    if not issubclass(cls, enum.Enum):
        raise unholdable(f"{parts[0]} is no enum")
    return cls[parts[2]] if len(parts) == 3 else cls(decode_any(parts[1]))


def _enum_place(cls: type[enum.Enum]) -> Place:
    """Members are written as their value where all values are plain JSON; everything else is marked raw."""
    _known[f"{cls.__module__}:{cls.__qualname__}"] = cls
    members = {member.value: member for member in cls if type(member.value) in (str, int) and _comes_back(member)}
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


# Named tuples, subclasses of scalars, and objects with fields.


def _encode_named(value: Any) -> Json:
    return {"$named": [class_path(type(value)), encode_items(tuple.__iter__(value))]}


def _decode_named(parts: list[Json]) -> Any:
    cls = _class_at(parts[0])
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
    cls, base = _class_at(parts[0]), _BASES[parts[1]]
    if not issubclass(cls, base) or issubclass(cls, enum.Enum):
        raise unholdable(f"{parts[0]} is no {parts[1]}")
    return base.__new__(cls, decode_any(parts[2]))


def _encode_object(value: Any) -> Json:
    return {"$object": [class_path(type(value)), codec_of(type(value)).document(value)]}


def _decode_object(parts: list[Json]) -> Any:
    return codec_of(_class_at(parts[0])).build(parts[1])


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


def _refuse_kind(kind: type[Any]) -> typing.NoReturn:
    raise unholdable(f"no canonical form for {kind.__module__}.{kind.__qualname__}")


def _encoder_for(kind: type[Any]) -> Encode:
    """Chooses by class and remembers; raises Unholdable for classes without a canonical form."""
    encoder = _choose(kind)
    if encoder is None:
        _refuse_kind(kind)
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


# Objects with fields.

ABSENT, LOOSE, UNSET = "$absent", "$private", "$unset"


class ObjectCodec:
    """Documents of one class. `places` belong to declared fields; other fields are generic."""

    def __init__(self, shape: Shape, places: Mapping[str, Place] | None = None) -> None:
        self.shape = shape
        given = {name: place_of(hint) for name, hint in shape.hints.items()} if places is None else places
        self.places: dict[str, Place] = {name: given.get(name, GENERIC) for name in shape.names}
        self._encoders = [(name, place.encode) for name, place in self.places.items()]
        self._count = len(self.places)
        self._decoders = {name: place.decode for name, place in self.places.items()}
        self.pydantic = shape if isinstance(shape, PydanticShape) else None

    def document(self, record: Any) -> Document:
        """Fields in declared order, then extras, then $absent, $private and $unset where they say something."""
        values = self.shape.values(record)
        done: Document = {}
        name = ""
        try:
            for name, encode in self._encoders:
                if name in values:
                    done[name] = encode(values[name])
        except Unholdable as error:
            raise under(name, error) from None
        absent = [name for name in self.places if name not in done] if len(done) < self._count else []
        if self.shape.keeps_extra and self.pydantic is not None:
            self._add_extra(self.pydantic, record, done)
        if absent:
            done[ABSENT] = absent
        loose = self.shape.loose(record)
        if loose:
            self._add_loose(loose, done)
        if self.pydantic is not None:
            unset = self.pydantic.unset(record)
            if unset:
                done[UNSET] = unset
        return done

    def build(self, document: Document) -> Any:
        """A new instance, past `__init__` and validation.

        A field that was declared after the document was written begins with its default; one that is declared no more
        is left out.
        """
        decoders = self._decoders
        values: dict[str, Any] = {}
        reserved = False
        for name, value in document.items():
            decode = decoders.get(name)
            if decode is not None:
                values[name] = decode(value)
            elif name[:1] == "$" and name[:2] != "$:":
                reserved = True
            elif self.shape.keeps_extra:
                values[key_of_field(name)] = decode_any(value)
        if len(values) < self._count:
            self._add_defaults(values, document.get(ABSENT, ()))
        record = self.shape.make(values)
        if reserved:
            self.set_reserved(record, document)
        return record

    def place(self, field: str) -> Place:
        """The place of a top-level field."""
        return self.places.get(field, GENERIC)

    def fields(self, record: Any, document: Document) -> list[str]:
        """Fields of the document, and those that the record has beyond it; without the reserved ones."""
        held = [name for name in self.places if name not in document]
        if self.shape.keeps_extra and self.pydantic is not None:
            held += [field for field in map(field_name, self.pydantic.extra(record)) if field not in document]
        return [*held, *(name for name in document if name[:1] != "$" or name[:2] == "$:")]

    def assign(self, record: Any, field: str, document: Document) -> None:
        """Makes one field of the record equal the document's; an absent one is removed."""
        name = key_of_field(field)
        if field in document:
            if field in self.places or self.shape.keeps_extra:
                self.shape.put(record, name, self.place(field).decode(document[field]))
        else:
            self.shape.drop(record, name)
        if self.pydantic is not None:
            given = self.pydantic.given(record)
            if field not in document or name in document.get(UNSET, ()):
                given.discard(name)
            else:
                given.add(name)

    def set_reserved(self, record: Any, document: Document) -> None:
        """Takes over what the reserved fields of a whole document say."""
        loose = document.get(LOOSE)
        self.shape.set_loose(record, decode_any(loose) if loose else {})
        if self.pydantic is not None:
            self.pydantic.set_given(record, set(_attribute_names(document)) - {*document.get(UNSET, ())})

    def assign_reserved(self, record: Any, field: str, document: Document) -> None:
        """Takes over what one reserved field says; the document need not hold the others."""
        if field == LOOSE:
            loose = document.get(LOOSE)
            self.shape.set_loose(record, decode_any(loose) if loose else {})
        elif field == UNSET and self.pydantic is not None:
            held = self.shape.values(record).keys() & self.places.keys() | self.pydantic.extra(record).keys()
            self.pydantic.set_given(record, set(held) - {*document.get(UNSET, ())})

    def reserved(self, record: Any, field: str) -> Any:
        """What a reserved field would say now, or MISSING."""
        if field == UNSET and self.pydantic is not None:
            return self.pydantic.unset(record) or MISSING
        if field == ABSENT:
            values = self.shape.values(record)
            return [name for name in self.places if name not in values] or MISSING
        if field == LOOSE:
            held: Document = {}
            self._add_loose(self.shape.loose(record), held)
            return decode_any(held[LOOSE]) if LOOSE in held else MISSING
        return MISSING

    def _add_defaults(self, values: dict[str, Any], absent: Any) -> None:
        for name, make in self.shape.defaults.items():
            if name not in values and name not in absent:
                values[name] = make()

    def _add_extra(self, shape: PydanticShape, record: Any, done: Document) -> None:
        name = ""
        try:
            for name, value in shape.extra(record).items():
                done[field_name(name)] = encode_any(value)
        except Unholdable as error:
            raise under(name, error) from None

    def _add_loose(self, loose: dict[str, Any], done: Document) -> None:
        kept: dict[str, Any] = {}
        for name, value in loose.items():
            try:
                encode_any(value)
            except Unholdable as error:
                if self.pydantic is None or not self.pydantic.makes_itself(name):
                    raise under(name, error) from None
            else:
                kept[name] = value
        if kept:
            done[LOOSE] = encode_dict(kept)


def _attribute_names(document: Document) -> Iterator[str]:
    return (str(key_of_field(name)) for name in document if name[:1] != "$" or name[:2] == "$:")


_codecs: dict[type[Any], ObjectCodec] = {}


def codec_of(cls: type[Any]) -> ObjectCodec:
    """The codec of a class with fields; raises Unholdable when it has none."""
    codec = _codecs.get(cls)
    if codec is None:
        shape = shape_of(cls)
        if shape is None:
            _refuse_kind(cls)
        _known[f"{cls.__module__}:{cls.__qualname__}"] = cls
        codec = _codecs[cls] = ObjectCodec(shape)
    return codec


# Places by annotation.


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
        _known[f"{cls.__module__}:{cls.__qualname__}"] = cls
    return _object_place(cls) if shape_of(cls) is not None else GENERIC


def _object_place(cls: type[Any]) -> Place:
    _known[f"{cls.__module__}:{cls.__qualname__}"] = cls

    def encode(value: Any) -> Json:
        if type(value) is cls:
            return codec_of(cls).document(value)
        return encode_pairs(value) if isinstance(value, dict) else encode_any(value)

    def decode(value: Json) -> Any:
        if type(value) is dict and tag_of(value) is None:
            return codec_of(cls).build(value)
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
