"""How a file of records is laid out, found in the file and kept when it is written again.

Four kinds: `list` (a JSON array), `object` (a JSON object, record by key), `jsonl` (one JSON value a line) and `csv`.
A record stands in its canonical form: plain JSON where JSON holds the value, a tag where it does not.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from outlive.errors import BadSetting, FileMalformed

Kind = Literal["list", "object", "jsonl", "csv"]
KINDS: tuple[Kind, ...] = get_args(Kind)
HEAD_BYTES = 65_536
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"(:?)( ?)')
_ESCAPED = re.compile(r"(?<!\\)(?:\\\\)*\\u(?!00[01])")  # control characters have escapes in every file
SUFFIXES: dict[str, Kind] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


@dataclass(frozen=True, slots=True)
class Layout:
    """`lines` puts each record of a list or object on a line of its own; `columns` are a CSV's header; `plain` tells
    the fields whose values stand without their tag, and how (see plainly.py)."""

    kind: Kind
    indent: int | str | None = None
    lines: bool = True
    ascii: bool = False
    comma: str = ","
    colon: str = ":"
    newline: bool = True
    columns: tuple[str, ...] = ()
    plain: tuple[tuple[str, str], ...] = ()

    def facts(self) -> dict[str, Any]:
        """As JSON; `Layout.of_facts` reads it."""
        return asdict(self)

    @classmethod
    def of_facts(cls, facts: dict[str, Any]) -> Layout:
        """The layout that `facts` told."""
        plain = tuple((name, form) for name, form in facts.get("plain", ()))
        return cls(**{**facts, "columns": tuple(facts["columns"]), "plain": plain})

    def text(self, value: Any) -> str:
        """One value's JSON text, as it stands in the file."""
        text: str = _encoder(self)(value)
        return text

    @property
    def opening(self) -> str:
        """What stands before the first record."""
        brace = {"list": "[", "object": "{"}.get(self.kind, "")
        return brace + ("\n" if brace and (self.lines or self.indent is not None) else "")

    @property
    def between(self) -> str:
        """What stands between two records."""
        if self.kind == "jsonl":
            return "\n"
        if self.lines or self.indent is not None:
            return self.comma.rstrip() + "\n"
        return self.comma

    def closing(self, empty: bool) -> str:
        """What stands after the last record."""
        if self.kind == "jsonl":
            return "" if empty else "\n"
        if empty:
            return {"list": "[]", "object": "{}"}[self.kind] + ("\n" if self.newline else "")
        brace = {"list": "]", "object": "}"}[self.kind]
        broken = self.lines or self.indent is not None
        return ("\n" if broken else "") + brace + ("\n" if self.newline else "")

    def member(self, key: str | None, value: Any) -> str:
        """One record of a list, object or JSONL file."""
        text = self.text(value)
        if key is not None:
            text = self.text(key) + self.colon + text
        if self.indent is None or self.kind == "jsonl":
            return text
        pad = " " * self.indent if isinstance(self.indent, int) else self.indent
        return pad + text.replace("\n", "\n" + pad)


def _encoder(layout: Layout) -> Any:
    known = (layout.indent, layout.ascii, layout.comma, layout.colon)
    found = _encoders.get(known)
    if found is None:
        found = _encoders[known] = json.JSONEncoder(
            ensure_ascii=layout.ascii, check_circular=False, allow_nan=False, indent=layout.indent,
            separators=(layout.comma, layout.colon),
        ).encode  # fmt: skip
    return found


_encoders: dict[Any, Any] = {}


def find_layout(path: Path, kind: str | None = None) -> Layout:
    """The layout of an existing file; `kind` overrules what suffix and first bytes say.

    Raises FileMalformed when it cannot be read or begins like none of them, BadSetting for an unknown kind.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(max(0, path.stat().st_size - 1))
            newline = file.read(1) == b"\n"
    except OSError as failure:
        raise FileMalformed(path=str(path), reason=failure.strerror or str(failure)) from failure
    text = head.decode("utf-8-sig", "replace")
    found = checked_kind(kind) if kind else _kind(path, text)
    if found == "csv":
        return Layout("csv")
    return _of_text(found, text, newline)


def checked_kind(kind: str) -> Kind:
    """The kind that a word names. Raises BadSetting."""
    for known in KINDS:
        if kind == known:
            return known
    raise BadSetting(name="--format", value=kind, reason=f"one of {', '.join(KINDS)} is expected")


def _kind(path: Path, text: str) -> Kind:
    suffix = SUFFIXES.get(path.suffix.lower())
    if suffix is not None:
        return suffix
    begins = text.lstrip()[:1]
    if begins == "[":
        return "list"
    if begins == "{":
        return "object"
    reason = "is neither a JSON array nor an object; --format jsonl or csv tells otherwise"
    raise FileMalformed(path=str(path), reason=reason)


def _of_text(kind: Kind, text: str, newline: bool) -> Layout:
    indent: int | str | None = None
    if kind != "jsonl" and (match := re.match(r"\s*[\[{]\r?\n([ \t]+)", text)):
        indent = len(match[1]) if set(match[1]) == {" "} else match[1]
    lines = kind != "jsonl" and indent is None and bool(re.match(r"\s*[\[{]\r?\n", text))
    spaced = next((match[2] for match in _STRING.finditer(text) if match[1]), "")
    colon = ": " if spaced else ":"
    comma = "," if indent is not None or colon == ":" else ", "
    return Layout(kind, indent, lines, text.isascii() and bool(_ESCAPED.search(text)), comma, colon, newline)


__all__ = ["KINDS", "Kind", "Layout", "checked_kind", "find_layout"]
