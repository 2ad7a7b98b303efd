"""Values that a file holds as plain JSON although their type has a tag: found when it is loaded, written so again.

A date in a file is a text, a price a number or a text. The declared type makes a date or a Decimal of it; an export
gives the file's form back wherever loading that gives the very same value, and the tag everywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from outlive.errors import Unholdable
from outlive.records import Document, Json
from outlive.transfer import sources
from outlive.transfer.fit import Check, Fit, Misfit
from outlive.transfer.layout import Layout
from outlive.transfer.sources import Spot

SAMPLE = 1000  # records of a file that tell how its fields stand
Form = Literal["text", "number", "zulu"]
_TAGS = frozenset({"$date", "$datetime", "$time", "$uuid", "$decimal"})
_UTC = "+00:00"


def with_forms(layout: Layout, fit: Fit, path: Path) -> Layout:
    """The layout of a file with how its fields stand. Raises FileMalformed."""
    if layout.kind == "csv":
        return layout
    first = next(sources.read(path, layout, Spot(), SAMPLE, decimals=fit.decimals), None)
    values = [item.value for item in first.items] if first is not None else []
    return replace(layout, plain=tuple(forms(fit, values).items()))


def forms(fit: Fit, values: Iterable[Json]) -> dict[str, Form]:
    """How each declared field that has a tag stands in these records, by its first value that is plain."""
    found: dict[str, Form] = {}
    for value in values:
        if type(value) is not dict:
            continue
        for name, held in value.items():
            if name in fit.record_type.fields and name not in found and _is_tagged(fit.check_of(name), held):
                found[name] = _form(held)
    return found


def _is_tagged(check: Check, held: Json) -> bool:
    if type(held) is dict or held is None:
        return False
    try:
        made = check(held)
    except (Misfit, Unholdable, ValueError, TypeError, ArithmeticError):
        return False
    return type(made) is dict and len(made) == 1 and not _TAGS.isdisjoint(made)


def _form(held: Json) -> Form:
    if type(held) is not str:
        return "number"
    return "zulu" if held.endswith("Z") else "text"


class Plainly:
    """Documents as they stood in the file that a store's records came from."""

    def __init__(self, fit: Fit, told: Mapping[str, str]) -> None:
        self._fields = {name: (_WRITERS[form], fit.check_of(name)) for name, form in told.items() if name in fit.names}

    def document(self, document: Document) -> Document:
        """The document with the values of those fields plain, where that is the same to whoever loads it."""
        if not self._fields or any(name[:1] == "$" and name[:2] != "$:" for name in document):
            return document
        shown = dict(document)
        for name, (write, check) in self._fields.items():
            held = shown.get(name)
            if type(held) is dict and len(held) == 1:
                ((tag, text),) = held.items()
                if tag in _TAGS and type(text) is str:
                    plain = write(text)
                    if plain is not None and check(plain) == held:
                        shown[name] = plain
        return shown


def _number(text: str) -> Json:
    """The number whose JSON text it is, as Python writes it; None where there is none."""
    try:
        made = json.loads(text)
    except ValueError:
        return None
    return made if repr(made) == text else None


def _zulu(text: str) -> Json:
    return text.removesuffix(_UTC) + "Z" if text.endswith(_UTC) else text


_WRITERS: dict[str, Callable[[str], Json]] = {"text": str, "number": _number, "zulu": _zulu}
