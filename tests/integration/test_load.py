"""Files into tables and back: nothing is lost, bad records are named, a killed load goes on, byte for byte.

Long: one promise of a load a test, all on the same records and fixtures.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import outlive
from outlive.cli.app import run
from outlive.commit import failpoints
from outlive.errors import FailPointHit, FileMalformed, PhaseRefused, SchemaMismatch, Unholdable
from outlive.postgres.connect import Database
from outlive.postgres.options import TableOptions
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType, canonical_text, key_text
from outlive.transfer import blocks, fill, sources
from outlive.transfer.bulk import copy_line
from outlive.transfer.export import default_layout, export, replaced, snapshot
from outlive.transfer.fit import Fit, Misfit
from outlive.transfer.layout import Layout, find_layout
from outlive.transfer.load import Loaded, Options, Target, load, look
from outlive.transfer.plainly import with_forms
from outlive.transfer.sources import Item, Spot

Cli = Callable[..., tuple[int, str]]


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Inner:
    n: int
    note: str | None = None


@dataclass
class Row:
    task_id: str
    n: int


@dataclass
class Task:
    task_id: str
    at: dt.datetime
    day: dt.date
    price: Decimal
    colour: Colour
    inner: Inner
    ratio: float = 0.5
    tags: list[str] = field(default_factory=list)
    ref: uuid.UUID | None = None


def target(declared: Any = dict, key: str | None = "task_id", name: str = "tasks", kind: str = "mapping") -> Target:
    """A store of service `farm` that nobody runs."""
    return Target("farm", name, StoreTable.derive("farm", name, RecordType.of(declared), key), key, kind)


def put(db: Database, into: Target, path: Path, **options: Any) -> Loaded:
    """A load with little ceremony."""
    chosen = {"actor": "test", "rejects": path.parent / "rejects.jsonl", **options}
    return load(db, into, path, find_layout(path), Options(**chosen))


def out(db: Database, of: Target, layout: Layout) -> bytes:
    """An export's bytes."""
    held = io.BytesIO()
    with db.connect() as conn, snapshot(conn):
        export(conn, of, layout, held)
    return held.getvalue()


def lines(records: list[Any]) -> bytes:
    """Records as canonical JSONL."""
    return "".join(canonical_text(record) + "\n" for record in records).encode()


@pytest.fixture
def cli(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in an empty folder, on the test's database, as service farm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("OUTLIVE_SERVICE", "farm")

    def call(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        read, told = capsys.readouterr()
        return status, read + told

    return call


@pytest.fixture
def conn(db: Database) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the test's own."""
    with db.connect() as opened:
        yield opened


# -- there and back ------------------------------------------------------------------------------------------------

text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "\\N", "\x02", "a\tb\\c\nd\re", "حرث", "שלום", "🌾", "'\"", "\u2028"]
)
scalar = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([-0.0, 1e16, 2.56e16, 1e-7, 5e-324]),
    text,
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(lambda d: {"$decimal": str(d)}),
    st.sampled_from([{"$decimal": "1E+2"}, {"$decimal": "-0.00"}, {"$datetime": "2024-01-02T03:04:05+02:00"}]),
    st.binary(max_size=6).map(lambda raw: RecordType.of(bytes).encode("value", raw)),
)
names = st.sampled_from(["a", "b", "c", "ß", "zz", "outlive_key"])
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
records = st.dictionaries(text.filter(bool), st.dictionaries(names, value, max_size=4), max_size=6)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(records)
def test_what_is_exported_loads_to_the_same(db: Database, tmp_path: Path, held: dict[str, dict[str, Any]]) -> None:
    """For any records, load(export(x)) is x, and export(load(f)) is f byte for byte, in every kind of file."""
    first = {key: {"task_id": key, **record} for key, record in held.items()}
    with db.connect() as conn:
        conn.execute("DROP SCHEMA IF EXISTS farm CASCADE")
        conn.execute("TRUNCATE outlive.request, outlive.member")
    files = {
        "list": canonical_text(list(first.values())),
        "object": json.dumps(first, indent=2, ensure_ascii=True) + "\n",
        "lines": "[\n" + ",\n".join(map(canonical_text, first.values())) + "\n]\n" if first else "[]\n",
        "jsonl": lines(list(first.values())).decode(),
    }
    for name, content in files.items():
        path = tmp_path / f"x.{'jsonl' if name == 'jsonl' else 'json'}"
        path.write_text(content, encoding="utf-8")
        into = target(name=name)
        assert put(db, into, path).counts.landed == len(first)
        assert out(db, into, find_layout(path)).decode() == content


