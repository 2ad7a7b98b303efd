"""The table that each store could become: CREATE TABLE, indexes, references, and the line that declares it to outlive.

It is a proposal to read and correct, and valid SQL for PostgreSQL 14 and newer without extensions. A store whose
records have no known fields gets `key` and `document jsonb`, which lose nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from outlive.scan.catalogue import Finding
from outlive.scan.columns import Column, column, kind_of
from outlive.scan.effort import is_file
from outlive.scan.identifiers import fitted, quoted, unused
from outlive.scan.indexes import statements
from outlive.scan.shapes import MAPPINGS, SEQUENCES, SETS, Shape
from outlive.scan.words import held, singular, words


@dataclass(frozen=True, slots=True)
class Proposal:
    """One store's table; `create` makes it, `references` are added once all tables exist, `declare` is Python."""

    table: str
    create: tuple[str, ...]
    references: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    declare: str = ""

    def sql(self) -> str:
        """Everything, as one script that ends without a line break."""
        return "\n".join((*self.create, *self.references))


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]


def proposals(findings: Iterable[Finding]) -> dict[Finding, Proposal]:
    """A proposal for each store among `findings`, which share one database; table names are unique among them."""
    stores = [finding for finding in findings if finding.cls == "store"]
    taken: set[str] = set()
    tables = {finding: _table(finding, taken) for finding in stores}
    return {finding: _proposal(finding, table, tables.values(), taken) for finding, table in tables.items()}


def _proposal(finding: Finding, table: _Table | None, every: Iterable[_Table | None], taken: set[str]) -> Proposal:
    if table is None:
        name = unused("_".join(words(finding.name)) or "counter", taken)
        made = f"CREATE SEQUENCE {quoted(name)} AS bigint;"
        return Proposal(name, (made,), (), ("start it above the highest number in use",), _declare(finding, name, ()))
    others = [each for each in every if each is not None and each is not table]
    pointing = [each.name for each in table.columns if _target(each, table, others)]
    create = (_create(table), *statements(table.name, finding, list(table.columns), table.key, pointing, taken))
    references = tuple(_references(table, others, taken))
    notes = tuple(_notes(finding, table))
    return Proposal(table.name, create, references, notes, _declare(finding, table.name, table.key))


def _create(table: _Table) -> str:
    lines = [each.sql(comma=True) for each in table.columns]
    lines.append(f"    PRIMARY KEY ({', '.join(quoted(name) for name in table.key)})")
    return "\n".join((f"CREATE TABLE {quoted(table.name)} (", *lines, ");"))


def _table(finding: Finding, taken: set[str]) -> _Table | None:
    """The table of a store; None for a counter, which becomes a sequence."""
    shape = Shape.of(finding.container)
    if shape.head == "int" and (finding.counter or not finding.fields):
        return None
    name = unused("_".join(held(finding.symbol, finding.record)), taken)
    columns = list(_record(finding, shape))
    keys = list(_keys(finding, shape, columns))
    extra = [each for each in keys if each.name not in {known.name for known in columns}]
    required = {each.name for each in keys}
    own = [replace(each, required=True) if each.name in required else each for each in columns]
    own.sort(key=lambda each: each.name not in required)
    return _Table(name, tuple(_unique([*extra, *own])), tuple(each.name for each in keys))


def _record(finding: Finding, shape: Shape) -> Iterator[Column]:
    """The columns of one record: its fields, one value, or one document."""
    if finding.fields:
        yield from (column(each, each.name in finding.money) for each in finding.fields)
        return
    inner = Shape.of(shape.value) if shape.holds_containers() else shape
    scalar = shape.head if shape.head not in MAPPINGS | SEQUENCES | SETS else inner.value
    kind, optional, check = kind_of("int" if shape.head == "Counter" else scalar)
    if is_file(finding) or kind in {"", "jsonb"}:
        yield Column("document", "jsonb")
    else:
        yield Column("value", kind, not optional, check=check)


def _keys(finding: Finding, shape: Shape, columns: list[Column]) -> Iterator[Column]:
    """The columns of the primary key, outermost first."""
    held_in = Shape.of(shape.value)
    nested = shape.head in MAPPINGS and shape.holds_containers()
    if shape.head in SEQUENCES:
        yield Column(_free("id" if not _field(columns, "id") else "position", columns), _IDENTITY)
    elif shape.head in SETS:
        yield next((each for each in columns if each.name == "value"), Column("key", "text"))
    elif nested:
        yield Column(_free(_outer_key(finding), columns), _key_kind(shape.key))
        if held_in.head in SETS and not finding.fields:
            yield columns[0]
        elif held_in.head in MAPPINGS:
            yield _own_key(finding, columns) or Column(_free("inner_key", columns), _key_kind(held_in.key))
        else:
            yield Column(_free("position", columns), "bigint")
    elif shape.head in MAPPINGS | {"Counter"} or is_file(finding) or finding.key:
        yield _own_key(finding, columns) or Column(_free("key", columns), _key_kind(finding.key or shape.key))
    elif finding.fields and (own := _own_key(finding, columns)):
        yield own
    else:
        yield Column(_free("only_row", columns), "boolean", default="true CHECK (only_row)")


