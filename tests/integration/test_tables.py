"""I8 through PostgreSQL: record -> document -> row -> PostgreSQL -> row -> document -> record."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field, make_dataclass
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlive.errors import Unholdable
from outlive.postgres.connect import Database
from outlive.postgres.derive import ensure_derived
from outlive.postgres.tables import StoreTable
from outlive.postgres.upsert import Statements
from outlive.records import RecordType, canonical
from tests.unit.records.kinds import CLASSES, FIELDS, VALUES, Address, Colour, DictTask, make, same
from tests.unit.records.strategies import field_values, hashables, plain_records, values

LIVE = settings(deadline=None, max_examples=25)


class Rows:
    """A store's table on a real server: write records, read them back."""

    def __init__(self, db: Database, conn: psycopg.Connection[Any], declared: Any, key: str | None = None) -> None:
        self.record_type = RecordType.of(declared)
        self.table = StoreTable.derive("tests", "rows", self.record_type, key)
        self.conn = conn
        ensure_derived(db, [self.table])

    def through(self, records: dict[Any, Any]) -> dict[Any, Any]:
        """The records by key as PostgreSQL gives them back; asserts equal canonical bytes on the way."""
        statements = Statements.of(self.table)
        written = {key: self.record_type.document(record) for key, record in records.items()}
        rows = [self.table.row(key, document, 5, at) for at, (key, document) in enumerate(written.items())]
        self.conn.execute(*statements.put_live(rows))
        back = [self.table.read(row) for row in self.conn.execute(*statements.select_all()).fetchall()]
        self.conn.execute(*statements.delete_live([self.table.key_literal(key) for key in records], [1] * len(rows)))
        self.conn.execute("DELETE FROM outlive.tombstone")
        assert [stored.position for stored in back] == list(range(len(rows)))
        for stored, (key, document) in zip(back, written.items(), strict=True):
            assert same(stored.key, key)
            assert canonical(stored.document) == canonical(document)
            assert stored.version == 5
        return {stored.key: self.record_type.record(stored.document) for stored in back}


@contextmanager
def rows_of(db: Database, declared: Any, key: str | None = None) -> Iterator[Rows]:
    """Rows on a connection of its own."""
    with db.connect() as conn:
        yield Rows(db, conn, declared, key)


def check(rows: Rows, records: dict[Any, Any]) -> None:
    """Fails unless each record comes back the same."""
    for (key, record), found in zip(records.items(), rows.through(records).values(), strict=True):
        assert same(found, record), (key, record, found)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_any_value_in_any_column(db: Database, cls: Any) -> None:
    """Each field of each kind of class gives back each value, through its typed column."""
    with rows_of(db, cls, "id") as rows:
        pairs = [(name, value) for name in FIELDS[1:] for value in VALUES.values()]
        check(rows, {at: make(cls, **{"id": at, name: value}) for at, (name, value) in enumerate(pairs)})


@pytest.mark.parametrize("declared", [DictTask, dict, dict[str, Colour]], ids=str)
def test_any_value_in_dict_rows(db: Database, declared: Any) -> None:
    """Typed and plain dicts give back each value under each key; missing keys stay missing, order stays."""
    with rows_of(db, declared) as rows:
        pairs = [(name, value) for name in FIELDS for value in VALUES.values()]
        check(rows, {at: {"later": value, name: value} for at, (name, value) in enumerate(pairs)})


@pytest.mark.parametrize("declared", [Any, int, str, float, list[Colour], Address], ids=str)
def test_any_value_as_record(db: Database, declared: Any) -> None:
    """A store of any declared type gives back whatever was put into it."""
    with rows_of(db, declared) as rows:
        check(rows, dict(VALUES))


def test_float_fields_hold_nan(db: Database) -> None:
    """NaN and the infinities are held by a float column, and refused inside JSON."""
    with rows_of(db, CLASSES[1], "id") as rows:
        check(rows, {at: make(CLASSES[1], id=at, ratio=v) for at, v in enumerate([math.nan, math.inf, -math.inf])})
        with pytest.raises(Unholdable) as caught:
            rows.record_type.document(make(CLASSES[1], id=1, anything=[math.nan]))
        assert caught.value.field == "anything[0]"