def test_a_typed_record_is_what_the_service_would_hold(db: Database, tmp_path: Path) -> None:
    """Plain JSON becomes the annotated types where it says the same, defaults are filled, and the export gives it back
    in canonical form."""
    path = tmp_path / "tasks.json"
    plain = {
        "task_id": "t1", "day": "2024-02-29", "at": "2024-01-02T03:04:05Z", "price": 12.50, "colour": "red",
        "inner": {"n": 1, "note": None}, "ref": "6fa459ea-ee8a-3ca4-894e-db77e160355e",
    }  # fmt: skip
    path.write_text(json.dumps([plain]).replace("12.5", "12.50"))
    into = target(Task)
    assert put(db, into, path).counts.landed == 1
    written = out(db, into, Layout("jsonl"))
    record = RecordType.of(Task).record(json.loads(written))
    assert record == Task(
        "t1", dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC), dt.date(2024, 2, 29), Decimal("12.50"), Colour.RED,
        Inner(1), 0.5, [], uuid.UUID("6fa459ea-ee8a-3ca4-894e-db77e160355e"),
    )  # fmt: skip
    assert str(record.price) == "12.50"
    again = tmp_path / "again.jsonl"
    again.write_bytes(written)
    assert put(db, into, again).counts.equal == 1
    assert out(db, into, Layout("jsonl")) == written


def test_an_export_has_the_plain_values_that_came(db: Database, tmp_path: Path) -> None:
    """Dates, UUIDs and decimals of a typed store stand as they stood in the file that was loaded, byte for byte."""
    path = tmp_path / "tasks.json"
    plain = {
        "task_id": "t1", "at": "2024-01-02T03:04:05Z", "day": "2024-02-29", "price": 12.5, "colour": "red",
        "inner": {"n": 1, "note": None}, "ratio": 0.5, "tags": ["أ"], "ref": "6fa459ea-ee8a-3ca4-894e-db77e160355e",
    }  # fmt: skip
    path.write_text(json.dumps([plain, {**plain, "task_id": "t2", "ref": None}], indent=2, ensure_ascii=False))
    into = target(Task)
    assert put(db, into, path).counts.landed == 2
    assert out(db, into, with_forms(find_layout(path), into.fit(), path)) == path.read_bytes()


BAD_FIELDS = [
    ({"at": 5}, "at"), ({"day": "2024-02-30"}, "day"), ({"price": "much"}, "price"), ({"colour": "blue"}, "colour"),
    ({"inner": {"n": 1, "more": 2}}, "inner"), ({"ratio": "0.5"}, "ratio"), ({"tags": {"$no": "\x00"}}, "tags"),
    ({"tags": "red"}, "tags"), ({"ref": "nobody"}, "ref"), ({"surplus": 1}, "surplus"), ({"task_id": None}, "task_id"),
    ({"task_id": 1}, "task_id"),
    ({"at": None}, "at"), ({"$strange": 1}, "$strange"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "path"), BAD_FIELDS)
def test_what_does_not_fit_is_named(change: dict[str, Any], path: str) -> None:
    """A value that the record type does not hold is a misfit that names its field."""
    good = {
        "task_id": "t", "at": "2024-01-02T03:04:05", "day": "2024-01-02", "price": 1, "colour": "red", "inner": {"n": 1}
    }  # fmt: skip
    fit = Fit(RecordType.of(Task), "task_id")
    assert fit.record(Item(0, 1, None, good)).key == "t"
    with pytest.raises(Misfit) as misfit:
        fit.record(Item(0, 1, None, {**good, **change}))
    assert misfit.value.path.split(".")[0] == path


def test_records_without_shape_need_a_key() -> None:
    """A list's element that is no object, lacks the key, or has a key that cannot be one, does not fit."""
    fit = Fit(RecordType.of(dict), "id")
    for value in (1, {"a": 1}, {"id": None}, {"id": [1]}, {"id": float("inf")}, {"id": 1, "x": "\ud800"}):
        with pytest.raises(Misfit):
            fit.record(Item(0, 1, None, value))
    with pytest.raises(Misfit, match="--key"):
        Fit(RecordType.of(dict), None).record(Item(0, 1, None, {"a": 1}))
    assert fit.record(Item(0, 1, None, {"$key": {"$tuple": [1, 2]}, "id": 3})).key == (1, 2)


