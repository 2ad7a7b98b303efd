"""Partitions of a table by time: made before they are needed, by a migration or by a running member.

A table that is PARTITION BY RANGE over a date or time column has one partition a day, month, quarter or year, in UTC,
and a DEFAULT partition for what lies outside all of them. Rows that the DEFAULT partition holds for a period whose
turn has come go to that period's partition when it is made.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import psycopg
from psycopg import sql

from outlive.errors import BadSetting
from outlive.postgres.layouts import identifier
from outlive.postgres.upsert import relation

if TYPE_CHECKING:
    from outlive.postgres.tables import StoreTable

Every = Literal["day", "month", "quarter", "year"]
EVERY: tuple[Every, ...] = get_args(Every)
AHEAD: dict[Every, int] = {"day": 7, "month": 3, "quarter": 2, "year": 1}
PIECES = 12  # partitions that one run makes out of rows of the DEFAULT partition
YEARS_BACK = 50
LOCK_TIMEOUT = "5s"


@dataclass(frozen=True, slots=True)
class Span:
    """The days from `start` to before `end`; `suffix` names its partition."""

    suffix: str
    start: dt.date
    end: dt.date


def span(day: dt.date, every: Every) -> Span:
    """The period of `every` that holds a day."""
    if every == "day":
        return Span(f"{day:%Y_%m_%d}", day, day + dt.timedelta(days=1))
    width = {"month": 1, "quarter": 3, "year": 12}[every]
    first = (day.month - 1) // width * width
    start = dt.date(day.year, first + 1, 1)
    end = dt.date(day.year + (first + width) // 12, (first + width) % 12 + 1, 1)
    suffix = {"month": f"{start:%Y_%m}", "quarter": f"{day.year}_q{first // 3 + 1}", "year": f"{day.year}"}[every]
    return Span(suffix, start, end)


def spans(every: Every, around: dt.date, before: int, ahead: int) -> list[Span]:
    """The period of a day, `before` periods before it and `ahead` after it, in order. Raises BadSetting."""
    if every not in EVERY:
        raise BadSetting(name="partition_by", value=str(every), reason=f"one of {', '.join(EVERY)} is expected")
    here = span(around, every)
    earlier: list[Span] = []
    later = [here]
    for _ in range(before):
        earlier.append(span((earlier[-1] if earlier else here).start - dt.timedelta(days=1), every))
    for _ in range(ahead):
        later.append(span(later[-1].end, every))
    return [*reversed(earlier), *later]


def create_ahead(
    op: Any, table: str, every: Every, *, around: dt.date | None = None, before: int = 4, ahead: int = 4,
    schema: str | None = None,
) -> None:  # fmt: skip
    """For a migration, behind `op.create_table`: the DEFAULT partition, and those of the periods around a day (today).

    Raises BadSetting for an unknown period.
    """
    today = around or dt.datetime.now(dt.UTC).date()
    parent = _named(table, schema)
    op.execute(_default_of(parent, table, schema))
    for each in spans(every, today, before, ahead):
        place = _named(partition_name(table, each.suffix), schema)
        text = sql.SQL("CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})")
        op.execute(text.format(place, parent, *_bounds(each)).as_string(None))


def partition_name(table: str, suffix: str) -> str:
    """The name of a table's partition."""
    return identifier(f"{table}_{suffix}")


def default_partition(table: StoreTable) -> str:
    """SQL that makes the DEFAULT partition of a store's table where it is absent."""
    return _default_of(relation(table), table.table.name, table.table.schema)


def _default_of(parent: sql.Identifier, table: str, schema: str | None) -> str:
    place = _named(partition_name(table, "default"), schema)
    return sql.SQL("CREATE TABLE IF NOT EXISTS {} PARTITION OF {} DEFAULT").format(place, parent).as_string(None)


def _named(name: str, schema: str | None) -> sql.Identifier:
    return sql.Identifier(name) if schema is None else sql.Identifier(schema, name)


def _bounds(each: Span) -> tuple[sql.Literal, sql.Literal]:
    """Text that date, timestamp and timestamptz columns all read as that day's beginning in UTC."""
    return sql.Literal(f"{each.start} 00:00:00+00"), sql.Literal(f"{each.end} 00:00:00+00")


