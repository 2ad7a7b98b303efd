"""Index proposals from what the code filters and sorts a store by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outlive.scan.catalogue import Finding, Use
from outlive.scan.columns import Column
from outlive.scan.identifiers import quoted, unused
from outlive.scan.words import word_set

MOST = 8
_EQUAL = frozenset({"==", "in", "="})
_RANGE = frozenset({"<", "<=", ">", ">=", "between"})
_SCALAR = frozenset({"double precision", *word_set("text bigint numeric boolean timestamptz date time interval uuid")})


@dataclass(frozen=True, slots=True)
class Index:
    """Columns in order, each with whether it runs downwards; `asked_by` are the doors whose queries it serves."""

    columns: tuple[tuple[str, bool], ...]
    asked_by: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns without their direction."""
        return tuple(name for name, _ in self.columns)


def indexes(
    finding: Finding, columns: Iterable[Column], key: tuple[str, ...], pointing: Iterable[str] = ()
) -> list[Index]:
    """The B-tree indexes that serve the finding's filters and sorts, at most MOST; none repeats another's beginning.

    `pointing` are columns with a foreign key, which deletes on the other side look up.
    """
    by_field = {each.field: each for each in columns if each.field and (each.kind in _SCALAR or each.guessed)}
    tenant = by_field[finding.tenant].name if finding.tenant in by_field and key != (finding.tenant,) else ""
    wanted = [index for uses in _queries(finding) for index in _of_query(uses, by_field, tenant)]
    if tenant:
        wanted.append(Index(((tenant, False),)))
    wanted += [Index(((name, False),)) for name in pointing]
    return _distinct(wanted, key)[:MOST]


def statements(
    table: str, finding: Finding, columns: list[Column], key: tuple[str, ...], pointing: list[str], taken: set[str]
) -> Iterator[str]:
    """CREATE INDEX statements for a table: those for queries, one for documents, one for places."""
    for index in indexes(finding, columns, key, pointing):
        listed = ", ".join(quoted(name) + (" DESC" if down else "") for name, down in index.columns)
        name = unused("_".join(("idx", table, *index.names)), taken)
        why = f"  -- {', '.join(index.asked_by[:3])}" if index.asked_by else ""
        yield f"CREATE INDEX {quoted(name)} ON {quoted(table)} ({listed});{why}"
    for field in _document_fields(finding, columns):
        name = unused(f"idx_{table}_document", taken)
        yield f"CREATE INDEX {quoted(name)} ON {quoted(table)} USING gin ({field} jsonb_path_ops);"
    if point := _point(columns):
        name = unused(f"idx_{table}_place", taken)
        yield f"CREATE INDEX {quoted(name)} ON {quoted(table)} USING gist (point({point[0]}, {point[1]}));"


def _queries(finding: Finding) -> Iterator[list[Use]]:
    """Filters and sorts that stand in one function's code belong to one query; doors tell them apart."""
    groups: dict[object, list[Use]] = {}
    for use in (*finding.filters, *finding.sorts):
        group = (use.entry.path, use.entry.line) if use.entry else (use.path, use.line)
        groups.setdefault(group, []).append(use)
    yield from groups.values()


def _of_query(uses: list[Use], by_field: dict[str, Column], tenant: str) -> Iterator[Index]:
    names = {use.entry.name for use in uses if use.entry}
    known = [(by_field[use.field].name, use.operator) for use in uses if use.field in by_field]
    equal = list(dict.fromkeys(name for name, operator in known if operator in _EQUAL and name != tenant))
    ranges = list(dict.fromkeys(name for name, operator in known if operator in _RANGE))
    sorts = [(name, operator == "desc") for name, operator in known if operator in {"asc", "desc"}]
    tail = sorts or [(name, False) for name in ranges[:1]]
    head = [(tenant, False)] if tenant else []
    # many equalities in one function are mostly optional filters: each needs an index that begins with it
    for chosen in [[name] for name in equal] if len(equal) > 2 else [equal]:
        columns = tuple(dict(head + [(name, False) for name in chosen] + tail).items())
        if columns and (chosen or tail):
            yield Index(columns, tuple(sorted(names)))


def _distinct(wanted: list[Index], key: tuple[str, ...]) -> list[Index]:
    """The longest of those that begin alike, in the order of first mention; what the primary key serves is left out."""
    found: list[Index] = []
    for index in wanted:
        longer = any(
            len(each.names) > len(index.names) and each.columns[: len(index.columns)] == index.columns
            for each in wanted
        )
        if (
            not longer
            and index.names != key[: len(index.names)]
            and index.columns not in {each.columns for each in found}
        ):
            asked = {name for each in wanted if each.columns == index.columns for name in each.asked_by}
            found.append(Index(index.columns, tuple(sorted(asked))))
    return found


def _document_fields(finding: Finding, columns: list[Column]) -> list[str]:
    """Columns of jsonb that filters reach into: the whole document, or a field that is searched for a member."""
    asked = {use.field for use in finding.filters}
    whole = [each for each in columns if each.name == "document" and not each.field and asked]
    inner = [each for each in columns if each.kind == "jsonb" and not each.guessed and each.field in asked]
    return [quoted(each.name) for each in (*whole, *inner)][:2]


def _point(columns: list[Column]) -> tuple[str, str] | None:
    """(longitude, latitude) where a record has both as numbers."""
    names = {each.name.lower(): each for each in columns if each.kind == "double precision"}
    east = next((names[each] for each in ("longitude", "lon", "lng", "long") if each in names), None)
    north = next((names[each] for each in ("latitude", "lat") if each in names), None)
    return (quoted(east.name), quoted(north.name)) if east and north else None