@pytest.mark.parametrize("kind", ["mapping", "set", "log"])
def test_values_of_every_store_go_there_and_back(db: Database, tmp_path: Path, kind: str) -> None:
    """Numbers under tuple keys, a set's elements and a log's entries come back as they were, in order."""
    declared = {"mapping": int, "set": str, "log": dict}[kind]
    rows: dict[str, list[Any]] = {
        "mapping": [{"$key": {"$tuple": ["a", 1]}, "value": 5}, {"$key": 7, "value": 6}],
        "set": ["b", "a", "حرث"],
        "log": [{"n": 2}, {"n": 1}, {"n": 2}],
    }
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines(rows[kind]))
    into = target(declared, None, kind, kind)
    assert put(db, into, path).counts.landed == len(rows[kind])
    assert put(db, into, path).counts.equal == len(rows[kind])
    assert out(db, into, Layout("jsonl")) == path.read_bytes()
    assert default_layout(into, ".json", None, None).kind == ("object" if kind == "mapping" else "list")
    if kind == "mapping":
        path = tmp_path / "x.json"
        path.write_bytes(out(db, into, Layout("object")))
        assert put(db, into, path).counts.equal == 2


def test_csv_tells_nothing_from_empty_text(db: Database, tmp_path: Path) -> None:
    """An empty cell is None and "" the empty text; a record that a CSV cannot give back is refused by name."""
    path = tmp_path / "tasks.csv"
    path.write_text('task_id,n,title,price\nt1,1,"",\nt2,,"two\nlines, ""quoted""",1.50\n')
    fields = {"task_id": str, "n": int | None, "title": str | None, "price": Decimal | None}
    typed: Any = __import__("typing").TypedDict("Row", fields, total=False)
    into = target(typed)
    assert put(db, into, path).counts.landed == 2
    layout = Layout("csv", columns=("task_id", "n", "title", "price"))
    assert out(db, into, layout) == path.read_bytes()
    assert out(db, into, Layout("csv")) == path.read_bytes()
    path.write_text("task_id,n,title,price\nt1,x,,\nt1,1\n,1,,\n")
    found = put(db, into, path)
    assert [(bad.line, bad.path) for bad in found.bad] == [(2, "n"), (3, ""), (4, "task_id")]
    more = tmp_path / "more.jsonl"
    more.write_text('{"task_id":"t3","n":1}\n')
    put(db, into, more)
    with pytest.raises(Unholdable, match="missing field"):
        out(db, into, layout)


# -- files that are not whole --------------------------------------------------------------------------------------


def read(path: Path, size: int = 2) -> tuple[list[Item], list[sources.Bad]]:
    """All records of a file, each batch read by a reader of its own from where the last one ended."""
    items: list[Item] = []
    bad: list[sources.Bad] = []
    at, layout = Spot(), find_layout(path)
    while True:
        batch = next(iter(sources.read(path, layout, at, size)))
        if batch.after == at or not len(batch):
            return items, bad
        items, bad, at = items + batch.items, bad + batch.bad, batch.after


