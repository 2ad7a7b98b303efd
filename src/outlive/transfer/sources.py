"""Records of a file, read as a stream: batches of values with their line, and a place to go on from.

Memory is bounded by a batch and by one record. A record that cannot be read is a `Bad` of its own, with its line and
text, and the next one follows; a file whose structure ends is refused (FileMalformed), because what comes after
cannot be told.
"""

from __future__ import annotations

import codecs
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from outlive.errors import FileMalformed
from outlive.transfer.layout import Layout

BLOCK_BYTES = 1 << 20
MARGIN = 16
SHOWN_CHARS = 500


class Spot(NamedTuple):
    """Where a file is read on: byte offset, records and line breaks before it."""

    offset: int = 0
    ordinal: int = 0
    line: int = 0


class Item(NamedTuple):
    """One record: its number from 0, its line from 1, the object's key, and its JSON value."""

    ordinal: int
    line: int
    key: str | None
    value: Any


@dataclass(slots=True)
class Bad:
    """One record that cannot be taken: where it stands, why, and its text."""

    ordinal: int
    line: int
    key: str | None
    path: str
    reason: str
    text: str = ""


@dataclass(slots=True)
class Batch:
    """Records, those that cannot be read, and where the next batch begins."""

    items: list[Item] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    after: Spot = field(default_factory=Spot)

    def __len__(self) -> int:
        return len(self.items) + len(self.bad)


class Exact(float):
    """A float that remembers how it was written, for decimals."""

    __slots__ = ("text",)
    text: str


def _exact(text: str) -> float:
    number = float(text)
    if repr(number) == text:
        return number
    exact = Exact(number)
    exact.text = text
    return exact


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(n for n in names if names.count(n) > 1)!r} stands twice in an object")
    return made


def decoder(decimals: bool) -> json.JSONDecoder:
    """A decoder that refuses names that stand twice; with `decimals` numbers remember how they were written."""
    return json.JSONDecoder(
        object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_exact if decimals else None
    )


def read(path: Path, layout: Layout, at: Spot, size: int, *, decimals: bool = False) -> Iterator[Batch]:
    """Batches of `size` records from `at` on. Raises FileMalformed."""
    readers = {"jsonl": _read_lines, "csv": _read_csv, "list": _read_json, "object": _read_json}
    try:
        with path.open("rb") as file:
            yield from readers[layout.kind](file, path, layout, at, size, decoder(decimals))
    except OSError as failure:
        raise FileMalformed(path=str(path), reason=failure.strerror or str(failure)) from failure