def test_plain_records(db: Database) -> None:
    """Any dict of anything comes back."""
    with rows_of(db, dict) as rows:

        @LIVE
        @given(st.lists(plain_records, min_size=1, max_size=20))
        def comes_back(records: list[Any]) -> None:
            check(rows, dict(enumerate(records)))

        comes_back()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_model_records(db: Database, cls: Any) -> None:
    """Any values in any fields of any class come back."""
    with rows_of(db, cls) as rows:

        @LIVE
        @given(st.lists(field_values, min_size=1, max_size=10))
        def comes_back(records: list[dict[str, Any]]) -> None:
            check(rows, {at: make(cls, **{"id": at, **fields}) for at, fields in enumerate(records)})

        comes_back()


def test_any_key(db: Database) -> None:
    """Any hashable key comes back with its type, beside keys that JSON would confuse it with."""
    with rows_of(db, Any) as rows:

        @LIVE
        @given(st.dictionaries(hashables, values, max_size=20))
        def comes_back(records: dict[Any, Any]) -> None:
            check(rows, records)

        comes_back()


@pytest.mark.parametrize(
    ("declared", "keys", "wrong"),
    [
        (int, [0, -5, 2**62], ["1", 1.0, True, 2**63, None]),
        (str, ["", "a", "ש", "%s", "'\"\\", "a" * 2600], [1, None, b"a", "a\x00", "\ud800", "a" * 2601]),
        (uuid.UUID, [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)], ["00000000-0000-0000-0000-000000000000", 1]),
    ],
)
def test_typed_keys(db: Database, declared: Any, keys: list[Any], wrong: list[Any]) -> None:
    """A key column of the key field's type gives back such keys, and refuses keys of other types by name."""
    cls = make_dataclass("Keyed", [("id", declared), ("n", int)])
    with rows_of(db, cls, "id") as rows:
        assert rows.table.key_name == "id"
        check(rows, {key: cls(key, 1) for key in keys})
        check(rows, {keys[0]: cls("another value", 1)})
        for key in wrong:
            with pytest.raises(Unholdable) as caught:
                rows.table.row(key, {"id": key, "n": 1}, 1, 1)
            assert caught.value.field == "id"
            assert caught.value.store == "rows"


def test_columns_hold_what_queries_ask_for(db: Database) -> None:
    """Typed columns hold typed values, so that SQL can compare and add them."""
    with rows_of(db, CLASSES[1], "id") as rows:
        one = make(CLASSES[1], id=1, amount=VALUES["decimal exponent"], due=VALUES["offset"], ratio=3, text="b")
        document = rows.record_type.document(one)
        rows.conn.execute(*Statements.of(rows.table).put_live([rows.table.row(1, document, 5, 1)]))
        found = rows.conn.execute(
            "SELECT amount + 1, due = '2026-03-04 10:00:00.123456+00', ratio * 2, text > 'a', colour FROM tests.rows"
        ).fetchone()
        assert found == (101, True, 6.0, True, "red")


def test_rows_older_than_a_field(db: Database) -> None:
    """A field that was declared after a row was written begins with its default; None stays None."""
    old = make_dataclass("Growing", [("id", int)])
    new = make_dataclass(
        "Growing",
        [("id", int), ("n", int, 3), ("tags", list[int], field(default_factory=list)), ("text", "str | None", None)],
    )
    with rows_of(db, old, "id") as rows:
        document = rows.record_type.document(old(1))
        rows.conn.execute(*Statements.of(rows.table).put_live([rows.table.row(1, document, 5, 1)]))
        grown = Rows(db, rows.conn, new, "id")
        row = rows.conn.execute(*Statements.of(grown.table).select_all()).fetchall()[0]
        assert grown.record_type.record(grown.table.read(row).document) == new(1, 3, [], None)
        rows.conn.execute("DELETE FROM tests.rows")
        check(grown, {2: new(2, None, None, None)})
