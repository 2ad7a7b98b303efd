"""A store's records by query, the same in every phase: from the image or as SQL, as the phase says.

    page = await tasks.repository.find(status="pending", due__lte=day, order_by=("due", "-priority"), limit=50)
    total = expenses.repository.sum("amount", by="category", date__gte=start).result()

Filters are described in `outlive.query.language`, totals in `outlive.query.totals`. Every call gives a `Pending`.
Records are detached copies: changing one changes nothing in the store. Writes join the current unit of work, and
reads in that unit see them; the unit commits, a repository never does. A field whose name is also an argument's is
written with its operator: `limit__eq=3`. A subclass may add methods; a store is given it as `repository=`.

Long: one face over one store; what it stands on lies in `query`, `scope` and `group_reads`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, Self

from outlive import errors
from outlive.commit.unit import ABSENT
from outlive.postgres.drive import Ask, Step
from outlive.postgres.tables import Stored, StoreTable
from outlive.postgres.tenancy import ACROSS_ASK, tenant_text
from outlive.query import evaluate, pages
from outlive.query.compile import Compiler
from outlive.query.compile_json import texts_of
from outlive.query.compile_totals import add_groups, add_rows
from outlive.query.language import Filter, OrderBy, Query, parse
from outlive.query.pages import Cursor, Page
from outlive.query.paths import PLACE, Reader, split
from outlive.query.pieces import Piece
from outlive.query.totals import Name, Total, parse_by, total
from outlive.records import RecordType, canonical
from outlive.records.types import UNSET
from outlive.stores.group_reads import GroupReads
from outlive.stores.json_reads import JsonReads
from outlive.stores.one import One
from outlive.stores.pending import Line, Pending
from outlive.stores.scope import Scope
from outlive.stores.statements import Statements

Key = Hashable
Items = list[tuple[Key, Any]]
DELETED = ABSENT
CHUNK_ROWS = 5_000  # keys in one statement
CHECKED = 1_000  # names of fields that are remembered


class Backing(Line, Protocol):
    """What a repository needs of its store."""

    record_type: RecordType
    place: tuple[str, str] | None
    tenant: str | None

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

    def candidates(self, query: Query, peek: evaluate.Peek[Any]) -> Items | None:
        """Live records in insertion order among which the answer is; None where no index can tell."""
        ...

    def page(self, query: Query, peek: evaluate.Peek[Any]) -> Items | None:
        """A query's whole answer of live records, in its order; None where no index has it."""
        ...

    def unit_changes(self) -> Mapping[Key, Any]:
        """Where SQL answers: what the current unit has changed and not committed, record or DELETED."""
        ...

    def unit_put(self, key: Key, record: Any, insert: bool) -> None:
        """Adds or replaces a record in the current unit. Raises KeyTaken if `insert` meets a record."""
        ...

    def texts(self, items: Iterable[tuple[Key, Any]], encode: Callable[[Any], bytes], form: Any) -> list[bytes]:
        """The JSON of live records; what has not changed since is not encoded again."""
        ...

    def image_size(self) -> int:
        """How many live records there are."""
        ...

    def image_position(self, key: Key) -> Decimal | int | None:
        """Where a live record stands in insertion order; None where the image does not know."""
        ...

    def together(self) -> AbstractContextManager[Any]:
        """The context in which several writes are one: all of them, or none if it is left by an error."""
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


