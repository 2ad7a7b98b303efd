"""Files' values and records without a database: what fits, what does not, and both ways of a record into its row."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pydantic
import pytest

from outlive.errors import BadSetting, FileMalformed, Unholdable
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType
from outlive.transfer import deduce, sources
from outlive.transfer.cells import Cells
from outlive.transfer.export import default_layout
from outlive.transfer.fast import Fast
from outlive.transfer.fit import Fit, Misfit
from outlive.transfer.layout import Layout, checked_kind, find_layout
from outlive.transfer.load import Target
from outlive.transfer.quiet import collector_paused
from outlive.transfer.rows import _cell, _key_reader
from outlive.transfer.sources import Exact, Item, Spot


@dataclass
class Wide:
    """One field of each kind."""

    key: str
    n: int
    x: float
    on: bool
    at: dt.datetime
    price: Decimal
    took: dt.timedelta
    raw: bytes
    ref: uuid.UUID
    any: Any
    items: list[int]
    maybe: int | None


GOOD: dict[str, Any] = {
    "key": "k", "n": 1, "x": 1.5, "on": True, "at": "2024-01-02T03:04:05+00:00", "price": "1.50",
    "took": {"$timedelta": [1, 2, 3]}, "raw": {"$bytes": "AAE="}, "ref": "6fa459ea-ee8a-3ca4-894e-db77e160355e",
    "any": {"a": [1, "é"]}, "items": [1], "maybe": None,
}  # fmt: skip
WIDE = RecordType.of(Wide)
NAIVE = {"$datetime": "2024-01-02T03:04:05"}


def fitted(value: Any, declared: Any = Wide, key: str | None = "key", named: str | None = None) -> Any:
    """The document of one value."""
    return Fit(RecordType.of(declared), key).record(Item(0, 1, named, value)).document


@pytest.mark.parametrize(
    ("field", "value", "made"),
    [
        ("key", "é", "é"), ("n", {"$int": "0x" + "f" * 1100}, {"$int": "0x" + "f" * 1100}), ("x", 2, 2),
        ("x", {"$float": "nan"}, {"$float": "nan"}), ("price", 3, {"$decimal": "3"}),
        ("price", 1.1, {"$decimal": "1.1"}),
        ("price", {"$decimal": "1E+2"}, {"$decimal": "1E+2"}), ("any", None, None), ("any", "t", "t"),
        ("any", 1.5, 1.5),
        ("any", {"$decimal": "1"}, {"$decimal": "1"}), ("at", NAIVE, NAIVE),
    ],
)  # fmt: skip
def test_values_that_fit(field: str, value: Any, made: Any) -> None:
    """A canonical value stays as it is, and a number becomes the decimal that it was written as."""
    assert fitted({**GOOD, field: value})[field] == made


def test_numbers_remember_how_they_were_written() -> None:
    """A float whose text is not its shortest is exact as a decimal, and a plain float everywhere else."""
    value = sources.decoder(True).decode('{"price": 1.50, "x": 1.50, "any": 1.50}')
    assert isinstance(value["price"], Exact)
    made = fitted({**GOOD, **value})
    assert made["price"] == {"$decimal": "1.50"}
    assert (type(made["x"]), type(made["any"])) == (float, float)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", 1), ("key", "a\x00"), ("key", "\ud800"), ("n", True), ("n", 1.0), ("n", "1"), ("x", "1"), ("on", 1),
        ("price", True), ("price", "x"), ("took", 5), ("took", {"$decimal": "1"}), ("raw", "text"), ("ref", 1),
        ("any", "\x00"), ("any", ["\x00"]), ("any", {"$set": [2, 1]}), ("any", {"$decimal": "x"}), ("n", None),
        ("maybe", "1"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(field: str, value: Any) -> None:
    """What the annotation does not allow, or no record can hold, is a misfit."""
    with pytest.raises(Misfit):
        fitted({**GOOD, field: value})


def test_keys_of_objects_have_their_field_s_type() -> None:
    """A member's name is a whole number or a UUID where the key field is one, tagged names are any key."""

    @dataclass
    class ByNumber:
        id: int

    @dataclass
    class ByRef:
        id: uuid.UUID

    ref = "6fa459ea-ee8a-3ca4-894e-db77e160355e"
    assert Fit(RecordType.of(ByNumber), "id").record(Item(0, 1, "12", {"id": 12})).key == 12
    assert Fit(RecordType.of(ByRef), "id").record(Item(0, 1, ref, {"id": ref})).key == uuid.UUID(ref)
    assert Fit(RecordType.of(dict), None).record(Item(0, 1, "$:5", {})).key == 5
    values = Fit(RecordType.of(int), None)
    assert values.record(Item(0, 1, None, {"$key": "k", "value": 5})).document == {"value": 5}
    assert values.record(Item(0, 1, "k", 5)).key == "k"
    with pytest.raises(Misfit):
        Fit(RecordType.of(ByNumber), "id").record(Item(0, 1, "x", {"id": 1}))


