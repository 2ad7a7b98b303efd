"""A store's records by query, the same in every phase: from the image or as SQL, as the phase says.

    page = await tasks.repository.find(status="pending", due__lte=day, order_by=("due", "-priority"), limit=50)
    total = expenses.repository.sum("amount", by="category", date__gte=start).result()

Filters are described in `outlive.query.language`, totals in `outlive.query.totals`. Every call gives a `Pending`.
Records are detached copies: changing one changes nothing in the store. Writes join the current unit of work, and
reads in that unit see them. A field whose name is also an argument's is written with its operator: `limit__eq=3`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from outlive import errors
from outlive.commit.unit import ABSENT
from outlive.postgres.columns import column_hint
from outlive.postgres.drive import Ask, Step
from outlive.postgres.tables import Stored, StoreTable
from outlive.query import evaluate
from outlive.query.columns import Columns
from outlive.query.compile import Compiler
from outlive.query.compile_totals import add_rows, compile_total
from outlive.query.language import Query, parse
from outlive.query.pieces import Piece
from outlive.query.totals import Name, Total, total
from outlive.records import MISSING, RecordType
from outlive.records.types import UNSET
from outlive.stores.pending import Line, Pending

Key = Hashable
Items = list[tuple[Key, Any]]
DELETED = ABSENT


class Backing(Line, Protocol):
    """What a repository needs of its store."""

    record_type: RecordType

    @property
    def table(self) -> StoreTable | None:
        """The store's table, None until it is known."""
        ...

    def image_get(self, key: Key) -> Any:
        """The live record, or ABSENT."""
        ...

    def image_items(self) -> Iterable[tuple[Key, Any]]:
        """Live records in insertion order."""
        ...

    def unit_changes(self) -> Mapping[Key, Any]:
        """Where SQL answers: what the current unit has changed and not committed, record or DELETED."""
        ...

    def unit_put(self, key: Key, record: Any, insert: bool) -> None:
        """Adds or replaces a record in the current unit. Raises KeyTaken if `insert` meets a record."""
        ...

    def writes_image(self) -> bool:
        """Whether writes go to the image first."""
        ...

    def unit_patch(self, key: Key, fields: dict[str, Any], base: Any = None) -> None:
        """Sets fields of a record in the current unit; a changed key field moves the record to its new key.

        `base` is the row as read (`Stored`), where there is no image. Raises KeyTaken, Unholdable.
        """
        ...

    def unit_delete(self, key: Key) -> None:
        """Removes a record in the current unit."""
        ...

    def key_of(self, record: Any) -> Key:
        """The key that a record is stored under."""
        ...


class Standing(NamedTuple):
    """A record that a write will change, and its row as read where there is no image."""

    record: Any
    base: Stored | None


