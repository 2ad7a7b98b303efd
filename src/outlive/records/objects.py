"""Instances of classes with fields as documents, nested ones too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from outlive.errors import Unholdable
from outlive.records.classes import remember
from outlive.records.codec import (
    GENERIC,
    Place,
    decode_any,
    encode_any,
    encode_dict,
    field_name,
    key_of_field,
    refuse_kind,
    under,
)
from outlive.records.places import place_of
from outlive.records.shapes import PydanticShape, Shape, shape_of
from outlive.records.wire import MISSING, Document

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
        self.bare = self.pydantic is None and not shape.keeps_extra  # nothing beside what `values` gives

    def document(self, record: Any) -> Document:
        """Fields in declared order, then extras, then $absent, $private and $unset where they say something."""
        values = self.shape.values(record)
        done: Document = {}
        name = ""
        try:
            if self.bare and tuple(values) == self.shape.names:
                for name, encode in self._encoders:
                    done[name] = encode(values[name])
                return done
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
            refuse_kind(cls)
        remember(cls)
        codec = _codecs[cls] = ObjectCodec(shape)
    return codec