_IDENTITY = "bigint GENERATED ALWAYS AS IDENTITY"


def _own_key(finding: Finding, columns: list[Column]) -> Column | None:
    """The field that identifies a record: `id`, `task_id` of a Task, else the only one that could be it."""
    one = [singular(held(finding.symbol, finding.record)[-1])]
    one += ["_".join(words(finding.record))] if finding.record else []
    for name in ("id", *(f"{each}_id" for each in one), "uuid", "uid", "key", "code", "slug"):
        if (found := _field(columns, name)) and found.kind != "jsonb":
            return found
    first = columns[0]
    return first if first.field.endswith("_id") and first.kind != "jsonb" and first.field != finding.tenant else None


def _outer_key(finding: Finding) -> str:
    """The name of a nested container's outer key: `field_id` of `readings_by_field`, else `key`."""
    parts = words(finding.name)
    return f"{singular(parts[-1])}_id" if "by" in parts[1:-1] else "key"


def _key_kind(annotation: str) -> str:
    kind, _, _ = kind_of(annotation)
    return kind if kind not in {"", "jsonb"} else "text"


def _field(columns: Iterable[Column], name: str) -> Column | None:
    return next((each for each in columns if each.field == name), None)


def _free(name: str, columns: list[Column]) -> str:
    names = {each.name for each in columns}
    return name if name not in names else f"store_{name}"


def _unique(columns: list[Column]) -> Iterator[Column]:
    taken: set[str] = set()
    for each in columns:
        if each.name not in taken:
            taken.add(each.name)
            yield each


def _references(table: _Table, others: list[_Table], taken: set[str]) -> Iterator[str]:
    """Foreign keys for `task_id` columns where another store of the service is the tasks' table."""
    for each in table.columns:
        if target := _target(each, table, others):
            name = unused(f"fk_{table.name}_{each.name}", taken)
            yield (
                f"ALTER TABLE {quoted(table.name)} ADD CONSTRAINT {quoted(name)} FOREIGN KEY ({quoted(each.name)})"
                f" REFERENCES {quoted(target.name)} ({quoted(target.key[0])});"
            )


def _target(column_: Column, table: _Table, others: list[_Table]) -> _Table | None:
    """The table that a column points to; its own key points nowhere."""
    if not column_.name.endswith("_id") or table.key == (column_.name,):
        return None
    return next((other for other in others if _points_to(column_, other)), None)


def _points_to(column_: Column, other: _Table) -> bool:
    one = "_".join((*other.name.split("_")[:-1], singular(other.name.split("_")[-1])))
    kinds = {each.name: each.kind for each in other.columns}
    return column_.name == f"{one}_id" and len(other.key) == 1 and kinds[other.key[0]] == column_.kind


def _notes(finding: Finding, table: _Table) -> Iterator[str]:
    if finding.time_fields and not finding.bounded and Shape.of(finding.container).head in SEQUENCES:
        yield f"grows with time: `partition_by` on `{finding.time_fields[0]}` keeps old quarters apart"
    if finding.bounded:
        yield f"bounded in memory ({finding.bounded}): the table keeps everything unless you delete old rows"
    if finding.places:
        yield f"places ({', '.join(finding.places)}): with PostGIS, `geography(Point, 4326)` and a GiST index"
    if finding.duplicates:
        yield "the same store stands in other services too: decide which one owns the table"
    if any(each.kind == "jsonb" and not each.field for each in table.columns):
        yield "the shape of its records is not declared: declare a model, and fields become columns"


def _declare(finding: Finding, table: str, key: tuple[str, ...]) -> str:
    """The line that takes the place of the store's declaration."""
    name, head = fitted(table), Shape.of(finding.container).head
    record = finding.record if finding.record.isidentifier() and finding.fields and finding.record != "Any" else ""
    tenant = f', tenant="{finding.tenant}"' if finding.tenant and key != (finding.tenant,) else ""
    if head == "int":
        return f'{finding.name} = outlive.counter("{name}")'
    if is_file(finding):
        return f'outlive.json_file("{finding.symbol}", key="{key[-1]}")' if "json" in finding.container else ""
    if head in SETS:
        return f'{finding.name} = outlive.set("{name}")'
    arguments = f'"{name}"' + (f", {record}" if record else "")
    if head in SEQUENCES:
        return f"{finding.name} = outlive.log({arguments}{tenant})"
    known = {each.name for each in finding.fields}
    own = f', key="{key[-1]}"' if key and key[-1] in known else ""
    return f"{finding.name} = outlive.mapping({arguments}{own}{tenant})" if head in MAPPINGS else ""
