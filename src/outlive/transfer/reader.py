"""A file's records as rows of a store's table: in blocks where they are plain, else one by one.

What cannot become a row is set aside, with its line, key, path and reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outlive.errors import Unholdable
from outlive.postgres.tables import Row
from outlive.records import canonical_text
from outlive.transfer import sources
from outlive.transfer.blocks import Blocks, Piece, pieces
from outlive.transfer.bulk import copy_text
from outlive.transfer.cells import Cells
from outlive.transfer.fast import Fast
from outlive.transfer.fit import Misfit
from outlive.transfer.layout import Layout
from outlive.transfer.sources import Bad, Batch, Item, Lines, Spot

if TYPE_CHECKING:
    from outlive.transfer.load import Target

TWICE = "the key stands earlier in this file already"


class Reader:
    """Batches of a file as rows of a table; bad records are set aside.

    Of a batch `bad`, `lines` (where each key of the long way stood), `quick` (the keys of the blocks) and `taken` (how
    many records are rows) are complete once its rows have been read to the last.
    """

    def __init__(self, target: Target, path: Path, layout: Layout, version: int) -> None:
        self.table, self.version = target.table, version
        self._fit = target.fit()
        self._fast = Fast(target.table, self._fit)
        self._short = self._fast.usable and target.kind in ("mapping", "json_file")
        self._text = str(version)
        self._cells = Cells(target.table.record_type) if layout.kind == "csv" else None
        self._path, self._layout = path, layout
        self._decimals = self._fit.decimals and layout.kind != "csv"
        self._decoder = sources.decoder(self._decimals)
        self._blocks = self._found_blocks() if self._short else None
        self.bad: list[Bad] = []
        self.taken = 0
        self.quick: list[Sequence[bytes]] = []
        self.lines: dict[str, tuple[int, int]] = {}
        self.seen: set[str] = set()

    def _found_blocks(self) -> Blocks | None:
        if self._layout.kind != "jsonl":
            return None
        first = next(sources.read_lines(self._path, Spot(), 1)).lines
        return Blocks.of(self.table, self._fit, self._layout, first[0]) if first else None

    def batches(self, at: Spot, size: int) -> Iterator[Batch | Lines]:
        """The file from `at` on: its lines as they are where there are blocks of them, else its records."""
        if self._blocks is not None:
            return sources.read_lines(self._path, at, size)
        return sources.read(self._path, self._layout, at, size, decimals=self._decimals)

    def records(self, batch: Batch | Lines) -> Batch:
        """The records of a batch."""
        return batch if isinstance(batch, Batch) else batch.batch(self._decoder)

    def _begin(self, bad: Sequence[Bad] = ()) -> None:
        self.bad, self.lines, self.quick, self.taken = list(bad), {}, [], 0

    def rows(self, batch: Batch | Lines) -> Iterator[Row]:
        """The rows of a batch, by the long way."""
        records = self.records(batch)
        self._begin(records.bad)
        for item in records.items:
            row = self._checked(item)
            if row is not None:
                yield row

    def _checked(self, item: Item) -> Row | None:
        """The record's row; None where it was rejected."""
        try:
            row = self._row(item)
        except Misfit as misfit:
            key = misfit.key if misfit.key is not None else self._shown_key(item)
            self._reject(item, key, misfit.path, misfit.reason)
            return None
        except Unholdable as error:
            self._reject(item, error.key, error.field, error.reason)
            return None
        literal = str(row[0])
        if literal in self.lines or literal in self.seen:
            self._reject(item, literal, "", TWICE)
            return None
        self.lines[literal] = (item.ordinal, item.line)
        self.taken += 1
        return row

    def text(self, batch: Batch | Lines) -> Iterator[bytes]:
        """The rows of a batch as COPY text: by blocks where they can be, the others by the long way."""
        if isinstance(batch, Batch) or self._blocks is None:
            yield from copy_text(self.rows(batch))
            return
        self._begin()
        version, (_, ordinal, line) = self._text.encode(), batch.at
        for lines in pieces(batch.lines):
            positions = range(self.version + ordinal, self.version + ordinal + len(lines))
            piece = self._blocks.piece(lines, version, positions) if lines[-1][-1:] == b"\n" else None
            if piece is None:
                yield from self._mixed(lines, ordinal, line)
                ordinal -= sum(map(bytes.isspace, lines))
            else:
                self.quick.append(piece.keys)
                self.taken += piece.count
                yield piece.text
            ordinal, line = ordinal + len(lines), line + len(lines)

    def _mixed(self, lines: Sequence[bytes], ordinal: int, line: int) -> Iterator[bytes]:
        """Lines of which some have to go the long way."""
        assert self._blocks is not None
        cells, raws, positions, rows = [], [], [], []
        for number, raw in enumerate(lines, line + 1):
            if raw.isspace():
                continue
            found = self._blocks.one(raw)
            if found is None:
                rows += self._long(raw, ordinal, number)
            else:
                cells.append(found)
                raws.append(raw)
                positions.append((self.version + ordinal, number))
            ordinal += 1
        places = [position for position, _ in positions]
        piece = self._blocks.some(cells, raws, self._text.encode(), places)
        if piece is None:
            for raw, (position, number) in zip(raws, positions, strict=True):
                rows += self._long(raw, position - self.version, number)
            piece = Piece(b"", ())
        self.quick.append(piece.keys)
        self.taken += piece.count
        yield piece.text
        yield from copy_text(rows)

    def _long(self, raw: bytes, ordinal: int, line: int) -> list[Row]:
        """A line's row, or none where it was rejected."""
        item = sources.line_record(raw, ordinal, line, self._decoder)
        if isinstance(item, Bad):
            self.bad.append(item)
            return []
        row = self._checked(item)
        return [] if row is None else [row]

    def known(self) -> list[str]:
        """The keys of the batch that was read, as texts of the key column; some may stand twice."""
        return [*self.lines, *(key.decode() for keys in self.quick for key in keys)]

    def _row(self, item: Item) -> Row:
        if self._cells is not None:
            item = item._replace(value=self._typed(item.value))
        if self._short and item.key is None:
            row = self._fast.row(item.value, self._text, str(self.version + item.ordinal))
            if row is not None:
                return row
        fitted = self._fit.record(item)
        return self.table.row(fitted.key, fitted.document, self.version, self.version + item.ordinal)

    def _typed(self, cells: dict[str, str | None]) -> dict[str, Any]:
        assert self._cells is not None
        typed = {}
        for name, cell in cells.items():
            try:
                typed[name] = self._cells.value(name, cell)
            except ValueError:
                raise Misfit(f"{str(cell)[:40]!r} does not fit the column", name) from None
        return typed

    def _shown_key(self, item: Item) -> str | None:
        if item.key is not None:
            return item.key
        name = self._fit.key_field
        held = item.value.get(name) if type(item.value) is dict and name is not None else None
        return held if held is None or type(held) is str else canonical_text(held)

    def _reject(self, item: Item, key: str | None, path: str, reason: str) -> None:
        try:
            text = canonical_text(item.value)
        except ValueError:
            text = repr(item.value)
        self.bad.append(Bad(item.ordinal, item.line, key, path, reason, text[: sources.SHOWN_CHARS]))