def test_reserved_fields_are_taken_where_they_are_canonical() -> None:
    """$absent and the like say what they say in a stored document; a reserved name that is none is a misfit."""
    document = {name: value for name, value in fitted(GOOD).items() if name != "maybe"}
    assert fitted({**document, "$absent": ["maybe"]})["$absent"] == ["maybe"]
    for wrong in ({**document, "$absent": ["n"]}, {**GOOD, "$other": 1}, {**document, "$unset": ["n"]}):
        with pytest.raises(Misfit):
            fitted(wrong)
    with pytest.raises(Misfit, match="missing"):
        fitted(document)


def test_pydantic_validates_what_only_it_can_read() -> None:
    """A nested model that is written in another way is read by Pydantic, and named by its path when it is not one."""

    class Inner(pydantic.BaseModel):
        n: int

    class Outer(pydantic.BaseModel):
        id: str
        inner: Inner

    good = fitted({"id": "a", "inner": {"n": "5"}}, Outer, "id")
    assert RecordType.of(Outer).record(good).inner.n == 5
    with pytest.raises(Misfit) as misfit:
        fitted({"id": "a", "inner": {"n": "five"}}, Outer, "id")
    assert misfit.value.path == "inner.n"


def test_rows_are_taken_apart_by_their_text() -> None:
    """Escapes of a COPY become the bytes that they stand for, and a bare N behind a backslash is NULL."""
    assert _cell(b"plain") == b"plain"
    assert _cell(b"\\N") is None
    assert _cell(b"a\\tb\\\\c\\x") == b"a\tb\\cx"
    for key, table in (("n", int), ("ref", uuid.UUID), ("price", Decimal)):
        typed: Any = __import__("typing").TypedDict("T", {key: table})
        read = _key_reader(StoreTable.derive("farm", "t", RecordType.of(typed), key))
        assert read is not None


def test_the_short_way_gives_the_same_row() -> None:
    """A record's short way into its row is the long one's row, or there is none."""
    table = StoreTable.derive("farm", "wide", WIDE, "key")
    fit = Fit(WIDE, "key")
    fast = Fast(table, fit)
    assert fast.usable
    taken = 0
    changes = [
        {}, {"n": 2**70}, {"x": 3}, {"on": False}, {"on": 0}, {"at": "2024-01-02T03:04:05"}, {"at": 5}, {"maybe": 5},
        {"at": {"$datetime": "2024-01-02T03:04:05+00:00"}}, {"key": "é"}, {"key": 1}, {"key": "k" * 700}, {"any": None},
        {"any": {"b": 1, "a": -0.0}}, {"n": None}, {"x": None}, {"price": None},
    ]  # fmt: skip
    for change in changes:
        value = {**GOOD, **change}
        row = fast.row(value, "7", "8")
        try:
            made = fit.record(Item(0, 1, None, value))
            long = table.row(made.key, made.document, 7, 8)
        except Misfit:
            assert row is None
            continue
        taken += row is not None
        assert row is None or row == long
    assert taken >= 6
    assert fast.row(dict(reversed(GOOD.items())), "7", "8") is None
    assert fast.row([1], "7", "8") is None
    assert not Fast(StoreTable.derive("farm", "d", RecordType.of(dict), None), Fit(RecordType.of(dict), None)).usable


def test_columns_are_deduced_with_evidence() -> None:
    """A column has a type when all of its values have it; plain values make no columns at all."""
    found = deduce.Deduced()
    values = [
        {"a": 1, "b": 1.5, "c": True, "d": [1], "e": {"$uuid": "x"}, "f": None, "g": {}, "$key": 1},
        {"a": 2, "b": None, "c": False, "d": 5, "e": {"$uuid": "y"}, "f": None, "g": {}},
    ]
    found.see([Item(n, n + 1, None, value) for n, value in enumerate(values)], from_text=False)
    assert dict(found.kinds()) == {
        "a": "integer", "b": "float", "c": "boolean", "d": "any", "e": "uuid", "f": "any", "g": "any"
    }  # fmt: skip
    assert found.columns["d"].evidence() == "1 list (line 1), 1 integer (line 2)"
    assert deduce.record_type(found.kinds()).kind == "dict"
    found.see([Item(2, 3, None, "plain")], from_text=False)
    assert deduce.record_type(found.kinds()) is RecordType.of(dict)
    rows = deduce.Deduced()
    cells = [
        {"a": "1", "b": "1.5", "c": "1", "d": None, "e": "nan"},
        {"a": "2", "b": "2.5", "c": "x", "d": None, "e": "1e5"},
    ]
    rows.see([Item(n, n + 2, None, value) for n, value in enumerate(cells)], from_text=True)
    rows.settle_text()
    assert dict(rows.kinds()) == {"a": "integer", "b": "float", "c": "text", "d": "any", "e": "text"}


