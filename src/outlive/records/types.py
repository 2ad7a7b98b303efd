"""What a record is: one type of record, and the way from a record to its document and back.

A document is a dict of top-level fields in the record's order, each a tagged JSON value. Names that begin with "$" are
reserved: $absent (declared fields that the record lacks), $private (undeclared attributes), $unset (Pydantic fields
held by default), $type (the record is a subclass of the declared type), $record (it is of another type altogether),
"$:..." (a key that is no plain text).
"""

from __future__ import annotations

import collections
import collections.abc
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from outlive.errors import Unholdable
from outlive.records.classes import class_path, find_class
from outlive.records.codec import GENERIC, Place, decode_any, encode_any, field_name, key_of_field, under
from outlive.records.fixed import Fixed, fixed, same
from outlive.records.objects import ABSENT, LOOSE, UNSET, ObjectCodec, codec_of
from outlive.records.places import place_of, strip
from outlive.records.scalars import encode_any_float, unholdable
from outlive.records.shapes import Shape, class_hints, shape_of
from outlive.records.wire import MISSING, Document, Json

Kind = Literal["model", "dict", "value"]

TYPE, RECORD, VALUE = "$type", "$record", "value"

_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping, collections.OrderedDict)


@dataclass(frozen=True, slots=True)
class FieldType:
    """A declared field: its annotation, the annotation's bare type, and whether it allows None."""

    name: str
    annotation: Any
    base: Any
    nullable: bool

    @classmethod
    def of(cls, name: str, annotation: Any) -> FieldType:
        """Field of an annotation; Annotated, NewType and Optional are taken off for `base`."""
        base, nullable = strip(annotation)
        return cls(name, annotation, base, nullable)