def test_bad_records_are_passed_over_in_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a list with broken elements the others are read, wherever a block of the file ends, with their lines."""
    path = tmp_path / "x.json"
    path.write_text('[\n1,\n{"a": tru, "b": "]}"},\n{"a": 1, "a": 2},\nNaN,\n{"ü": ["]", {"n": 1.5}]},\n12345\n]\n')
    for block in (1, 7, 1 << 20):
        monkeypatch.setattr(sources, "BLOCK_BYTES", block)
        items, bad = read(path)
        assert [(item.line, item.value) for item in items] == [(2, 1), (6, {"ü": ["]", {"n": 1.5}]}), (7, 12345)]
        assert [one.line for one in bad] == [3, 4, 5]
        assert "twice" in bad[1].reason


@pytest.mark.parametrize(
    "content", ["", "7", "[1", "[1 2]", "[1] x", '{"a" 1}', '{"a": [', '{"a": 1', "[{]", "[", "{1: 2}", b"[1,\xff2]"]
)
def test_a_file_whose_structure_ends_is_refused(tmp_path: Path, content: str | bytes) -> None:
    """A JSON file that cannot be read to its end is refused by name and line, never taken in part without a word."""
    path = tmp_path / "x.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FileMalformed, match=r"x\.json"):
        list(sources.read(path, find_layout(path), Spot(), 10))


def test_layouts_are_found(tmp_path: Path) -> None:
    """Kind, indent, separators and escapes are found in the file, so that it can be written again as it was."""
    path = tmp_path / "x.json"
    values = [{"a": "ü", "b": [1]}, {"a": "x"}]
    for shape in ({"indent": 2}, {"indent": "\t"}, {}, {"separators": (",", ":")}, {"ensure_ascii": False}):
        path.write_text(json.dumps(values, **shape) + "\n", encoding="utf-8")  # type: ignore[arg-type]
        layout = find_layout(path)
        body = layout.opening + layout.between.join(layout.member(None, value) for value in values)
        assert body + layout.closing(False) == path.read_text(encoding="utf-8")
    assert Layout.of_facts(json.loads(json.dumps(layout.facts()))) == layout
    with pytest.raises(FileMalformed):
        find_layout(tmp_path / "none.json")


def test_copy_escapes_what_it_must() -> None:
    """Backslashes, breaks and the NULL mark of a value travel as escapes, NULL as the mark itself."""
    assert copy_line(("a", None)) == "a\tnull\n"
    assert copy_line(("a\tb", "null", None, "\\N\r\n")) == "a\\tb\tn\\ull\tnull\t\\\\N\\r\\n\n"


@dataclass
class Plain:
    """All that a block can hold."""

    task_id: str
    text: str
    note: str | None
    n: int
    maybe: int | None
    x: float
    on: bool
    at: dt.datetime
    due: dt.datetime | None
    day: dt.date
    ref: uuid.UUID


PLAIN = {
    "task_id": "k", "text": "t", "note": None, "n": 1, "maybe": None, "x": 1.5, "on": True,
    "at": "2024-02-28T06:00:00Z", "due": None, "day": "2024-02-28", "ref": "8c5d2ae4-9f7c-4c7e-8a52-0a1b2c3d4e5f",
}  # fmt: skip
CELLS: dict[str, list[Any]] = {
    "text": [
        "", "null", "\\N", "a\tb\\c\nd\re\x08\x0c/", "حرث", "🌾", '"', "\u2028", "\x01", "\x7f", "\\u0041", "\\.", 5,
        None,
    ],
    "note": ["", "null", '"null"', "\\null", "ש", 5],
    "task_id": ["null", "a\\b", "ü", "", "k" * 700, 7, None],
    "n": [0, -1, 10**17, 2**63 - 1, 2**63, -(2**70), 1.0, "1", True, None],
    "maybe": [0, -5, 2**64, "x"],
    "x": [0.0, -0.0, 1e22, 1.7976931348623157e308, 5e-324, 0.1, 3, "1.5", None],
    "on": [False, 0, "true", None],
    "at": ["2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2024-04-31T00:00:00Z", "2024-12-31T23:59:59.123456+00:00",
           "2024-01-01T24:00:00Z", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T01:00:00+01:00",
           "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "2024-13-01T00:00:00Z", None],
    "due": ["2024-01-30T00:00:00Z", "soon", ""],
    "day": ["2024-02-29", "2023-02-29", "9999-12-31", "24-1-1"],
    "ref": ["8C5D2AE4-9F7C-4C7E-8A52-0A1B2C3D4E5F", "8c5d2ae49f7c4c7e8a520a1b2c3d4e5f", "none"],
}  # fmt: skip


def varied() -> bytes:
    """Lines that a block takes and lines that it must not, each in several ways of writing."""
    records = [
        {**PLAIN, "task_id": f"{name}{n}", name: cell} for name, some in CELLS.items() for n, cell in enumerate(some)
    ]
    texts = [json.dumps(each, ensure_ascii=ascii) for each in records for ascii in (False, True)]
    whole = json.dumps(PLAIN)
    texts += [
        whole[:-1] + ', "n": 2}', whole[:-1] + ', "more": 2}', whole.replace('"on": true, ', ""),
        whole.replace(": ", ":"), whole[:-1], "x" + whole, whole + whole, "{" + whole, whole.replace("1.5", "1.50"),
        whole.replace("1.5", "1e999"), whole.replace("1.5", "NaN"), whole.replace('"n": 1', '"n": -0'),
        whole.replace('"n": 1', '"n": 01'),
        whole.replace('"t"', '"\\u0000"'), whole.replace('"t"', '"\\ud800"'), whole.replace('"t"', '"\\ud83c\\udf3e"'),
        whole.replace('"t"', '"a\tb"'), whole.replace('"t"', '"\\/"'), whole + " ", " " + whole, "", "[]", "null",
    ]  # fmt: skip
    texts = [text.replace('"task_id": "k"', f'"task_id": "k{n}"') for n, text in enumerate(texts)]
    raw = "\n".join([json.dumps({**PLAIN, "task_id": "first"}), *texts]).encode()
    return raw + b"\n\xff\n" + json.dumps({**PLAIN, "task_id": "last"}).encode() + b"\r\n" + whole.encode()


def test_blocks_give_the_rows_of_the_long_way(
    db: Database, conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a block takes becomes the very row that it would be one by one, and what it must not is told the same;
    into a new table, into an empty one, and over rows."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(varied())
    monkeypatch.setattr(blocks, "PIECE", 3)
    seen = []
    for store, by_blocks in (("quick", True), ("slow", False)):
        if not by_blocks:
            monkeypatch.setattr(blocks.Blocks, "of", lambda *given: None)
        for again in range(3):
            found = put(db, target(Plain, "task_id", store), path, chunk_rows=50)
            counts = found.counts
            columns = "t.x::text, to_jsonb(t) - 'outlive_version' - 'outlive_position'"
            rows = conn.execute(f"SELECT {columns} FROM farm.{store} AS t ORDER BY outlive_position").fetchall()  # noqa: S608
            bad = sorted((tmp_path / "rejects.jsonl").read_text().splitlines())
            seen.append((store, again, (counts.landed, counts.equal, counts.rejected), rows, bad))
            if again == 1:  # some rows differ now and are older
                conn.execute(f"UPDATE farm.{store} SET n = 7, outlive_version = 1 WHERE day > '2024-01-01'")  # noqa: S608
            elif again == 0:
                conn.execute(f"DELETE FROM farm.{store}")  # noqa: S608
    for quick, slow in zip(seen[:3], seen[3:], strict=True):
        assert quick[1:] == slow[1:]
    assert min(seen[0][2][0], seen[0][2][2]) > 25


# -- rows from before, deletes, rejects ----------------------------------------------------------------------------


def test_a_load_respects_what_is_newer(db: Database, conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """A row that is newer stays, a key deleted later stays deleted, a key twice is rejected, places are kept."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines([{"task_id": key, "n": 1} for key in "abcd"]))
    into = target()
    put(db, into, path)
    conn.execute("UPDATE farm.tasks SET outlive_version = %s WHERE outlive_key = %s", (2**62, key_text("a")))
    conn.execute("DELETE FROM farm.tasks WHERE outlive_key = %s", (key_text("b"),))
    conn.execute("INSERT INTO outlive.tombstone VALUES ('farm', 'tasks', %s, %s)", (key_text("b"), 2**62))
    rows = [
        {"task_id": key, "n": number} for key, number in (("d", 4), ("a", 2), ("b", 2), ("c", 1), ("d", 5), ("e", 6))
    ]
    path.write_bytes(lines(rows))
    for size in (100, 2):
        found = put(db, into, path, chunk_rows=size)
        counts = found.counts
        assert (counts.newer, counts.deleted, counts.rejected) == (1, 1, 1)
        assert (counts.landed, counts.equal) == ((2, 1) if size == 100 else (0, 3))
        assert [bad.line for bad in found.bad] == [5]
    assert [json.loads(line)["task_id"] for line in out(db, into, Layout("jsonl")).splitlines()] == ["a", "c", "d", "e"]
    assert json.loads((tmp_path / "rejects.jsonl").read_text())["key"] == key_text("d")
    kinds = [row[0] for row in conn.execute("SELECT kind FROM outlive.event ORDER BY id").fetchall()]
    assert kinds == ["load"] * 3