def test_cells_are_read_as_their_columns_say() -> None:
    """A cell is text, a tag's text or JSON as its field is annotated; what only seems to be text is refused."""
    cells = Cells(WIDE)
    for name, cell, value in (
        ("$key", "5", 5), ("key", "5", "5"), ("price", "1.50", {"$decimal": "1.50"}), ("n", "5", 5),
        ("maybe", None, None),
        ("at", '{"$datetime":["2024-01-02T03:04:05",{"fold":1}]}', {"$datetime": ["2024-01-02T03:04:05", {"fold": 1}]}),
        ("loose", '"x"', "x"),
    ):  # fmt: skip
        assert cells.value(name, cell) == value
        assert cells.cell(name, value).strip('"').replace('""', '"') == (cell or "").strip('"')
    with pytest.raises(Unholdable, match="jsonl"):
        cells.cell("key", 5)


def test_lines_and_heads_of_files(tmp_path: Path) -> None:
    """Blank lines, marks of order, and text behind a record are told from records; so is a CSV that is none."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\n\n {"a":2}\n{"a":3} x\n5\n\xff\n' + b"[" * 100_000 + b"\n")
    batch = next(iter(sources.read(path, find_layout(path), Spot(), 100)))
    assert [item.value for item in batch.items] == [{"a": 1}, {"a": 2}, 5]
    assert [bad.line for bad in batch.bad] == [4, 6, 7]
    assert len(batch.bad[2].text) == sources.SHOWN_CHARS
    path = tmp_path / "x.json"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert [item.value for item in next(iter(sources.read(path, find_layout(path), Spot(), 9))).items] == [1]
    path.write_text('{"a": 1, "a\\u12": 2}')
    layout = find_layout(path)
    assert len(next(iter(sources.read(path, layout, Spot(), 9))).bad) == 1
    path.write_text('{"a": "\\ud83c\\udf3e", "b": "x\\"]", "c": nope "y"}')
    batch = next(iter(sources.read(path, find_layout(path), Spot(), 9)))
    assert [bad.key for bad in batch.bad] == ["c"]
    with pytest.raises(FileMalformed):
        list(sources.read(tmp_path / "none", layout, Spot(), 9))
    csv = tmp_path / "x.csv"
    for content in ("", "a,,b\n", "a,a\n", 'a,"b\n'):
        csv.write_text(content)
        with pytest.raises(FileMalformed):
            sources.read_header(csv)
    csv.write_text('a,b\n1,"2\n')
    assert len(next(iter(sources.read(csv, Layout("csv"), Spot(), 9))).bad) == 1
    csv.write_text("a,b\n\n1,2\n3,4\n")
    batches = list(sources.read(csv, Layout("csv"), Spot(), 1))
    assert [len(batch) for batch in batches] == [1, 1, 0]
    assert [item.line for item in next(iter(sources.read(csv, Layout("csv"), batches[0].after, 9))).items] == [4]
    with pytest.raises(BadSetting):
        checked_kind("xml")
    path.write_text("x")
    with pytest.raises(FileMalformed):
        find_layout(path)


def test_an_export_takes_the_form_that_was_remembered() -> None:
    """Without a wish the remembered form counts; a suffix or a wish of another kind makes a plain one."""
    table = StoreTable.derive("farm", "t", RecordType.of(dict), None)
    target = Target("farm", "t", table, None)
    pretty = Layout("list", indent=2)
    assert default_layout(target, ".json", None, pretty) is pretty
    assert default_layout(target, ".jsonl", None, pretty).kind == "jsonl"
    assert default_layout(target, "", "object", pretty).lines
    assert default_layout(target, ".json", None, Layout("csv")).kind == "object"
    assert json.loads(pretty.opening + pretty.closing(False)) == []


def test_the_collector_comes_back() -> None:
    """Of nested pauses the last one that ends lets the collector go on, and one that was off stays off."""
    import gc

    with collector_paused():
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