class Checksum:
    """SHA-256 of a file's beginning, which grows."""

    def __init__(self, path: Path) -> None:
        self._path, self._hash, self._at = path, hashlib.sha256(), 0

    def upto(self, offset: int) -> str:
        """Of the bytes before `offset`, which never shrinks, in hexadecimal digits."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            while self._at < offset and (block := file.read(min(BLOCK_BYTES, offset - self._at))):
                self._hash.update(block)
                self._at += len(block)
        return self._hash.hexdigest()


# One JSON value a line.


@dataclass(slots=True)
class Lines:
    """Lines of a JSONL file as they are, from `at` on; `after` is known once they have been read."""

    lines: list[bytes]
    at: Spot
    after: Spot = field(default_factory=Spot)

    def batch(self, decode: json.JSONDecoder) -> Batch:
        """Their records."""
        batch, ordinal = Batch(), self.at.ordinal
        for line, raw in enumerate(self.lines, self.at.line + 1):
            if raw.isspace():
                continue
            one = line_record(raw, ordinal, line, decode)
            (batch.items if isinstance(one, Item) else batch.bad).append(one)  # type: ignore[arg-type]
            ordinal += 1
        batch.after = self.after
        return batch


def read_lines(path: Path, at: Spot, size: int) -> Iterator[Lines]:
    """`size` lines of a JSONL file at a time; the last ones may be none. Raises FileMalformed."""
    try:
        with path.open("rb") as file:
            file.seek(at.offset)
            while True:
                lines = Lines(list(itertools.islice(file, size)), at)
                blank = sum(map(bytes.isspace, lines.lines))
                read = sum(map(len, lines.lines))
                at = Spot(at.offset + read, at.ordinal + len(lines.lines) - blank, at.line + len(lines.lines))
                lines.after = at
                yield lines
                if len(lines.lines) < size:
                    return
    except OSError as failure:
        raise FileMalformed(path=str(path), reason=failure.strerror or str(failure)) from failure


def line_record(raw: bytes, ordinal: int, line: int, decode: json.JSONDecoder) -> Item | Bad:
    """The record of one line, or why there is none."""
    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        value = _whole(decode.scan_once, text) if text[0] in "{[" else decode.decode(text)  # type: ignore[attr-defined]
    except (ValueError, RecursionError) as failure:
        return Bad(ordinal, line, None, "", _why(failure), _shown(raw))
    return Item(ordinal, line, None, value)


def _read_lines(
    file: BinaryIO, path: Path, layout: Layout, at: Spot, size: int, decode: json.JSONDecoder
) -> Iterator[Batch]:
    for lines in read_lines(path, at, size):
        yield lines.batch(decode)


def _whole(scan: Any, text: str) -> Any:
    """The one value of a line. Raises ValueError."""
    value, end = scan(text, 0)
    if text[end:].strip(" \t\r\n"):
        raise ValueError(f"more text behind the record at character {end + 1}")
    return value


def _why(failure: BaseException) -> str:
    if isinstance(failure, json.JSONDecodeError):
        return f"{failure.msg} at character {failure.pos + 1}"
    return str(failure) if isinstance(failure, ValueError) else "nested too deeply"


def _shown(raw: bytes | str) -> str:
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    text = text.strip()
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


# An array or an object.

_SPACE = re.compile(r"[ \t\r\n]*")


class _Window:
    """The part of a file's text that is being read; grows at its end, forgets its beginning."""

    def __init__(self, file: BinaryIO, path: Path, at: Spot) -> None:
        file.seek(at.offset)
        self.file, self.path = file, path
        self.text, self.pos, self.ended = "", 0, False
        self.offset, self.line = at.offset, at.line
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._counted = 0

    def more(self) -> bool:
        """Whether there was more text."""
        if self.ended:
            return False
        raw = self.file.read(max(BLOCK_BYTES, len(self.text)))
        self.ended = not raw
        try:
            fresh = self._decoder.decode(raw, final=self.ended)
        except UnicodeDecodeError as failure:
            raise self.malformed(f"is not UTF-8 ({failure.reason})") from failure
        self.text += fresh
        return bool(fresh)

    def skip(self) -> str:
        """The next character that is no space, at `pos`; empty at the end."""
        while True:
            self.pos = _SPACE.match(self.text, self.pos).end()  # type: ignore[union-attr]
            if self.pos < len(self.text):
                return self.text[self.pos]
            if not self.more():
                return ""

    def count(self) -> int:
        """The line of `pos`, from 1."""
        self.line += self.text.count("\n", self._counted, self.pos)
        self._counted = self.pos
        return self.line + 1

    def forget(self) -> None:
        """Drop the text before `pos`."""
        self.count()
        self.offset += len(self.text[: self.pos].encode())
        self.text, self.pos, self._counted = self.text[self.pos :], 0, 0

    def value(self, decode: json.JSONDecoder) -> Any:
        """The JSON value at `pos`; `pos` stands behind it. Raises ValueError for one that is none, pos unmoved."""
        while True:
            try:
                found, end = decode.scan_once(self.text, self.pos)  # type: ignore[attr-defined]
            except StopIteration as stop:
                if self._cut_off(stop.value) and self.more():
                    continue
                raise ValueError("no JSON value") from None
            except json.JSONDecodeError as failure:
                if (failure.msg.startswith("Unterminated") or self._cut_off(failure.pos)) and self.more():
                    continue
                raise
            if end + MARGIN > len(self.text) and self.more():
                continue
            self.pos = end
            return found

    def _cut_off(self, pos: int) -> bool:
        return pos + MARGIN > len(self.text)

    def pass_over(self) -> str:
        """The text of a value that cannot be read; `pos` stands behind it. Raises FileMalformed."""
        began, depth, quoted = self.pos, 0, False
        at = self.pos
        while True:
            if at >= len(self.text) and not self.more():
                raise self.malformed("ends inside a record")
            char = self.text[at]
            if quoted:
                at += char == "\\"
                quoted = char != '"'
            elif char == '"':
                quoted = True
            elif char in "[{":
                depth += 1
            elif char in "]}" and depth:
                depth -= 1
            elif char in ",]}" and not depth:
                self.pos = at
                return self.text[began:at]
            at += 1

    def malformed(self, reason: str) -> FileMalformed:
        """The error that names path and line."""
        return FileMalformed(path=f"{self.path}:{self.count()}", reason=reason)


