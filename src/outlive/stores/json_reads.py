"""Answers as JSON bytes: records that memory holds encoded already, or text that PostgreSQL makes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, ClassVar, NamedTuple

from outlive.commit.unit import ABSENT
from outlive.postgres.drive import Row, Step
from outlive.query import evaluate
from outlive.query.compile_json import JsonForm
from outlive.query.language import OrderBy, Query
from outlive.query.totals import Total
from outlive.stores.group_reads import GroupReads
from outlive.stores.one import AGAIN, One
from outlive.stores.pending import Pending
from outlive.stores.texts import PLAIN_VIEW, JsonView, encode_record, json_form

Key = Hashable


class JsonList(NamedTuple):
    """A page of records as a JSON array, and how many there are without limit and offset."""

    items: bytes
    total: int


class JsonReads:
    """`find_json`, `list_json` and `get_json` of a repository."""

    json_view: ClassVar[JsonView] = PLAIN_VIEW
    _backing: Any
    _query: Callable[..., Query]
    _pending: Callable[..., Pending[Any]]
    _held: Callable[[Query], list[tuple[Key, Any]]]
    _selected: Callable[[Query], list[tuple[Key, Any]]]
    _find_rows: Callable[[Query], Step[list[tuple[Key, Any]]]]
    _total: Callable[[Total, Query], Step[Any]]
    _get: Callable[[Key], Step[Any]]
    _known_statements: Any
    _json_reads: GroupReads
    _in_scope: Callable[[], Any]
    _holds: Callable[[Any], bool]
    _peek: Any

    def encode_json(self, record: Any) -> bytes:
        """A record's JSON; override it where neither it nor `json_view` says how the service answers."""
        return encode_record(record, self.json_view)

    def get_json(self, key: Key, /, **filters: Any) -> Pending[bytes | None]:
        """The record of a key as JSON; None if there is none, or it does not pass the filters. Raises BadQuery."""
        query = self._query(filters)
        if not query.filters and self._in_scope() is None and self._form() is not None:
            return One(self._backing, lambda: self._get_json(key, query), self._json_reads, key, _made)
        return self._pending(lambda: self._get_json(key, query))

    def find_json(
        self,
        *,
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int = 0,
        **filters: Any,
    ) -> Pending[bytes]:
        """A JSON array of the records that `find` gives, ready to be sent.

        Records in memory are encoded once and again only when they change. Raises BadQuery, and Unholdable for a value
        that JSON has no form for.
        """
        query = self._query(filters, order_by, limit, offset)
        return self._pending(lambda: self._find_json(query))

    def list_json(
        self,
        *,
        order_by: OrderBy = (),
        limit: int | None = 50,
        offset: int = 0,
        **filters: Any,
    ) -> Pending[JsonList]:
        """What `find_json` gives, and how many records pass the filters; by SQL in one statement. Raises as it does."""
        query = self._query(filters, order_by, limit, offset)
        return self._pending(lambda: self._list_json(query))

    def _get_json(self, key: Key, query: Query) -> Step[bytes | None]:
        passes = evaluate.record_check(query.filters, self._peek)
        if not self._backing.reads_sql():
            held = self._backing.image_get(key)
            return self._array([(key, held)])[0] if held is not ABSENT and passes(held) else None
        made = yield from self._one_by_sql(key, query)
        if made is not None:
            return made
        record = yield from self._get(key)
        return self.encode_json(record) if record is not None and passes(record) else None

    def _one_by_sql(self, key: Key, query: Query) -> Step[bytes | None]:
        """The record as PostgreSQL's text; None where it has none or cannot be sure of it."""
        form = None if self._backing.unit_changes() else self._form()
        ask = None if form is None else self._known_statements.one_json(key, query, form)
        rows = [] if ask is None else (yield ask)
        text: bytes | None = rows[0][0] if rows else None
        return text

    def _find_json(self, query: Query) -> Step[bytes]:
        if not self._backing.reads_sql():
            return _joined(self._array(self._selected(query)))
        made = yield from self._made_by_sql(query)
        if made is not None and made.items is not None:
            return made.items
        return _joined([self.encode_json(record) for _, record in (yield from self._find_rows(query))])

    def _list_json(self, query: Query) -> Step[JsonList]:
        if not self._backing.reads_sql():
            texts = self._array(self._selected(query))
            return JsonList(_joined(texts), self._count_held(query))
        made = yield from self._made_by_sql(query, total=True)
        if made is not None and made.items is not None:
            return JsonList(made.items, made.total)
        if made is not None:
            found = yield from self._find_rows(query)
            return JsonList(_joined([self.encode_json(record) for _, record in found]), made.total)
        if self._backing.unit_changes():
            found = yield from self._find_rows(Query(query.filters, query.order))
            end = None if query.limit is None else query.offset + query.limit
            return JsonList(_joined([self.encode_json(record) for _, record in found[query.offset : end]]), len(found))
        found = yield from self._find_rows(query)
        total = yield from self._total(Total("count", "", (), True, None), query)
        return JsonList(_joined([self.encode_json(record) for _, record in found]), total)

    def _count_held(self, query: Query) -> int:
        if not query.filters:
            size: int = self._backing.image_size()
            return size
        every = Query(query.filters)
        return sum(1 for _ in evaluate.matching(query.filters, self._held(every), self._peek))

    def _array(self, items: list[tuple[Key, Any]]) -> list[bytes]:
        texts: list[bytes] = self._backing.texts(items, self.encode_json, (type(self).encode_json, self.json_view))
        return texts

    def _form(self) -> JsonForm | None:
        """How PostgreSQL is to write the records, None where only the service's own code can tell."""
        if type(self).encode_json is not JsonReads.encode_json:
            return None
        return json_form(self._backing.record_type, self.json_view)

    def _made_by_sql(self, query: Query, *, total: bool = False) -> Step[_Made | None]:
        """The answer as PostgreSQL's text; None where it cannot tell which records it is of, and without text where it
        cannot be sure of every byte."""
        form = None if self._backing.unit_changes() else self._form()
        ask = None if form is None else self._known_statements.json(query, form, total=total)
        if ask is None:
            return None
        (records, certain, text, odd, *counted) = (yield ask)[0]
        if odd != b"f":
            return None
        return _Made(text if records == certain else None, int(counted[0]) if counted else 0)


class _Made(NamedTuple):
    items: bytes | None
    total: int


def _joined(texts: list[bytes]) -> bytes:
    return b"[" + b",".join(texts) + b"]"


def _made(row: Row) -> Any:
    """A key's text, as far as PostgreSQL is sure of it."""
    return AGAIN if row[1] is None else row[1].encode()
