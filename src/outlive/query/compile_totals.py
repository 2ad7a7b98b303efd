"""Totals as one SQL statement: sums that PostgreSQL makes of decided rows, and the odd rows beside them.

Every row has the table's columns and then `outlive_first`, `outlive_rows`, `outlive_counted`, `outlive_sum`,
`outlive_whole`. A row with `outlive_rows` is a group's sum; its columns are the record that was inserted first, which
names the group. Any other row is one record to add in Python. For an extreme, PostgreSQL picks the record of each
group that holds it.

Where a group's labels are its columns' own values, `compile_groups` asks for no record at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, LiteralString, TypeVar

from psycopg import sql

from outlive.query.compile import ORDERED, Compiler
from outlive.query.conditions import numeric
from outlive.query.evaluate import Peek, record_check
from outlive.query.language import Filter
from outlive.query.pieces import Piece, build, joined, listed
from outlive.query.totals import EXACT, SUMMED, By, Group, Tally, Total

R = TypeVar("R")
DAYS = frozenset({"date", "instant", "local datetime"})
PLAIN = frozenset({"text", "integer", "boolean", "date", "uuid"})  # domains in which equal values are one value


def compile_total(at: Compiler, asked: Total, filters: Sequence[Filter]) -> Piece | None:
    """The statement, or None where columns cannot give the answer: then fetch the records and add them up."""
    if not _feasible(at, asked) or not all(at.condition(each).exact for each in filters):
        return None
    fields = dict.fromkeys([*(each.field for each in filters), *asked.fields])
    strange = at.is_odd(fields, exactly=_to_the_letter(asked))
    decided = at.decided(filters, strange)
    answer = _extremes(at, asked, decided) if asked.name in {"min", "max"} else _sums(at, asked, decided)
    return build(
        "WITH odd AS MATERIALIZED ({}), answer AS MATERIALIZED ({})"
        " SELECT * FROM answer UNION ALL"
        " SELECT odd.*, NULL::numeric, NULL::bigint, NULL::bigint, NULL::numeric, NULL::boolean FROM odd",
        at.odd_rows(filters, strange),
        answer,
    )


def compile_groups(at: Compiler, asked: Total, filters: Sequence[Filter]) -> Piece | None:
    """The statement that sums up the decided rows and tells whether an odd one may match; None where it cannot.

    Every row: that, whether it is a group's, its first position, rows, counted, sum, whole, and then its labels. A
    group may come in two parts.
    """
    plain = all(each.period is not None or at.column(each.field).domain in PLAIN for each in asked.by)
    if not plain or asked.name in {"min", "max"} or not _feasible(at, asked):
        return None
    if not all(at.condition(each).exact for each in filters):
        return None
    fields = dict.fromkeys([*(each.field for each in filters), *asked.fields])
    strange = at.is_odd(fields, exactly=_to_the_letter(asked))
    labels = [build(", {}", _label(at, each)) for each in asked.by]
    numbers = [sql.Literal(7 + number) for number in range(len(labels))]
    sums = [
        build(
            "SELECT true AS outlive_held, {} AS outlive_first, count(*) AS outlive_rows, {}{} FROM {} WHERE {}{}",
            build("min(outlive_position)" if labels else "NULL::numeric"),
            _amounts(at, asked),
            _after_each_other(labels),
            at.relation,
            part,
            build(" GROUP BY {}", listed(build("{}", number) for number in numbers)) if labels else build(""),
        )
        for part in at.in_parts(filters, strange)
    ]
    return build(
        "SELECT odd.found, sums.* FROM (SELECT EXISTS ({})) AS odd(found) LEFT JOIN ({}) AS sums ON true",
        at.odd_rows(filters, strange),
        joined(" UNION ALL ", sums, ""),
    )


def add_groups(
    asked: Total, rows: Iterable[Sequence[Any]], decode: Sequence[Callable[[Any], Any]], summed: type | None
) -> Any:
    """The total that the rows of `compile_groups` come to; `decode` gives each label's value."""
    tally = Tally(asked)
    for _, held, first, count, counted, amount, whole, *cells in rows:
        if not held:
            continue
        key = tuple(cells)  # of one type a column, so that equal labels have equal cells
        group = tally.groups.get(key)
        if group is None:
            values = (None if cell is None else read(cell) for read, cell in zip(decode, cells, strict=True))
            label = tuple([each.label(value) for each, value in zip(asked.by, values, strict=True)])
            group = tally.groups[key] = Group(label, first)
        elif asked.by:
            group.first = min(group.first, first)
        _add(group, count, counted, amount, summed or (int if whole else float))
    return tally.answer()


def add_rows(
    asked: Total,
    filters: Sequence[Filter],
    rows: Iterable[Sequence[Any]],
    read: Callable[[Sequence[Any]], tuple[R, Any]],
    peek: Peek[R],
    summed: type | None,
) -> Any:
    """The total that the statement's rows come to. Raises BadQuery.

    `read` gives a row's (record, position); `summed` is the summed column's `number`.
    """
    tally = Tally(asked)
    passes = record_check(filters, peek)
    for row in rows:
        *cells, first, count, counted, amount, whole = row
        if count is None:
            record, position = read(cells)
            if passes(record):
                group = tally.add(record, position, peek)
                tally.group(group.label, position if first is None else first)
            continue
        group = tally.group(asked.labels(read(cells)[0], peek) if asked.by else (), first)
        _add(group, count, counted, amount, summed or (int if whole else float))
    return tally.answer()