def _read_json(
    file: BinaryIO, path: Path, layout: Layout, at: Spot, size: int, decode: json.JSONDecoder
) -> Iterator[Batch]:
    window = _Window(file, path, at)
    keyed = layout.kind == "object"
    begins, ends = ("{", "}") if keyed else ("[", "]")
    ordinal = at.ordinal
    if not at.offset:
        if window.skip() == "\ufeff":
            window.pos += 1
        if window.skip() != begins:
            raise window.malformed(f"does not begin with {begins}")
        window.pos += 1
    batch = Batch()
    first = window.skip()
    if not first and not at.offset:
        raise window.malformed("ends after its first character")
    done = first in (ends, "")
    window.pos += done and bool(first)
    while not done:
        _member(window, batch, ordinal, keyed, decode)
        ordinal += 1
        char = window.skip()
        if char not in (",", ends) or not char:
            raise window.malformed(f"expected , or {ends} after a record")
        done = char == ends
        window.pos += 1
        if len(batch) >= size and not done:
            window.forget()
            batch.after = Spot(window.offset, ordinal, window.line)
            yield batch
            batch = Batch()
    if window.skip():
        raise window.malformed("has more text behind its end")
    window.forget()
    batch.after = Spot(window.offset, ordinal, window.line)
    yield batch


def _member(window: _Window, batch: Batch, ordinal: int, keyed: bool, decode: json.JSONDecoder) -> None:
    window.skip()
    line, began = window.count(), window.pos
    key: str | None = None
    try:
        if keyed:
            key = _key(window, decode)
            window.skip()
        began = window.pos
        batch.items.append(Item(ordinal, line, key, window.value(decode)))
    except (ValueError, RecursionError) as failure:
        window.pos = began
        text = window.pass_over()
        why = failure.msg if isinstance(failure, json.JSONDecodeError) else _why(failure)
        batch.bad.append(Bad(ordinal, line, key, "", why, _shown(text)))


def _key(window: _Window, decode: json.JSONDecoder) -> str:
    key = window.value(decode)
    if type(key) is not str or window.skip() != ":":
        raise window.malformed("a key in quotes and a colon are expected")
    window.pos += 1
    return key


# CSV. A cell without quotes that is empty is nothing (None); "" is the empty text.

_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^",]*))(,|\Z)')


def cells(text: str) -> list[str | None]:
    """The cells of one record. Raises ValueError."""
    if '"' not in text:
        return [cell or None for cell in text.split(",")]
    found: list[str | None] = []
    at = 0
    while True:
        match = _CELL.match(text, at)
        if match is None:
            raise ValueError(f"a quote that does not close at character {at + 1}")
        quoted, plain, end = match.groups()
        found.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        at = match.end()
        if not end:
            return found


def _records(file: BinaryIO, spot: Spot) -> Iterator[tuple[int, bytes, Spot]]:
    """(first line, bytes, spot behind) of each record; one may hold line breaks inside quotes."""
    offset, ordinal, line = spot
    held, first = b"", line + 1
    for raw in file:
        held += raw
        offset += len(raw)
        line += 1
        if held.count(b'"') % 2:
            continue
        if held.strip(b"\r\n"):
            yield first, held, Spot(offset, ordinal, line)
            ordinal += 1
        held, first = b"", line + 1
    if held:
        yield first, held, Spot(offset, ordinal, line)


def read_header(path: Path) -> tuple[tuple[str, ...], Spot]:
    """A CSV's column names, and where its records begin. Raises FileMalformed."""
    with path.open("rb") as file:
        for _, raw, spot in _records(file, Spot()):
            try:
                names = cells(raw.decode("utf-8-sig").rstrip("\r\n"))
            except ValueError as failure:
                raise FileMalformed(path=f"{path}:1", reason=str(failure)) from failure
            if None in names or len(set(names)) != len(names):
                raise FileMalformed(path=f"{path}:1", reason="every column needs a name of its own")
            return tuple(str(name) for name in names), Spot(spot.offset, 0, spot.line)
    raise FileMalformed(path=str(path), reason="is empty; a CSV begins with its column names")


def _read_csv(
    file: BinaryIO, path: Path, layout: Layout, at: Spot, size: int, decode: json.JSONDecoder
) -> Iterator[Batch]:
    names, begins = read_header(path)
    spot = at if at.offset else begins
    file.seek(spot.offset)
    batch, ordinal = Batch(), spot.ordinal
    for line, raw, after in _records(file, spot):
        spot = after
        try:
            row = cells(raw.decode().rstrip("\r\n"))
            if len(row) != len(names):
                raise ValueError(f"{len(row)} cells under {len(names)} columns")
            batch.items.append(Item(ordinal, line, None, dict(zip(names, row, strict=True))))
        except ValueError as failure:
            batch.bad.append(Bad(ordinal, line, None, "", str(failure), _shown(raw)))
        ordinal += 1
        if len(batch) >= size:
            batch.after = Spot(spot.offset, ordinal, spot.line)
            yield batch
            batch = Batch()
    batch.after = Spot(spot.offset, ordinal, spot.line)
    yield batch


def exact_decimal(value: float) -> Decimal:
    """The number as it was written."""
    return Decimal(value.text if isinstance(value, Exact) else repr(value))
