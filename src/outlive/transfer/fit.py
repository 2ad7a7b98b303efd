"""From a file's JSON value to a record's key and document, checked field by field against the record type.

What is canonical already is taken as it is. Text that stands for a date, a time, a UUID or a number of the annotated
type becomes that type where it says the very same; nothing else is converted. What does not fit is a `Misfit` that
names the field.
"""

from __future__ import annotations

import datetime as dt
import sys
import typing
import uuid
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from outlive.errors import Unholdable
from outlive.postgres.columns import column_hint
from outlive.records import Document, FieldType, Json, RecordType, canonical_text, key_text
from outlive.records.codec import GENERIC, Place, decode_any, encode_any, key_of_field
from outlive.records.objects import ABSENT, LOOSE, UNSET, codec_of
from outlive.records.types import RECORD, TYPE, VALUE
from outlive.transfer.sources import Exact, Item, exact_decimal

KEY = "$key"
_RESERVED = frozenset({ABSENT, LOOSE, UNSET, TYPE, RECORD, KEY})
Check = Callable[[Json], Json]


class Misfit(Exception):
    """A value does not fit; `path` names the field."""

    def __init__(self, reason: str, path: str = "", key: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.path, self.key = reason, path, key


@dataclass(slots=True)
class Fitted:
    """One record, ready for its table."""

    ordinal: int
    line: int
    key: Hashable
    document: Document


class Fit:
    """Fits the records of one file to one store.

    `key_field` names the record's field that holds its key; `numbered` stores (logs) number their records, and in
    `elements` stores (sets) a record is its own key. Without any of these a key is the file's: of the object, or $key.
    """

    def __init__(
        self, record_type: RecordType, key_field: str | None, *, numbered: bool = False, elements: bool = False
    ) -> None:
        self.record_type, self.key_field = record_type, key_field
        self.numbered, self.elements = numbered, elements
        self._checks = {name: _check_of(field, record_type) for name, field in record_type.fields.items()}
        self._loose = _container(record_type.place("$:"))
        self._names = tuple(self._checks)
        self._shape = codec_of(_class_of(record_type)).shape if record_type.kind == "model" else None
        self._key_hint = column_hint(record_type.fields[key_field].annotation) if key_field in self._checks else None
        self.decimals = any(column_hint(field.annotation) is Decimal for field in record_type.fields.values())

    def record(self, item: Item) -> Fitted:
        """The record of one item. Raises Misfit."""
        value, key = item.value, None
        try:
            if type(value) is dict and KEY in value:
                value = dict(value)
                key = decode_any(value.pop(KEY))
                if self.record_type.kind == "value" and VALUE in value:
                    value = value[VALUE]
            elif item.key is not None:
                key = self._named(item.key)
            document = self._document(value)
            if key is None:
                key = self._key(item, document)
            key_text(key)
        except Unholdable as error:
            raise Misfit(error.reason, error.field, item.key) from None
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
            raise Misfit(str(error) or type(error).__name__, "", item.key) from None
        return Fitted(item.ordinal, item.line, key, document)

    @property
    def names(self) -> tuple[str, ...]:
        """The declared fields."""
        return self._names

    def check_of(self, name: str) -> Check:
        """What checks a declared field."""
        return self._checks[name]

    def is_plain(self, name: str) -> bool:
        """Whether a declared field is written as its annotation's plain value, and not by a place of its own."""
        base = self.record_type.fields[name].base
        return (self.record_type.place(name).generic and base in _SCALARS) or base is float

    def _named(self, text: str) -> Hashable:
        """The key that an object's member name means."""
        key = key_of_field(text)
        if self._key_hint is int and type(key) is str and str(int(key)) == key:
            return int(key)
        if self._key_hint is uuid.UUID and type(key) is str and str(uuid.UUID(key)) == key:
            return uuid.UUID(key)
        return key  # type: ignore[no-any-return]

    def _key(self, item: Item, document: Document) -> Hashable:
        if self.numbered:
            return item.ordinal + 1
        if self.elements:
            return self._hashable(self.record_type.decode(VALUE, document[VALUE]))
        if self.key_field is None:
            raise Misfit("has no key; name the field that holds it with --key")
        if self.key_field not in document:
            raise Misfit("is missing, and it holds the key", self.key_field)
        return self._hashable(self.record_type.decode(self.key_field, document[self.key_field]))

    def _hashable(self, key: Any) -> Hashable:
        try:
            hash(key)
        except TypeError:
            raise Misfit(f"a {type(key).__name__} is no key", self.key_field or "") from None
        if key is None:
            raise Misfit("is null, and it holds the key", self.key_field or "")
        return key  # type: ignore[no-any-return]

    def _document(self, value: Json) -> Document:
        if self.record_type.kind == "value":
            return {VALUE: self._checked(VALUE, value)}
        if type(value) is not dict:
            raise Misfit(f"a {_kind(value)} where a record is expected")
        if any(name[:1] == "$" and name[:2] != "$:" for name in value):
            return self._marked(value)
        if self.record_type.kind == "model":
            return self._model(value)
        return {name: self._checked(name, inner) for name, inner in value.items()}

    def _checked(self, name: str, value: Json) -> Json:
        try:
            return self._checks.get(name, self._loose)(value)
        except Misfit as misfit:
            path = name + misfit.path if misfit.path[:1] == "[" else ".".join(filter(None, (name, misfit.path)))
            raise Misfit(misfit.reason, path) from None
        except Unholdable as error:
            raise Misfit(error.reason, ".".join(filter(None, (name, error.field)))) from None

    def _marked(self, value: Document) -> Document:
        """A document with reserved fields: taken if reading and writing it gives the same."""
        if unknown := [name for name in value if name[:1] == "$" and name[:2] != "$:" and name not in _RESERVED]:
            raise Misfit("is a reserved name", unknown[0])
        made = self.record_type.document(self.record_type.record(value))
        if made.keys() != value.keys() or canonical_text(made) != canonical_text({n: value[n] for n in made}):
            raise Misfit("is no canonical record of its type")
        return made

    def _model(self, value: Document) -> Document:
        if tuple(value) == self._names:
            return {name: self._checked(name, inner) for name, inner in value.items()}
        assert self._shape is not None
        checks, lacking = self._checks, False
        if not self._shape.keeps_extra and (extra := [name for name in value if name not in checks]):
            raise Misfit(f"is no field of {self.record_type.name}", extra[0])
        for name in self._names:
            if name not in value:
                if name not in self._shape.defaults:
                    raise Misfit("is missing", name)
                lacking = True
        document = {name: self._checked(name, value[name]) for name in self._names if name in value}
        document.update((name, self._checked(name, inner)) for name, inner in value.items() if name not in document)
        return self.record_type.document(self.record_type.record(document)) if lacking else document


def _class_of(record_type: RecordType) -> Any:
    cls = record_type._cls
    assert cls is not None
    return cls


def _kind(value: Json) -> str:
    names = {str: "text", bool: "boolean", int: "whole number", float: "number", list: "list", dict: "object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


# Checks: the value as it is, or as the annotated type; anything else is a Misfit.


def _check_of(field: FieldType, record_type: RecordType) -> Check:
    hint = column_hint(field.annotation)
    place = record_type.place(field.name)
    if not place.generic and hint is not float:
        plain = _annotated(place, field)
    elif hint in _SCALARS:
        plain = _SCALARS[hint]
    else:
        plain = _container(place, typing.get_origin(field.base) or field.base)
    free = field.nullable or field.base in (Any, object, None, type(None)) or hint is None

    def check(value: Json) -> Json:
        if value is None and free:
            return None
        return plain(value)

    return check


def _text(value: Json) -> Json:
    if type(value) is not str:
        return _tagged(value, str, "text")
    if value.isascii():
        if "\x00" in value:
            raise Misfit("text contains NUL (U+0000)")
        return value
    return encode_any(value)


def _whole(value: Json) -> Json:
    if type(value) is int:
        return value
    return _tagged(value, int, "whole number")


def _real(value: Json) -> Json:
    kind = type(value)
    if kind is float or kind is int:
        return value
    if kind is Exact:
        return float(value)
    if type(value) is dict and value in ({"$float": "nan"}, {"$float": "inf"}, {"$float": "-inf"}):
        return value
    return _tagged(value, float, "number")


def _truth(value: Json) -> Json:
    if type(value) is bool:
        return value
    raise Misfit(f"a {_kind(value)} where a boolean is expected")


def _decimal(value: Json) -> Json:
    kind = type(value)
    if kind is int or kind is float or kind is Exact:
        return {"$decimal": str(value if kind is int else exact_decimal(value))}
    if kind is str:
        try:
            return {"$decimal": str(Decimal(value))}
        except InvalidOperation:
            raise Misfit(f"{value[:40]!r} is no decimal number") from None
    return _tagged(value, Decimal, "decimal number")


def _by_text(kind: type[Any], words: str, read: Callable[[str], Any]) -> Check:
    def check(value: Json) -> Json:
        if type(value) is str:
            try:
                return encode_any(read(value))
            except ValueError:
                raise Misfit(f"{value[:40]!r} is no {words}") from None
        return _tagged(value, kind, words)

    return check


def _tagged(value: Json, kind: type[Any], words: str) -> Json:
    """A tagged value of the annotated class (or of one derived from it), as it is."""
    if type(value) is dict and len(value) == 1:
        found = decode_any(value)
        if isinstance(found, kind) and canonical_text(encode_any(found)) == canonical_text(value):
            return value
    raise Misfit(f"a {_kind(value)} where a {words} is expected")


_SCALARS: dict[Any, Check] = {
    str: _text,
    int: _whole,
    float: _real,
    bool: _truth,
    Decimal: _decimal,
    dt.datetime: _by_text(dt.datetime, "date and time", dt.datetime.fromisoformat),
    dt.date: _by_text(dt.date, "date", dt.date.fromisoformat),
    dt.time: _by_text(dt.time, "time of day", dt.time.fromisoformat),
    uuid.UUID: _by_text(uuid.UUID, "UUID", uuid.UUID),
    dt.timedelta: lambda value: _tagged(value, dt.timedelta, "duration"),
    bytes: lambda value: _tagged(value, bytes, "bytes"),
}


def _container(place: Place, base: Any = None) -> Check:
    """Any JSON value (of a list or a dict: one of that kind), as it is where that is canonical, else a Misfit."""
    wanted = base if base in (list, dict) else None

    def check(value: Json) -> Json:
        kind = type(value)
        if wanted is not None and kind is not wanted:
            raise Misfit(f"a {_kind(value)} where {'a list' if wanted is list else 'an object'} is expected")
        if kind is str:
            return _text(value)
        if kind is Exact:
            return float(value)
        if kind is not dict and kind is not list:
            return GENERIC.encode(value)
        text = canonical_text(value)
        if text.isascii() and '"$' not in text and "\\u0000" not in text:
            return value
        return _canonical(place, value, text)

    return check


def _canonical(place: Place, value: Json, text: str) -> Json:
    made = place.encode(place.decode(value))
    if canonical_text(made) != text:
        raise Misfit("is no canonical form of its value")
    return made


def _annotated(place: Place, field: FieldType) -> Check:
    """A value whose annotation says how it is written: an enum, a nested model, a list of them."""
    encode, decode = place.encode, place.decode
    validates = _is_pydantic(field.annotation)

    def check(value: Json) -> Json:
        if validates and value is not None and '"$' not in canonical_text(value):
            return _validated(field, value, place)
        try:
            made = encode(decode(value))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise Misfit(f"{error or type(error).__name__}") from None
        if _covers(made, value):
            return made
        raise Misfit("does not fit its annotation")

    return check


def _is_pydantic(annotation: Any) -> bool:
    """Whether a Pydantic model stands anywhere in the annotation."""
    return hasattr(annotation, "__pydantic_fields__") or any(map(_is_pydantic, typing.get_args(annotation)))


def _covers(made: Json, value: Json) -> bool:
    """Whether `made` says what `value` says, and more only where a nested record began with its defaults."""
    if type(made) is not type(value):
        return False
    if type(value) is dict:
        return ABSENT not in made and all(name in made and _covers(made[name], value[name]) for name in value)
    if type(value) is list:
        return len(made) == len(value) and all(map(_covers, made, value))
    return canonical_text(made) == canonical_text(value)


def _validated(field: FieldType, value: Json, place: Place) -> Json:
    """The value as Pydantic reads it by the annotation, where the service uses Pydantic."""
    pydantic = sys.modules["pydantic"]
    try:
        return place.encode(pydantic.TypeAdapter(field.annotation).validate_python(value))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise Misfit(str(first["msg"]), ".".join(str(part) for part in first["loc"])) from None