class Repository(JsonReads):
    """Queries and writes over one store."""

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self._checked: set[str] = set()  # fields that may be asked for
        self._statements: list[Statements] = []  # one, shared with the repositories of all scopes
        self._reads = GroupReads(backing, self._compiler, lambda at: at.records_of([]))
        self._json_reads = GroupReads(backing, self._compiler, self._texts_statement)
        record_type = backing.record_type
        self._peek = Reader(record_type.peek, record_type.fields, backing.place)
        self._scope: Scope | None = None

    # -- scope -------------------------------------------------------------------------------------------------

    def for_tenant(self, tenant: Any, /) -> Self:
        """This repository for one tenant's records: others are not seen, and not written.

        `insert` and `put` fill in the tenant where the record has none. Raises BadQuery for a store without a tenant
        and for a value that names none.
        """
        tenant_text(tenant)
        return self._scoped(Scope(tenant))

    def across_tenants(self) -> Self:
        """This repository for the records of all tenants. Raises BadQuery for a store without a tenant."""
        return self._scoped(Scope(across=True))

    def _scoped(self, scope: Scope) -> Self:
        if self._backing.tenant is None:
            raise errors.BadQuery(field="tenant", reason=f"{self._backing.name} is declared without tenant=")
        scoped = object.__new__(type(self))
        scoped.__dict__.update(self.__dict__, _scope=scope)
        return scoped

    def _in_scope(self) -> Scope | None:
        """The scope, None for a store without a tenant. Raises Unscoped."""
        if self._scope is None and self._backing.tenant is not None:
            raise errors.Unscoped(store=self._backing.name)
        return self._scope

    # -- reads -------------------------------------------------------------------------------------------------

    def get(self, key: Key, /) -> Pending[Any]:
        """The record of a key, or None."""
        if self._in_scope() is None:
            return One(self._backing, lambda: self._get(key), self._reads, key, self._record)
        return self._pending(lambda: self._get(key))

    def find(
        self,
        *,
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int = 0,
        **filters: Any,
    ) -> Pending[list[Any]]:
        """The records that pass all filters, in the order asked for or else as inserted. Raises BadQuery."""
        query = self._query(filters, order_by, limit, offset)
        return self._pending(lambda: self._find(query, lambda _, record: self._detached(record)))

    def page(
        self,
        *,
        order_by: OrderBy = (),
        limit: int = 50,
        after: str | None = None,
        **filters: Any,
    ) -> Pending[Page]:
        """The first `limit` records that `find` would give, or those after a page's `next`.

        Records that come and go between two pages shift nothing. Raises BadQuery, also for a cursor that is damaged,
        of another order, or, in phase `legacy`, of a record that is gone.
        """
        query = self._query(filters, order_by, limit)
        if query.limit is None or query.limit < 1:
            raise errors.BadQuery(field="limit", reason="a page has at least one record")
        if any(each.ranks for each in query.order):
            raise errors.BadQuery(field="order_by", reason="a page by cursor is not Ranked; use find with offset")
        cursor = None if after is None else pages.read(query.order, after)
        return self._pending(lambda: self._page(query, cursor))

    def keys(
        self,
        *,
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int = 0,
        **filters: Any,
    ) -> Pending[list[Any]]:
        """The keys of the records that `find` gives. Raises BadQuery."""
        query = self._query(filters, order_by, limit, offset)
        return self._pending(lambda: self._find(query, lambda key, _: key))

    def count(self, *, by: str | Iterable[str] | None = None, **filters: Any) -> Pending[Any]:
        """How many records pass the filters; with `by`, a dict. Raises BadQuery."""
        return self._totalled("count", "", by, filters)

    def sum(self, field: str, /, *, by: str | Iterable[str] | None = None, **filters: Any) -> Pending[Any]:
        """The exact sum of a number field, 0 without values; with `by`, a dict. Raises BadQuery."""
        return self._totalled("sum", field, by, filters)

    def avg(self, field: str, /, *, by: str | Iterable[str] | None = None, **filters: Any) -> Pending[Any]:
        """The average of a number field, None without values; with `by`, a dict. Raises BadQuery."""
        return self._totalled("avg", field, by, filters)

    def figures(self, field: str, /, *, by: str | Iterable[str] | None = None, **filters: Any) -> Pending[Any]:
        """Count of records, and count, exact sum and average of a number field, as `Figures`; with `by`, a dict.

        Raises BadQuery.
        """
        return self._totalled("figures", field, by, filters)

    def min(self, field: str, /, *, by: str | Iterable[str] | None = None, **filters: Any) -> Pending[Any]:
        """The least value of a field, None without values; with `by`, a dict. Raises BadQuery."""
        return self._totalled("min", field, by, filters)

    def max(self, field: str, /, *, by: str | Iterable[str] | None = None, **filters: Any) -> Pending[Any]:
        """The greatest value of a field, None without values; with `by`, a dict. Raises BadQuery."""
        return self._totalled("max", field, by, filters)

    # -- writes ------------------------------------------------------------------------------------------------

    def insert(self, record: Any, /) -> Pending[None]:
        """Adds a record. Raises KeyTaken if its key exists, Unholdable, and what refuses the write."""
        held = self._own(self._detached(record))
        key = self._backing.key_of(held)

        def apply(found: dict[Key, Standing]) -> None:
            if found:
                raise errors.KeyTaken(store=self._backing.name, key=repr(key))
            self._backing.unit_put(key, held, insert=True)

        return self._writing([key], apply)

    def put(self, record: Any, /) -> Pending[None]:
        """Adds a record or replaces the one with its key. Raises Unholdable, and what refuses the write."""
        held = self._own(self._detached(record))
        key = self._backing.key_of(held)
        return self._writing([key] if self._limited else [], lambda found: self._put(key, held, found))

    def bulk_put(self, records: Iterable[Any], /) -> Pending[int]:
        """Puts all of these records as one write, or none of them; how many keys they have.

        Of records with one key the last counts. Raises as `put` does.
        """
        held: dict[Key, Any] = {}
        for record in records:
            own = self._own(self._detached(record))
            held[self._backing.key_of(own)] = own
        return self._writing(list(held) if self._limited else [], lambda found: self._put_all(held, found))

    def patch(self, key: Key, /, **fields: Any) -> Pending[Any]:
        """The record after these fields were set, or None if there is none of this key.

        A changed key field moves the record to its new key, at the same place. Raises BadQuery for a field that the
        record type does not have, KeyTaken, Unholdable, and what refuses the write.
        """
        for field in fields:
            self._known(field)
        return self._writing([key], lambda found: self._patch(key, found[key], fields) if found else None)

    def update(self, key: Key, how: Callable[[Any], Mapping[str, Any]], /) -> Pending[Any]:
        """As `patch`, with the fields that `how` gives for a copy of the record; what it raises leaves all as it was.

        What `how` has seen of the fields that it gives still holds when the write lands: a unit that changes one of
        them to another value in the meantime makes this one a Conflict. Two that give the same value do not conflict,
        so a count needs a field beside it whose value nobody else gives.
        """

        def apply(found: dict[Key, Standing]) -> Any:
            return self._patch(key, found[key], self._asked(found[key], how)) if found else None

        return self._writing([key], apply)

    def bulk_update(self, keys: Iterable[Key], how: Callable[[Any], Mapping[str, Any]], /) -> Pending[dict[Key, Any]]:
        """As `update` of each of these keys that has a record, as one read and one write; those records, by key."""

        def apply(found: dict[Key, Standing]) -> dict[Key, Any]:
            asked = {key: self._asked(standing, how) for key, standing in found.items()}
            with self._backing.together():
                return {key: self._patch(key, found[key], fields) for key, fields in asked.items()}

        return self._writing(list(dict.fromkeys(keys)), apply)

    def delete(self, key: Key, /) -> Pending[bool]:
        """Removes a record; False if there was none of this key. Raises what refuses the write."""
        return self._writing([key], lambda found: self._delete(found) == 1)

    def bulk_delete(self, keys: Iterable[Key], /) -> Pending[int]:
        """Removes the records of these keys as one write; how many there were. Raises what refuses the write."""
        return self._writing(list(dict.fromkeys(keys)), self._delete)

    delete_many = bulk_delete

    # -- steps -------------------------------------------------------------------------------------------------

    def _pending(self, step: Callable[[], Step[Any]]) -> Pending[Any]:
        scope = self._in_scope()
        return Pending(self._backing, step, before=None if scope is None else scope.ask)

    def _writing(self, keys: Sequence[Key], apply: Callable[[dict[Key, Standing]], Any]) -> Pending[Any]:
        """A write over what stands under these keys. To refuse another tenant's record it must be seen."""
        if self._in_scope() is None:
            return Pending(self._backing, lambda: self._standing(keys), apply)
        return Pending(
            self._backing, lambda: self._standing(keys), lambda found: apply(self._allowed(found)), ACROSS_ASK
        )

    @property
    def _limited(self) -> bool:
        """Whether this repository writes one tenant's records alone."""
        scope = self._in_scope()
        return scope is not None and not scope.across

    def _allowed(self, found: dict[Key, Standing]) -> dict[Key, Standing]:
        """The records that a write met. Raises ForeignTenant if one is outside the scope."""
        for key, standing in found.items():
            if not self._holds(standing.record):
                raise self._foreign_tenant(key, "the record belongs to another tenant")
        return found

    def _holds(self, record: Any) -> bool:
        tenant = self._backing.tenant
        return self._scope is None or tenant is None or self._scope.holds(self._peek(record, tenant))

    def _foreign_tenant(self, key: Any, reason: str) -> errors.ForeignTenant:
        return errors.ForeignTenant(store=self._backing.name, key=repr(key), reason=reason)

    def _own(self, record: Any) -> Any:
        """The record with the scope's tenant where it has none. Raises ForeignTenant if it has another."""
        tenant = self._backing.tenant
        scope = self._in_scope()
        if scope is None or scope.across or tenant is None:
            return record
        value = self._peek(record, tenant)
        if value is None:
            return self._changed(record, {tenant: scope.tenant})
        if not scope.holds(value):
            reason = f"the record is of tenant {value!r}, the repository of {scope.tenant!r}"
            raise self._foreign_tenant(self._backing.key_of(record), reason)
        return record

    def _put(self, key: Key, record: Any, found: dict[Key, Standing]) -> None:
        """In a tenant's scope a key that is free must still be free when the put lands, or it might be another's."""
        self._backing.unit_put(key, record, insert=self._limited and key not in found)

    def _put_all(self, records: dict[Key, Any], found: dict[Key, Standing]) -> int:
        with self._backing.together():
            for key, record in records.items():
                self._put(key, record, found)
        return len(records)

    def _standing(self, keys: Sequence[Key]) -> Step[dict[Key, Standing]]:
        """The records of these keys where a write will find them: in the image as long as there is one."""
        if self._backing.writes_image():
            held = ((key, self._backing.image_get(key)) for key in keys)
            return {key: Standing(record, None) for key, record in held if record is not ABSENT}
        changes = self._backing.unit_changes()
        found = {key: Standing(changes[key], None) for key in keys if changes.get(key, DELETED) is not DELETED}
        wanted = [key for key in keys if key not in changes]
        for first in range(0, len(wanted), CHUNK_ROWS):
            rows = yield from self._rows(wanted[first : first + CHUNK_ROWS])
            for key, record, base in map(self._read_base, rows):
                found[key] = Standing(record, base)
        return found

    def _read_base(self, row: Sequence[Any]) -> tuple[Key, Any, Stored]:
        assert self._backing.table is not None
        base = self._backing.table.read(row)
        return base.key, self._backing.record_type.record(base.document), base

    def _get(self, key: Key) -> Step[Any]:
        """The record as this unit sees it. Where SQL answers, keys that are asked for together are read together."""
        if not self._backing.reads_sql():
            return self._shown(self._backing.image_get(key))
        changes = self._backing.unit_changes()
        if key in changes:
            return self._shown(changes[key])
        rows = yield from self._rows([key])
        record = self._record(rows[0]) if rows else ABSENT
        return None if record is ABSENT or not self._holds(record) else record

    def _rows(self, keys: Sequence[Key]) -> Step[Any]:
        """The rows of these keys."""
        ask = self._known_statements.one(keys[0]) if len(keys) == 1 else _ask(self._compiler().rows_of(keys))
        return [] if ask is None else (yield ask)

    def _shown(self, record: Any) -> Any:
        return None if record is ABSENT or not self._holds(record) else self._detached(record)

    def _page(self, query: Query, after: Cursor | None) -> Step[Page]:
        """One record more than the page tells whether another follows."""
        more = Query(query.filters, query.order, (query.limit or 0) + 1)
        if self._backing.reads_sql():
            found, place = yield from self._page_rows(more, after)
        else:
            found, place, after = self._page_held(query if after is None else Query(query.filters, query.order), after)
        if after is not None:
            found = pages.following(query, found, after, place, self._peek)
        shown = found[: query.limit]
        following = None
        if len(found) > len(shown):
            key, record = shown[-1]
            cursor = pages.cursor_of(query, key, record, place(key), self._peek)
            following = pages.write(query.order, cursor)
        return Page([self._detached(record) for _, record in shown], following)

    def _page_rows(self, query: Query, after: Cursor | None) -> Step[tuple[Items, pages.Place]]:
        positions: dict[Key, Decimal] = {}
        found = yield from self._find_rows(query, positions, after)
        return found, positions.get

    def _page_held(self, query: Query, after: Cursor | None) -> tuple[Items, pages.Place, Cursor | None]:
        """Records of the image and their positions; where it knows none, a cursor is found by its key."""
        held = self._held(query if query.limit is None else Query(query.filters, query.order, query.limit + 1))
        place = self._backing.image_position
        if after is not None and any(place(key) is None for key, _ in held):
            after = Cursor(after.spots, None, after.key)
        return evaluate.select(Query(query.filters, query.order), held, self._peek), place, after

    def _find(self, query: Query, shape: Callable[[Key, Any], Any]) -> Step[list[Any]]:
        if self._backing.reads_sql():
            found = yield from self._find_rows(query)
        else:
            found = self._selected(query)
        return [shape(key, record) for key, record in found]

    def _selected(self, query: Query) -> Items:
        """The image's answer to a query."""
        page = self._backing.page(query, self._peek)
        return evaluate.select(query, self._held(query), self._peek) if page is None else page

    def _held(self, query: Query) -> Items:
        """The image's records among which the answer is: what an index proposes, else all of them."""
        proposed = self._backing.candidates(query, self._peek)
        return list(self._backing.image_items()) if proposed is None else proposed

    def _find_rows(
        self, query: Query, positions: dict[Key, Decimal] | None = None, after: Cursor | None = None
    ) -> Step[Items]:
        """The records that a query asks for; with a cursor all that may follow it, and its limit is no end."""
        changes = self._backing.unit_changes()
        wanted = self._compiler().find(query, tuple(changes), after)
        plainly = not changes and after is None
        rows = yield (self._known_statements.find(query) if plainly else _ask(wanted.statement))
        items, odd = self._items(rows, positions)
        if wanted.paged and any(odd) and self._foreign(query, items, odd):
            wanted = self._compiler().find(Query(query.filters, query.order))
            items, odd = self._items((yield _ask(wanted.statement)), positions)
        if after is not None:
            query = Query(query.filters, query.order)
        elif wanted.paged and not any(odd):
            query = Query(query.filters, query.order, query.limit)
        return evaluate.select(query, _overlaid(items, changes), self._peek)

    def _items(
        self, rows: Iterable[Sequence[Any]], positions: dict[Key, Decimal] | None = None
    ) -> tuple[Items, list[bool]]:
        items: Items = []
        odd: list[bool] = []
        for row in rows:
            key, record, position = self._read(row[:-1])
            items.append((key, record))
            odd.append(row[-1])
            if positions is not None:
                positions[key] = position
        return items, odd

    def _foreign(self, query: Query, items: Items, odd: Sequence[bool]) -> bool:
        """Whether an odd record holds a value to sort by that may not compare with those outside the page."""
        strange = [record for (_, record), is_odd in zip(items, odd, strict=True) if is_odd]
        return any(
            not self._compiler().column(each.field).compares(self._peek(record, each.field))
            for each in query.order
            if not each.ranks
            for record in strange
        )

    def _totalled(
        self, name: Name, field: str, by: str | Iterable[str] | None, filters: Mapping[str, Any]
    ) -> Pending[Any]:
        query = self._query(filters)
        groups, single = parse_by(by, self._backing.record_type.fields)
        asked = Total(name, field, groups, single, self._number_type(field))
        for each in asked.fields:
            self._known(each)
        return self._pending(lambda: self._total(asked, query))

    def _total(self, asked: Total, query: Query) -> Step[Any]:
        if not self._backing.reads_sql():
            return self._add_up(asked, query, self._held(query))
        at, known = self._compiler(), self._known_statements
        number = at.column(asked.field).number if asked.field else None
        changed = bool(self._backing.unit_changes())
        ask = None if changed else known.groups(asked, query)
        if ask is not None:
            rows = yield ask
            if not rows[0][0]:
                return add_groups(asked, rows, known.label_readers(asked), number)
        ask = None if changed else known.total(asked, query)
        if ask is None:
            return self._add_up(asked, query, (yield from self._find_rows(query)))
        rows = yield ask
        return add_rows(asked, query.filters, rows, lambda row: self._read(row)[1:], self._peek, number)

    def _add_up(self, asked: Total, query: Query, items: Items) -> Any:
        matching = evaluate.matching(query.filters, items, self._peek)
        return total(asked, (record for _, record in matching), self._peek)

    def _patch(self, key: Key, standing: Standing, fields: dict[str, Any]) -> Any:
        changed = self._changed(standing.record, fields)
        if not self._holds(changed):
            raise self._foreign_tenant(key, "a record cannot be given to another tenant in one tenant's scope")
        record_type = self._backing.record_type
        values = {
            field: record_type.peek(changed, field) for field in self._differing(standing.record, changed, fields)
        }
        if values:
            self._backing.unit_patch(key, values, standing.base)
        return self._detached(changed)

    def _asked(self, standing: Standing, how: Callable[[Any], Mapping[str, Any]]) -> dict[str, Any]:
        """The fields that `how` gives for a record. Raises BadQuery for one that the record type does not have."""
        fields = dict(how(self._detached(standing.record)))
        for field in fields:
            self._known(field)
        return fields

    def _differing(self, record: Any, changed: Any, fields: Iterable[str]) -> list[str]:
        """Those of the fields that hold something else now; what cannot be told counts as different."""
        document = self._backing.record_type.document
        try:
            old, new = document(record), document(changed)
            known = old.get(UNSET, ())
            return [each for each in fields if each in known or each not in old or not _same(old[each], new[each])]
        except errors.Unholdable:
            return list(fields)

    def _delete(self, found: dict[Key, Standing]) -> int:
        with self._backing.together():
            for key in found:
                self._backing.unit_delete(key)
        return len(found)

    # -- records -----------------------------------------------------------------------------------------------

    def _query(
        self,
        filters: Mapping[str, Any],
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> Query:
        query = parse(filters, order_by, limit, offset)
        for field in query.fields:
            self._known(field)
        scope = self._in_scope()
        if scope is not None and not scope.across and self._backing.tenant is not None:
            whose = Filter(self._backing.tenant, "eq", scope.tenant)
            query = Query((whose, *query.filters), query.order, query.limit, query.offset)
        return query

    def _known(self, field: str) -> None:
        """Raises BadQuery for a field that no record of the declared type has."""
        if field in self._checked:
            return
        self._check(field)
        if len(self._checked) < CHECKED:
            self._checked.add(field)

    def _check(self, field: str) -> None:
        fields = self._backing.record_type.fields
        if field == PLACE and self._backing.place is not None:
            return
        way = split(field, fields)
        field = field if way is None else way[0]
        config = getattr(self._backing.record_type.declared, "model_config", None) or {}
        if fields and field not in fields and config.get("extra") != "allow":
            raise errors.BadQuery(field=field, reason=f"no such field; there are {', '.join(fields)}")

    def _number_type(self, field: str) -> type | None:
        declared = self._backing.record_type.fields.get(field)
        return next((kind for kind in (int, float, Decimal) if declared is not None and declared.base is kind), None)

    @property
    def _known_statements(self) -> Statements:
        table = self._backing.table
        if table is None:
            raise errors.NotOpen(store=self._backing.name, reason="its table is not known yet")
        if not self._statements or self._statements[0].table is not table:
            self._statements[:] = [Statements(table)]
        return self._statements[0]

    def _texts_statement(self, at: Compiler) -> Piece:
        form = self._form()
        return at.records_of([]) if form is None else texts_of(at, [], form)

    def _compiler(self) -> Compiler:
        return self._known_statements.compiler

    def _record(self, row: Sequence[Any]) -> Any:
        """The record of a row."""
        return self._known_statements.direct.record(row)

    def _read(self, row: Sequence[Any]) -> tuple[Key, Any, Decimal]:
        return self._known_statements.table.read_key(row[0]), self._record(row), row[-1]

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


def _same(one: Any, other: Any) -> bool:
    return canonical(one) == canonical(other)


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