def test_keys_that_stand_twice_are_found_without_an_index(db: Database, tmp_path: Path) -> None:
    """In a table that is new, whose key is made last, the second of two records is taken out and named."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines([{"task_id": str(n % 5), "n": n} for n in range(8)]))
    found = put(db, target(), path, chunk_rows=2)
    assert (found.counts.landed, found.counts.rejected) == (5, 3)
    assert [bad.line for bad in found.bad] == [6, 7, 8]
    assert [json.loads(line)["n"] for line in out(db, target(), Layout("jsonl")).splitlines()] == [0, 1, 2, 3, 4]


def test_an_empty_table_of_the_service_is_filled_straight(db: Database, tmp_path: Path) -> None:
    """Into a table that is there and empty rows are copied; a key that meets another falls back to the upsert."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"")
    assert put(db, target(), path).counts.records == 0
    path.write_bytes(lines([{"task_id": str(n % 5), "n": n} for n in range(8)]))
    found = put(db, target(), path, chunk_rows=4)
    assert (found.counts.landed, [bad.line for bad in found.bad]) == (5, [6, 7, 8])


def test_what_postgresql_refuses_is_rejected_one_by_one(
    db: Database, conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """Of rows that break a constraint each is named with the reason and kept whole, and all others land."""
    path = tmp_path / "x.jsonl"
    into = target(Row)
    path.write_bytes(b"")
    put(db, into, path)
    conn.execute("ALTER TABLE farm.tasks ADD CONSTRAINT small CHECK (n < 50)")
    path.write_bytes(lines([{"task_id": f"t{n}", "n": n} for n in range(53)]))
    for landed in (50, 0):
        found = put(db, into, path)
        assert (found.counts.landed, found.counts.rejected) == (landed, 3)
        assert [(bad.line, bad.path) for bad in found.bad] == [(51, "small"), (52, "small"), (53, "small")]
        assert json.loads(found.bad[0].text) == {"task_id": "t50", "n": 50}
        assert "[23514]" in found.bad[0].reason


def test_declared_indexes_are_made_behind_the_rows(db: Database, conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """In a table that a load makes, declared indexes stand once the rows are in; a unique one rejects from then on."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines([{"task_id": f"t{n}", "n": n % 3} for n in range(5)]))
    for name, options, landed in (("plain", TableOptions.of(["n"]), 5), ("single", TableOptions.of((), ["n"]), 3)):
        table = StoreTable.derive("farm", name, RecordType.of(Row), "task_id", options)
        found = put(db, Target("farm", name, table, "task_id"), path)
        assert (found.counts.landed, found.counts.rejected) == (landed, 5 - landed)
        indexes = conn.execute("SELECT count(*) FROM pg_indexes WHERE tablename = %s", (name,)).fetchone()
        assert indexes == (4,)


def test_sequences_and_counters_go_beyond_the_largest(
    db: Database, conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """After explicit ids neither a sequence nor a counter hands one of them out again; over no rows they stay."""

    @dataclass
    class Item:
        id: int
        n: int

    path = tmp_path / "x.jsonl"
    into = target(Item, "id", "items")
    path.write_bytes(b"")
    put(db, into, path)
    conn.execute("CREATE SEQUENCE farm.items_id OWNED BY farm.items.id")
    assert put(db, into, path, counters={"next_id": "id"}).moved == []
    path.write_bytes(lines([{"id": 41, "n": 1}, {"id": 7, "n": 1}]))
    found = put(db, into, path, counters={"next_id": "id"})
    assert (found.moved, found.counters) == (["farm.items_id"], {"next_id": 41})
    assert put(db, into, path).moved == []
    assert conn.execute("SELECT nextval('farm.items_id')").fetchone() == (42,)
    assert conn.execute("SELECT value FROM outlive.counter").fetchone() == (41,)


# -- cut short -----------------------------------------------------------------------------------------------------

RUN = """
import sys
from outlive.cli import main
main(sys.argv[1:])
"""


def test_a_killed_load_goes_on_where_it_was(cli: Cli, conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """Killed in the middle and given again, a load with bad records ends as one that was never killed: the same rows,
    the same rejects, each once."""
    good = [{"task_id": f"t{n:04d}", "n": n, "title": "x" * (n % 9)} for n in range(30_000)]
    content = lines(good).decode().splitlines(keepends=True)
    for at in range(0, 30_000, 6000):
        content[at] = content[at].replace('"n"', '"n":1,"n"')
    for name in ("one", "two"):
        (tmp_path / f"{name}.jsonl").write_text("".join(content))
    env = {**os.environ, "OUTLIVE_FAILPOINT": "load.chunk=kill:1"}
    command = [sys.executable, "-c", RUN, "load", "one.jsonl", "--key", "task_id"]
    killed = subprocess.run(command, env=env, check=False, timeout=60, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert conn.execute("SELECT count(*) FROM farm.one").fetchone() == (24_995,)
    with (tmp_path / "one.rejects.jsonl").open("a") as torn:
        torn.write('{"torn')
    other = tmp_path / "other" / "one.jsonl"
    other.parent.mkdir()
    other.write_text("".join(content[:9]))
    assert cli("load", other, "--key", "task_id")[0] == 3
    status, told = cli("load", "one.jsonl", "--key", "task_id")
    assert (status, "29995 of 30000 records landed" in told, "resumed" in told) == (0, True, True)
    assert cli("load", "two.jsonl", "--key", "task_id")[0] == 0
    same = "SELECT count(*) FROM farm.one JOIN farm.two USING (task_id, n, title)"
    assert conn.execute(same).fetchone() == (29_995,)
    rejects = [(tmp_path / f"{name}.rejects.jsonl").read_text() for name in ("one", "two")]
    assert rejects[0] == rejects[1]
    assert len(rejects[0].splitlines()) == 5
    left = "SELECT count(*) FROM outlive.member WHERE left_at IS NULL"
    assert conn.execute(left).fetchone() == (0,)


def test_a_load_begins_again_on_request(cli: Cli, conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """--restart gives up what an unfinished load began, without its key too, and loads from the first record."""
    path = tmp_path / "one.jsonl"
    path.write_bytes(lines([{"task_id": str(n), "n": n} for n in range(10)]))
    env = {**os.environ, "OUTLIVE_FAILPOINT": "load.chunk=kill:1"}
    command = [sys.executable, "-c", RUN, "load", "one.jsonl", "--key", "task_id"]
    assert subprocess.run(command, env=env, check=False, timeout=60, capture_output=True).returncode < 0
    path.write_bytes(lines([{"task_id": str(n), "n": n} for n in range(12)]))
    assert cli("load", path, "--key", "task_id")[0] == 3
    status, told = cli("load", path, "--key", "task_id", "--restart", "--rows-per-second", 1000)
    assert (status, "12 of 12 records landed" in told) == (0, True)
    assert conn.execute("SELECT 1 FROM pg_constraint WHERE conname = 'pk_one'").fetchone() == (1,)


# -- commands ------------------------------------------------------------------------------------------------------

APP = """
import outlive
from dataclasses import dataclass

@dataclass
class Task:
    task_id: str
    n: int

farm = outlive.Service("farm")
tasks = outlive.mapping("tasks", Task, key="task_id", service=farm)
"""


def test_a_live_service_is_not_loaded_past(
    cli: Cli, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that a running member's memory would not show is refused with its name, and done when it is forced."""
    (tmp_path / "farm_app.py").write_text(APP)
    (tmp_path / "tasks.jsonl").write_bytes(lines([{"task_id": "a", "n": 1}]))
    env = {"DATABASE_URL": database_url, "OUTLIVE_HOME": str(tmp_path / "home")}
    service = outlive.Service("farm", env=env)
    outlive.mapping("tasks", Row, key="task_id", service=service, phase="dual_write")
    service.start()
    try:
        status, told = cli("load", "tasks.jsonl", "--app", "farm_app:farm")
        assert (status, "would not see what is loaded" in told) == (3, True), told
        assert cli("export", "tasks", "--app", "farm_app")[1] == "[]\n"
        assert cli("load", "tasks.jsonl", "--app", "farm_app", "--force")[0] == 2
    finally:
        service.close()
    monkeypatch.setenv("OUTLIVE_APP", "farm_app")
    monkeypatch.setattr("outlive.runtime.declare.default_service", outlive.Service())  # no other test's stores
    found = json.loads(cli("load", "tasks.jsonl", "--force", "--reason", "trial", "--json")[1])
    assert found["loads"][0]["landed"] == 1
    assert cli("export", "tasks", "-o", tmp_path / "o" / "x.csv")[0] == 0
    assert (tmp_path / "o" / "x.csv").read_text() == "task_id,n\na,1\n"
    for app in ("nowhere", "farm_app:none", "json"):
        assert cli("export", "tasks", "--app", app)[0] == 1


def test_a_folder_is_loaded_by_its_names(cli: Cli, tmp_path: Path) -> None:
    """A folder's files go into the stores of their names, with columns deduced from all values and their evidence;
    an export of all gives the same bytes in the same forms."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.csv").write_text("id,n,mixed,flag\n1,2,3,true\n2,,x,false\n")
    (folder / "b.json").write_text('{\n  "k": {\n    "x": 1.5,\n    "y": "t"\n  },\n  "l": {\n    "x": 2\n  }\n}')
    (folder / "c.jsonl").write_text('{"id":"z","at":{"$datetime":"2024-01-02T03:04:05"},"any":null}\n')
    told = cli("load", folder, "--key", "id", "--dry-run", "--json")[1]
    columns = {found["store"]: found["columns"] for found in json.loads(told)["loads"]}
    assert columns["farm/a"]["mixed"] == "text: 2 text (line 2)"
    assert columns["farm/a"]["n"] == "integer: 1 integer (line 2), 1 null (line 3)"
    assert columns["farm/b"]["x"] == "any: 1 float (line 2), 1 integer (line 6)"
    assert columns["farm/c"]["at"] == "datetime: 1 datetime (line 1)"
    assert "2 records" in cli("load", folder / "a.csv", "--key", "id", "--dry-run")[1]
    assert cli("load", folder, "--key", "id")[0] == 0
    assert cli("load", folder, "--store", "x")[0] == 2
    assert "records to" in cli("export", "--all", "-o", tmp_path / "out")[1]
    for path in folder.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name
    assert cli("export", "--all")[0] == 2
    assert cli("load", tmp_path / "out" / "..", "--key", "id")[0] == 1
    assert cli("load", folder / "a.csv", "--format", "xml")[0] == 1


def test_a_look_changes_nothing(db: Database, conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """A dry run counts what would land and what would be rejected, and makes no table."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines([{"task_id": "a"}, {"task_id": "a"}, {"n": 1}]))
    counts, bad = look(target(), path, find_layout(path), lambda counts, size: None)
    assert (counts.records, counts.landed, counts.rejected) == (3, 1, 2)
    assert [one.line for one in bad] == [3, 2] or [one.line for one in bad] == [2, 3]
    assert conn.execute("SELECT to_regclass('farm.tasks')").fetchone() == (None,)


def test_a_file_takes_its_place_when_it_is_complete(tmp_path: Path) -> None:
    """An export that fails leaves the old file, and nothing beside it."""
    path = tmp_path / "x.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), replaced(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_load_that_was_overtaken_stops(db: Database, conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """A load whose member row was fenced writes nothing more and says so."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines([{"task_id": str(n)} for n in range(4)]))

    def fence(counts: Any, size: int) -> None:
        conn.execute("UPDATE outlive.member SET fenced = true")

    with pytest.raises(PhaseRefused, match="took over"):
        put(db, target(), path, chunk_rows=2, tell=fence)
    assert conn.execute("SELECT count(*) FROM farm.tasks").fetchone() == (2,)
    assert put(db, target(), path).resumed
    assert conn.execute("SELECT count(*) FROM farm.tasks").fetchone() == (4,)
    with db.connect() as other:
        assert len(list(fill.read_rows(other, _held(target())))) == 4


def _held(of: Target) -> Any:
    class Held:
        table = of.table

    return Held()


def test_a_load_over_rows_that_was_cut_short_knows_its_keys(db: Database, tmp_path: Path) -> None:
    """Resumed over rows from before, a load still rejects the second of two records of which the first was equal."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines([{"task_id": str(n), "n": n} for n in range(4)]))
    put(db, target(Row), path)
    path.write_bytes(lines([{"task_id": str(n % 4), "n": n} for n in (0, 1, 4, 5, 3)]))
    failpoints.arm("load.chunk", "raise:1")
    try:
        with pytest.raises(FailPointHit):
            put(db, target(Row), path, chunk_rows=2)
    finally:
        failpoints.disarm()
    found = put(db, target(Row), path, chunk_rows=2)
    assert (found.resumed, found.counts.equal, found.counts.rejected) == (True, 3, 2)
    assert [bad.line for bad in found.bad] == [3, 4]


def test_a_file_that_changed_where_it_was_loaded_is_refused(db: Database, tmp_path: Path) -> None:
    """A load that goes on compares what it loaded with the file; once complete it tells the checksum of all of it."""
    path = tmp_path / "x.jsonl"
    content = lines([{"task_id": f"t{n}", "n": n, "text": "x" * 1500} for n in range(100)])
    path.write_bytes(content)
    failpoints.arm("load.chunk", "raise:1")
    try:
        with pytest.raises(FailPointHit):
            put(db, target(), path, chunk_rows=60)
    finally:
        failpoints.disarm()
    path.write_bytes(content[:80_000] + b"y" + content[80_001:])
    with pytest.raises(PhaseRefused, match="has changed before byte"):
        put(db, target(), path, chunk_rows=60)
    path.write_bytes(content)
    found = put(db, target(), path, chunk_rows=60)
    assert (found.counts.landed, found.counts.checksum) == (100, hashlib.sha256(content).hexdigest())


def test_what_a_column_refuses_is_rejected(db: Database, conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """In a table of the service's own a value outside a column's domain is rejected by field, never cut."""
    table = sa.Table(
        "own", sa.MetaData(schema="farm"), sa.Column("task_id", sa.Text, primary_key=True),
        sa.Column("n", sa.SmallInteger),
        sa.Column("outlive_version", sa.BigInteger, nullable=False),
        sa.Column("outlive_position", sa.Numeric, nullable=False),
    )  # fmt: skip
    own = StoreTable.from_model("farm", "own", RecordType.of(Row), "task_id", table)
    into = Target("farm", "own", own, "task_id", given=True)
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines([{"task_id": "a", "n": 1}, {"task_id": "b", "n": 40_000}]))
    with pytest.raises(SchemaMismatch):
        put(db, into, path)
    conn.execute("CREATE SCHEMA farm")
    conn.execute(
        "CREATE TABLE farm.own (task_id text PRIMARY KEY, n smallint, outlive_version bigint NOT NULL,"
        " outlive_position numeric NOT NULL)"
    )
    found = put(db, into, path)
    assert (found.counts.landed, [bad.path for bad in found.bad]) == (1, ["n"])