class Repository:
    """Queries and writes over one store."""

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self._compiled: tuple[StoreTable, Compiler] | None = None

    # -- reads -------------------------------------------------------------------------------------------------

    def get(self, key: Key, /) -> Pending[Any]:
        """The record of a key, or None."""
        return self._pending(lambda: self._get(key))

    def find(
        self,
        *,
        order_by: str | Iterable[str] = (),
        limit: int | None = None,
        offset: int = 0,
        **filters: Any,
    ) -> Pending[list[Any]]:
        """The records that pass all filters, in the order asked for or else as inserted. Raises BadQuery."""
        query = self._query(filters, order_by, limit, offset)
        return self._pending(lambda: self._find(query, lambda _, record: self._detached(record)))

    def keys(
        self,
        *,
        order_by: str | Iterable[str] = (),
        limit: int | None = None,
        offset: int = 0,
        **filters: Any,
    ) -> Pending[list[Any]]:
        """The keys of the records that `find` gives. Raises BadQuery."""
        query = self._query(filters, order_by, limit, offset)
        return self._pending(lambda: self._find(query, lambda key, _: key))

    def count(self, *, by: str | None = None, **filters: Any) -> Pending[Any]:
        """How many records pass the filters; with `by`, a dict of that field's values. Raises BadQuery."""
        return self._totalled("count", "", by, filters)

    def sum(self, field: str, /, *, by: str | None = None, **filters: Any) -> Pending[Any]:
        """The exact sum of a number field, 0 without values; with `by`, a dict. Raises BadQuery."""
        return self._totalled("sum", field, by, filters)

    def avg(self, field: str, /, *, by: str | None = None, **filters: Any) -> Pending[Any]:
        """The average of a number field, None without values; with `by`, a dict. Raises BadQuery."""
        return self._totalled("avg", field, by, filters)

    def min(self, field: str, /, *, by: str | None = None, **filters: Any) -> Pending[Any]:
        """The least value of a field, None without values; with `by`, a dict. Raises BadQuery."""
        return self._totalled("min", field, by, filters)

    def max(self, field: str, /, *, by: str | None = None, **filters: Any) -> Pending[Any]:
        """The greatest value of a field, None without values; with `by`, a dict. Raises BadQuery."""
        return self._totalled("max", field, by, filters)

    # -- writes ------------------------------------------------------------------------------------------------

    def insert(self, record: Any, /) -> Pending[None]:
        """Adds a record. Raises KeyTaken if its key exists, Unholdable, and what refuses the write."""
        held = self._detached(record)
        key = self._backing.key_of(held)

        def apply(found: dict[Key, Standing]) -> None:
            if found:
                raise errors.KeyTaken(store=self._backing.name, key=repr(key))
            self._backing.unit_put(key, held, insert=True)

        return self._writing([key], apply)

    def put(self, record: Any, /) -> Pending[None]:
        """Adds a record or replaces the one with its key. Raises Unholdable, and what refuses the write."""
        held = self._detached(record)
        key = self._backing.key_of(held)
        return self._writing([], lambda _: self._backing.unit_put(key, held, insert=False))

    def patch(self, key: Key, /, **fields: Any) -> Pending[Any]:
        """The record after these fields were set, or None if there is none of this key.

        A changed key field moves the record to its new key, at the same place. Raises BadQuery for a field that the
        record type does not have, KeyTaken, Unholdable, and what refuses the write.
        """
        for field in fields:
            self._known(field)
        return self._writing([key], lambda found: self._patch(key, found[key], fields) if found else None)

    def delete(self, key: Key, /) -> Pending[bool]:
        """Removes a record; False if there was none of this key. Raises what refuses the write."""
        return self._writing([key], lambda found: self._delete(found) == 1)

    def delete_many(self, keys: Iterable[Key], /) -> Pending[int]:
        """Removes the records of these keys; how many there were. Raises what refuses the write."""
        return self._writing(list(dict.fromkeys(keys)), self._delete)

    # -- steps -------------------------------------------------------------------------------------------------

    def _pending(self, step: Callable[[], Step[Any]]) -> Pending[Any]:
        return Pending(self._backing, step)

    def _writing(self, keys: Sequence[Key], apply: Callable[[dict[Key, Standing]], Any]) -> Pending[Any]:
        return Pending(self._backing, lambda: self._standing(keys), apply)

    def _standing(self, keys: Sequence[Key]) -> Step[dict[Key, Standing]]:
        """The records of these keys where a write will find them: in the image as long as there is one."""
        if self._backing.writes_image():
            held = ((key, self._backing.image_get(key)) for key in keys)
            return {key: Standing(record, None) for key, record in held if record is not ABSENT}
        changes = self._backing.unit_changes()
        found = {key: Standing(changes[key], None) for key in keys if changes.get(key, DELETED) is not DELETED}
        wanted = [key for key in keys if key not in changes]
        if wanted:
            rows = yield _ask(self._compiler().rows_of(wanted))
            for key, record, base in map(self._read_base, rows):
                found[key] = Standing(record, base)
        return found

    def _read_base(self, row: Sequence[Any]) -> tuple[Key, Any, Stored]:
        assert self._backing.table is not None
        base = self._backing.table.read(row)
        return base.key, self._backing.record_type.record(base.document), base

    def _get(self, key: Key) -> Step[Any]:
        found = yield from self._current([key])
        return self._detached(found[key]) if key in found else None

    def _current(self, keys: Sequence[Key]) -> Step[dict[Key, Any]]:
        """The records of these keys as this unit sees them: live ones from the image, or copies from SQL."""
        if not self._backing.reads_sql():
            held = ((key, self._backing.image_get(key)) for key in keys)
            return {key: record for key, record in held if record is not ABSENT}
        changes = self._backing.unit_changes()
        found = {key: changes[key] for key in keys if key in changes and changes[key] is not DELETED}
        wanted = [key for key in keys if key not in changes]
        if wanted:
            rows = yield _ask(self._compiler().rows_of(wanted))
            found.update({key: record for key, record, _ in map(self._read, rows)})
        return found

    def _find(self, query: Query, shape: Callable[[Key, Any], Any]) -> Step[list[Any]]:
        if self._backing.reads_sql():
            found = yield from self._find_rows(query)
        else:
            found = evaluate.select(query, list(self._backing.image_items()), self._peek)
        return [shape(key, record) for key, record in found]

    def _find_rows(self, query: Query) -> Step[Items]:
        changes = self._backing.unit_changes()
        wanted = self._compiler().find(query, tuple(changes))
        rows = yield _ask(wanted.statement)
        items, odd = self._items(rows)
        if wanted.paged and any(odd) and self._foreign(query, items, odd):
            wanted = self._compiler().find(Query(query.filters, query.order))
            items, odd = self._items((yield _ask(wanted.statement)))
        if wanted.paged and not any(odd):
            query = Query(query.filters, query.order, query.limit)
        return evaluate.select(query, _overlaid(items, changes), self._peek)

    def _items(self, rows: Iterable[Sequence[Any]]) -> tuple[Items, list[bool]]:
        items: Items = []
        odd: list[bool] = []
        for row in rows:
            key, record, _ = self._read(row[:-1])
            items.append((key, record))
            odd.append(row[-1])
        return items, odd

    def _foreign(self, query: Query, items: Items, odd: Sequence[bool]) -> bool:
        """Whether an odd record holds a value to sort by that may not compare with those outside the page."""
        strange = [record for (_, record), is_odd in zip(items, odd, strict=True) if is_odd]
        return any(
            not self._compiler().column(each.field).compares(self._peek(record, each.field))
            for each in query.order
            for record in strange
        )

    def _totalled(self, name: Name, field: str, by: str | None, filters: Mapping[str, Any]) -> Pending[Any]:
        query = self._query(filters)
        for each in (field, by):
            if each:
                self._known(each)
        asked = Total(name, field, by, self._number_type(field))
        return self._pending(lambda: self._total(asked, query))

    def _total(self, asked: Total, query: Query) -> Step[Any]:
        if not self._backing.reads_sql():
            return self._add_up(asked, query, list(self._backing.image_items()))
        at = self._compiler()
        statement = None if self._backing.unit_changes() else compile_total(at, asked, query.filters)
        if statement is None:
            return self._add_up(asked, query, (yield from self._find_rows(query)))
        rows = yield _ask(statement)
        number = at.column(asked.field).number if asked.field else None
        return add_rows(asked, query.filters, rows, lambda row: self._read(row)[1:], self._peek, number)

    def _add_up(self, asked: Total, query: Query, items: Items) -> Any:
        matching = evaluate.matching(query.filters, items, self._peek)
        return total(asked, (record for _, record in matching), self._peek)

    def _patch(self, key: Key, standing: Standing, fields: dict[str, Any]) -> Any:
        changed = self._changed(standing.record, fields)
        record_type = self._backing.record_type
        values = {field: record_type.peek(changed, field) for field in fields}
        self._backing.unit_patch(key, values, standing.base)
        return self._detached(changed)

    def _delete(self, found: dict[Key, Standing]) -> int:
        for key in found:
            self._backing.unit_delete(key)
        return len(found)

    # -- records -----------------------------------------------------------------------------------------------

    def _query(
        self,
        filters: Mapping[str, Any],
        order_by: str | Iterable[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> Query:
        query = parse(filters, order_by, limit, offset)
        for field in query.fields:
            self._known(field)
        return query

    def _known(self, field: str) -> None:
        """Raises BadQuery for a field that no record of the declared type has."""
        fields = self._backing.record_type.fields
        config = getattr(self._backing.record_type.declared, "model_config", None) or {}
        if fields and field not in fields and config.get("extra") != "allow":
            raise errors.BadQuery(field=field, reason=f"no such field; there are {', '.join(fields)}")

    def _number_type(self, field: str) -> type | None:
        declared = self._backing.record_type.fields.get(field)
        return next((kind for kind in (int, float, Decimal) if declared is not None and declared.base is kind), None)

    def _compiler(self) -> Compiler:
        table = self._backing.table
        if table is None:
            raise errors.NotOpen(store=self._backing.name, reason="its table is not known yet")
        if self._compiled is None or self._compiled[0] is not table:
            self._compiled = table, Compiler(table, Columns(table, column_hint))
        return self._compiled[1]

    def _read(self, row: Sequence[Any]) -> tuple[Key, Any, Decimal]:
        assert self._backing.table is not None
        stored = self._backing.table.read(row)
        return stored.key, self._backing.record_type.record(stored.document), stored.position

    def _peek(self, record: Any, field: str) -> Any:
        value = self._backing.record_type.peek(record, field)
        return None if value is MISSING else value

    def _detached(self, record: Any) -> Any:
        """A copy that shares nothing with the store; also of a record that PostgreSQL cannot hold."""
        try:
            return self._backing.record_type.record(self._backing.record_type.document(record))
        except errors.Unholdable:
            return copy.deepcopy(record)

    def _changed(self, record: Any, fields: dict[str, Any]) -> Any:
        """A copy of the record with these fields set, past `__setattr__` and validation where it can be held."""
        record_type = self._backing.record_type
        try:
            document = record_type.document(record)
            document.update({field: record_type.encode(field, value) for field, value in fields.items()})
            if UNSET in document:
                document[UNSET] = [field for field in document[UNSET] if field not in fields]
            return record_type.record(document)
        except errors.Unholdable:
            return _assigned(copy.deepcopy(record), fields)


def _ask(piece: Piece) -> Ask:
    return Ask(piece.text, piece.values)


def _overlaid(items: Items, changes: Mapping[Key, Any]) -> Items:
    """Stored records with a unit's changes in their places; records that it added come last."""
    if not changes:
        return items
    records = {**dict(items), **changes}
    return [(key, record) for key, record in records.items() if record is not DELETED]


def _assigned(record: Any, fields: dict[str, Any]) -> Any:
    for field, value in fields.items():
        if isinstance(record, dict):
            record[field] = value
        else:
            setattr(record, field, value)
    return record