# Keeping ahead, in a running service.

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_PARTITIONS = r"""
SELECT c.oid::regclass::text, pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT',
       (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\)'))[1]::timestamptz::date,
       (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz::date
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(%s)
"""
_COLUMNS = """
SELECT attname::text FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
_STRAYS = "SELECT DISTINCT {column}::date FROM {stray} WHERE {column} >= %s AND {column} < %s ORDER BY 1 LIMIT 400"


def keep_ahead(conn: psycopg.Connection[Any], table: StoreTable, today: dt.date | None = None) -> list[str]:
    """Makes the partitions that a store's table needs soon or has rows for; the names of those that were absent.

    `today` is PostgreSQL's, in UTC, unless given. Raises psycopg.Error, when another session is in the way too.
    """
    every = None if table.options.partition_by is None else table.options.partition_by[1]
    if every is None or table.partition_column is None:
        return []
    if not _lacking(conn, table, every, today):
        return []
    with conn.transaction():
        conn.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
        conn.execute(_LOCK, (f"outlive:{table.service}/{table.store}",))
        lacking = _lacking(conn, table, every, today)
        for each, stray in lacking:
            _make(conn, table, each, stray)
    return [partition_name(table.table.name, each.suffix) for each, _ in lacking]


def _lacking(
    conn: psycopg.Connection[Any], table: StoreTable, every: Every, today: dt.date | None
) -> list[tuple[Span, str | None]]:
    """The periods without a partition, each with the DEFAULT partition, where there is one."""
    assert table.partition_column is not None
    with conn.transaction():
        conn.execute("SET LOCAL timezone = 'UTC'")
        here = today or conn.execute("SELECT current_date").fetchall()[0][0]
        found = conn.execute(_PARTITIONS, (relation(table).as_string(conn),)).fetchall()
        stray = next((name for name, is_default, _, _ in found if is_default), None)
        wanted = spans(every, here, 1, AHEAD[every])
        past: list[Span] = []
        if stray is not None:
            parts = {"column": sql.Identifier(table.partition_column), "stray": sql.SQL(stray)}
            limits = (here.replace(day=1, year=here.year - YEARS_BACK), wanted[-1].end)
            rows = conn.execute(sql.SQL(_STRAYS).format(**parts), limits).fetchall()
            past = list(dict.fromkeys(span(day, every) for (day,) in rows))[-PIECES:]
    taken = [(start, end) for _, is_default, start, end in found if not is_default]
    lacking = dict.fromkeys([*wanted, *past])
    return [(each, stray) for each in lacking if not any(a < each.end and each.start < b for a, b in taken)]


def _make(conn: psycopg.Connection[Any], table: StoreTable, each: Span, stray: str | None) -> None:
    """One partition, with the rows of its period that the DEFAULT partition held."""
    parent = relation(table)
    place = _named(partition_name(table.table.name, each.suffix), table.table.schema)
    low, high = _bounds(each)
    columns = conn.execute(_COLUMNS, (parent.as_string(conn),)).fetchall()
    parts = {
        "place": place, "parent": parent, "low": low, "high": high, "stray": sql.SQL(stray or ""),
        "column": sql.Identifier(table.partition_column or ""),
        "columns": sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns),
    }  # fmt: skip
    here = "SELECT 1 FROM {stray} WHERE {column} >= {low} AND {column} < {high} LIMIT 1"
    strays = stray is not None and conn.execute(sql.SQL(here).format(**parts)).fetchone() is not None
    for statement in _making(strays):
        conn.execute(sql.SQL(statement).format(**parts))


def _making(strays: bool) -> Iterator[Any]:
    yield "SET LOCAL timezone = 'UTC'"
    if strays:  # a reader that knows the partitions of before would find the moved rows in none of them
        yield "LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE"
    yield "CREATE TABLE {place} (LIKE {parent} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS)"
    if strays:
        yield (
            "WITH gone AS (DELETE FROM {stray} WHERE {column} >= {low} AND {column} < {high} RETURNING {columns})"
            " INSERT INTO {place} ({columns}) SELECT {columns} FROM gone"
        )
    yield "ALTER TABLE {parent} ATTACH PARTITION {place} FOR VALUES FROM ({low}) TO ({high})"


__all__ = ["EVERY", "Every", "Span", "create_ahead", "default_partition", "keep_ahead", "partition_name", "spans"]