class RecordType:
    """One declared type of records. Immutable; equal declarations share one instance (see `of`)."""

    name: str
    kind: Kind
    declared: Any
    fields: Mapping[str, FieldType]

    def __init__(self, declared: Any) -> None:
        bare, _ = strip(declared)
        origin = typing.get_origin(bare) or bare
        self.declared = declared
        self.name = getattr(origin, "__name__", None) or str(declared)
        shape = shape_of(bare) or shape_of(origin)
        self._cls: Any = None
        self._codec: ObjectCodec | None = None
        self._variants: dict[type[Any], ObjectCodec] = {}
        self._default = GENERIC
        if shape is not None:
            self.kind, self._cls, hints = "model", shape.cls, dict(shape.hints)
            codec_of(shape.cls)
        elif typing.is_typeddict(bare):
            self.kind, hints = "dict", class_hints(bare)
        elif origin in _MAPPINGS:
            self.kind, hints = "dict", {}
            args = typing.get_args(bare)
            self._default = place_of(args[1]) if args else GENERIC
        else:
            self.kind, hints = "value", {VALUE: declared}
        self.fields = types.MappingProxyType({name: FieldType.of(name, hint) for name, hint in hints.items()})
        self._places = {name: _top_place(field) for name, field in self.fields.items()}
        if shape is not None:
            self._codec = ObjectCodec(shape, self._places)

    @classmethod
    def of(cls, declared: Any) -> RecordType:
        """The type of records that are instances of `declared`: a class with fields, TypedDict, dict, or any other."""
        try:
            found = _types.get(declared)
        except TypeError:
            return cls(declared)
        if found is None:
            found = _types[declared] = cls(declared)
        return found

    def __repr__(self) -> str:
        return f"RecordType({self.name})"

    # Documents.

    def document(self, record: Any) -> Document:
        """The record's document. Raises Unholdable naming the path of a value that has no canonical form."""
        try:
            if self.kind == "model":
                return self._model_document(record)
            if self.kind == "dict":
                return self._dict_document(record)
            return {VALUE: self.encode(VALUE, record)}
        except RecursionError:
            raise unholdable("nested too deeply, or a value contains itself") from None

    def encode(self, field: str, value: Any) -> Json:
        """Tagged JSON of one top-level field. Raises Unholdable naming the path."""
        try:
            return self.place(field).encode(value)
        except Unholdable as error:
            raise under(field, error) from None
        except RecursionError:
            raise Unholdable(field=field, reason="nested too deeply, or a value contains itself") from None

    def decode(self, field: str, value: Json) -> Any:
        """The value of one top-level field."""
        return self.place(field).decode(value)

    def place(self, field: str) -> Place:
        """Encoder and decoder of one top-level field."""
        return self._places.get(field, self._default)

    def record(self, document: Document) -> Any:
        """A record equal to the one the document was made of; neither `__init__` nor validation runs."""
        if RECORD in document:
            return decode_any(document[RECORD])
        if self.kind == "model":
            return self._codec_at(document.get(TYPE)).build(document)
        if self.kind == "dict":
            return {key_of_field(name): self.place(name).decode(value) for name, value in document.items()}
        return self.decode(VALUE, document[VALUE])

    def field_name(self, key: Any) -> str:
        """The document field of a dict key or attribute name."""
        return field_name(key)

    def plain(self, field: str) -> bool:
        """Whether the value's type alone decides how a top-level field is encoded."""
        return self.place(field).generic or (field in self.fields and self.fields[field].base is float)

    # Live records.

    def row(self, record: Any) -> Fixed | None:
        """Names and values of an instance that has its declared fields and nothing else; None for any other. Such a
        value may change in place, unlike those of `fixed`."""
        if self.kind == "model" and type(record) is self._cls and self._codec is not None:
            return self._codec.shape.row(record)
        return None

    def peek(self, record: Any, field: str) -> Any:
        """The field's live value, or MISSING; touches nothing."""
        if self.kind == "value":
            return record if field == VALUE else MISSING
        if self.kind == "dict":
            return dict.get(record, key_of_field(field), MISSING) if isinstance(record, dict) else MISSING
        codec = self._codec_for(record)
        if codec is None:
            return MISSING
        if field[:1] == "$" and field[:2] != "$:":
            return codec.reserved(record, field)
        return codec.shape.get(record, key_of_field(field))

    def fixed(self, record: Any) -> Fixed | None:
        """What the record's document is made of, for `same`; None where a part of it may change in place, so that only
        its document can tell."""
        if self.kind == "model" and type(record) is self._cls and self._codec is not None:
            return self._codec.shape.fixed(record)
        if self.kind == "dict" and isinstance(record, dict) and not isinstance(record, collections.OrderedDict):
            return fixed(record)
        return None

    def same(self, record: Any, then: Fixed) -> bool:
        """Whether the record is still made of what `fixed` gave for it."""
        if self.kind == "model":
            return type(record) is self._cls and self._codec is not None and self._codec.shape.same(record, then)
        return isinstance(record, dict) and not isinstance(record, collections.OrderedDict) and same(then, record)

    def in_place(self, record: Any, document: Document) -> bool:
        """True when `update` can make this record equal the document; False when it must be replaced."""
        if RECORD in document:
            return False
        if self.kind == "model":
            codec = self._codec_for(record)
            return codec is not None and codec is self._codec_at(document.get(TYPE))
        if self.kind == "dict":
            return isinstance(record, dict)
        return isinstance(record, (list, dict, set))

    def update(self, record: Any, document: Document, fields: Iterable[str] | None = None) -> None:
        """Makes the record's fields (all, or those named) equal the document's; an absent one is removed.

        The record keeps its identity. Raises TypeError where that is impossible (see `in_place`).
        """
        if not self.in_place(record, document):
            raise TypeError(f"a {type(record).__qualname__} cannot become this {self.name} in place")
        if self.kind == "model":
            self._update_model(record, document, fields)
        elif self.kind == "dict":
            self._update_dict(record, document, fields)
        else:
            _refill(record, self.decode(VALUE, document[VALUE]))

    def _model_document(self, record: Any) -> Document:
        if type(record) is self._cls and self._codec is not None:
            return self._codec.document(record)
        codec = self._codec_for(record)
        if codec is None:
            return {RECORD: encode_any(record)}
        return {**codec.document(record), TYPE: class_path(type(record))}

    def _dict_document(self, record: Any) -> Document:
        if not isinstance(record, dict):
            return {RECORD: encode_any(record)}
        places, default = self._places, self._default
        items = record.items() if isinstance(record, collections.OrderedDict) else dict.items(record)
        done: Document = {}
        key: Any = ""
        try:
            for key, value in items:
                plain = type(key) is str and key.isascii() and key[:1] != "$" and "\x00" not in key
                name = key if plain else field_name(key)
                done[name] = places.get(name, default).encode(value)
        except Unholdable as error:
            raise under(str(key), error) from None
        return done

    def _codec_for(self, record: Any) -> ObjectCodec | None:
        """Codec of the record's own class; None when it is no instance of the declared one."""
        cls = type(record)
        if cls is self._cls:
            return self._codec
        if not issubclass(cls, self._cls):
            return None
        shape = shape_of(cls)
        return None if shape is None else self._variant(cls, shape)

    def _codec_at(self, path: str | None) -> ObjectCodec:
        assert self._codec is not None
        if path is None:
            return self._codec
        cls = find_class(path)
        shape = shape_of(cls)
        if cls is None or shape is None or not issubclass(cls, self._cls):
            raise unholdable(f"class {path} is no {self.name} in this process")
        return self._codec if cls is self._cls else self._variant(cls, shape)

    def _variant(self, cls: type[Any], shape: Shape) -> ObjectCodec:
        """Codec of a subclass of the declared class; shared fields are written as the declared class says."""
        found = self._variants.get(cls)
        if found is None:
            found = self._variants[cls] = ObjectCodec(shape, self._places)
        return found

    def _update_model(self, record: Any, document: Document, fields: Iterable[str] | None) -> None:
        codec = self._codec_for(record)
        assert codec is not None
        for field in codec.fields(record, document) if fields is None else fields:
            if field[:1] == "$" and field[:2] != "$:":
                codec.assign_reserved(record, field, document)
            else:
                codec.assign(record, field, document)
        if fields is None:
            codec.set_reserved(record, document)

    def _update_dict(self, record: dict[Any, Any], document: Document, fields: Iterable[str] | None) -> None:
        raw: Any = collections.OrderedDict if isinstance(record, collections.OrderedDict) else dict
        if fields is None:
            content = self.record(document)
            if list(raw.keys(record)) != list(content):
                raw.clear(record)
            raw.update(record, content)
            return
        for field in fields:
            key = key_of_field(field)
            if field in document:
                raw.__setitem__(record, key, self.decode(field, document[field]))
            else:
                raw.pop(record, key, None)


_types: dict[Any, RecordType] = {}


def _refill(record: Any, content: Any) -> None:
    """Gives a builtin container the content of another of its kind, past any overriding."""
    if isinstance(record, list) and isinstance(content, list):
        list.__setitem__(record, slice(None), content)
    elif isinstance(record, dict) and isinstance(content, dict):
        dict.clear(record)
        dict.update(record, content)
    elif isinstance(record, set) and isinstance(content, set):
        set.clear(record)
        set.update(record, content)
    else:
        raise TypeError(f"a {type(record).__qualname__} cannot become a {type(content).__qualname__} in place")


def _top_place(field: FieldType) -> Place:
    """A top-level float field may hold NaN and the infinities: its column can."""
    place = place_of(field.annotation)
    if field.base is not float:
        return place

    def encode(value: Any) -> Json:
        return encode_any_float(value) if type(value) is float else encode_any(value)

    return Place(encode, place.decode)


__all__ = ["ABSENT", "LOOSE", "RECORD", "TYPE", "UNSET", "VALUE", "FieldType", "Kind", "RecordType"]
