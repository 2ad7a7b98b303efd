"""Answers as JSON bytes: records that memory holds encoded already, or text that PostgreSQL makes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, ClassVar

from outlive.postgres.drive import Step
from outlive.query import evaluate
from outlive.query.language import OrderBy, Query
from outlive.stores.pending import Pending
from outlive.stores.texts import PLAIN_VIEW, JsonView, encode_record, json_form

Key = Hashable


class JsonReads:
    """`find_json` and `get_json` of a repository."""

    json_view: ClassVar[JsonView] = PLAIN_VIEW
    _backing: Any
    _query: Callable[..., Query]
    _pending: Callable[..., Pending[Any]]
    _held: Callable[[Query], list[tuple[Key, Any]]]
    _find_rows: Callable[[Query], Step[list[tuple[Key, Any]]]]
    _get: Callable[[Key], Step[Any]]
    _known_statements: Any
    _peek: Any

    def encode_json(self, record: Any) -> bytes:
        """A record's JSON; override it where neither it nor `json_view` says how the service answers."""
        return encode_record(record, self.json_view)

    def get_json(self, key: Key, /) -> Pending[bytes | None]:
        """The record of a key as JSON, or None."""
        return self._pending(lambda: self._get_json(key))

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

    def _get_json(self, key: Key) -> Step[bytes | None]:
        record = yield from self._get(key)
        if record is None:
            return None
        if self._backing.reads_sql():
            return self.encode_json(record)
        return self._array([(key, self._backing.image_get(key))])[0]

    def _find_json(self, query: Query) -> Step[bytes]:
        if not self._backing.reads_sql():
            texts = self._array(evaluate.select(query, self._held(query), self._peek))
        else:
            made = yield from self._made_by_sql(query)
            if made is not None:
                return made
            texts = [self.encode_json(record) for _, record in (yield from self._find_rows(query))]
        return b"[" + b",".join(texts) + b"]"

    def _array(self, items: list[tuple[Key, Any]]) -> list[bytes]:
        texts: list[bytes] = self._backing.texts(items, self.encode_json, (type(self).encode_json, self.json_view))
        return texts

    def _made_by_sql(self, query: Query) -> Step[bytes | None]:
        """The answer as PostgreSQL's text; None where it cannot be sure of every byte."""
        own = type(self).encode_json is not JsonReads.encode_json
        form = None if own or self._backing.unit_changes() else json_form(self._backing.record_type, self.json_view)
        ask = None if form is None else self._known_statements.json(query, form)
        if ask is None:
            return None
        (records, certain, text, odd) = (yield ask)[0]
        return text if records == certain and odd == b"f" else None