def _add(group: Group, rows: int, counted: int, amount: Any, kind: type) -> None:
    """Counts in what PostgreSQL made of many rows."""
    group.rows += rows
    group.counted += counted
    if counted and amount is not None:
        group.total = EXACT.add(group.total, Decimal(amount))
        group.types.add(kind)


def _after_each_other(pieces: Sequence[Piece]) -> Piece:
    values = tuple(value for each in pieces for value in each.values)
    return Piece(sql.Composed([each.text for each in pieces]), values)


def _feasible(at: Compiler, asked: Total) -> bool:
    if not all(at.column(each.field).kind in (DAYS if each.period else ORDERED) for each in asked.by):
        return False
    if asked.name == "count":
        return True
    kind = at.column(asked.field).kind
    return kind == "number" if asked.name in SUMMED else kind in ORDERED


def _to_the_letter(asked: Total) -> list[str]:
    """Fields of which not only the value but its type and form come into the answer."""
    exact = [each.field for each in asked.by if each.period is None]
    if asked.name in SUMMED and asked.declared is not float:
        exact.append(asked.field)
    return exact


def _label(at: Compiler, by: By) -> Piece:
    """What rows of one group share; 1.0 and 1.00 stay apart here, because either may name the group."""
    column = at.column(by.field)
    if by.period is not None:
        zone: LiteralString = " AT TIME ZONE 'UTC'" if column.domain == "instant" else "::timestamp"
        return build("date_trunc({}, {}" + zone + ")", sql.Literal(by.period), column.place)
    return build("{}::text", column.place) if column.domain in {"numeric", "float"} else column.place


def _sums(at: Compiler, asked: Total, decided: Piece) -> Piece:
    amounts = _amounts(at, asked)
    if not asked.by:
        sums = build("SELECT count(*) AS outlive_rows, {} FROM {} WHERE {}", amounts, at.relation, decided)
        return build(
            "SELECT {}, NULL::numeric AS outlive_first, outlive_rows, outlive_counted, outlive_sum, outlive_whole"
            " FROM ({}) AS sums LEFT JOIN {} ON false",
            at.columns,
            sums,
            at.relation,
        )
    labels = [_label(at, each) for each in asked.by]
    names = [sql.Identifier(f"outlive_label_{number}") for number in range(len(labels))]
    sums = build(
        "SELECT {}, min(outlive_position) AS outlive_first, count(*) AS outlive_rows, {} FROM {} WHERE {} GROUP BY {}",
        listed(build("{} AS {}", label, name) for label, name in zip(labels, names, strict=True)),
        amounts,
        at.relation,
        decided,
        listed(build("{}", sql.Literal(number + 1)) for number in range(len(labels))),
    )
    same = [build("{} IS NOT DISTINCT FROM {}", label, name) for label, name in zip(labels, names, strict=True)]
    by = listed(build("{}", name) for name in names)
    return build(
        "SELECT DISTINCT ON ({}) {}, outlive_first, outlive_rows, outlive_counted, outlive_sum, outlive_whole"
        " FROM ({}) AS sums JOIN {} ON outlive_position = outlive_first AND {} AND {} ORDER BY {}, {}",
        by,
        at.columns,
        sums,
        at.relation,
        joined(" AND ", same, "true"),
        decided,
        by,
        at.insertion,
    )


def _amounts(at: Compiler, asked: Total) -> Piece:
    if asked.name == "count":
        return build("0::bigint AS outlive_counted, NULL::numeric AS outlive_sum, NULL::boolean AS outlive_whole")
    column = at.column(asked.field)
    number = numeric(column)
    if column.domain == "numeric" and column.number is float:  # with the digits that Python shows of a float
        number = build("CASE WHEN {} = trunc({}) THEN round({}, 1) ELSE trim_scale({}) END", *[number] * 4)
    return build(
        "count({}) AS outlive_counted, sum({}) AS outlive_sum, bool_and({} = trunc({})) AS outlive_whole",
        number,
        number,
        number,
        number,
    )


def _extremes(at: Compiler, asked: Total, decided: Piece) -> Piece:
    direction = build("{} NULLS LAST" if asked.name == "min" else "{} DESC NULLS LAST", at.sortable(asked.field))
    rest = build(
        "NULL::bigint AS outlive_rows, NULL::bigint AS outlive_counted, NULL::numeric AS outlive_sum,"
        " NULL::boolean AS outlive_whole"
    )
    if not asked.by:
        return build(
            "SELECT {}, NULL::numeric AS outlive_first, {} FROM {} WHERE {} ORDER BY {}, {} LIMIT 1",
            at.columns,
            rest,
            at.relation,
            decided,
            direction,
            at.insertion,
        )
    labels = listed(_label(at, each) for each in asked.by)
    return build(
        "SELECT DISTINCT ON ({}) {}, min(outlive_position) OVER (PARTITION BY {}) AS outlive_first, {}"
        " FROM {} WHERE {} ORDER BY {}, {}, {}",
        labels,
        at.columns,
        labels,
        rest,
        at.relation,
        decided,
        labels,
        direction,
        at.insertion,
    )
