"""What one collection does, written once for all phases: it never asks where its records are."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterable
from datetime import date
from typing import Any

import outlive
from outlive.errors import BadQuery, KeyTaken

Row = dict[str, Any]


class NotFound(Exception):
    """There is no record with that id; `noun` says of what."""

    def __init__(self, noun: str) -> None:
        super().__init__(noun)
        self.noun = noun


class InvalidField(Exception):
    """The record has no such field."""


class Ledger:
    """The records of one store, by id, in insertion order; `noun` is what one of them is called."""

    def __init__(self, noun: str, store: Any) -> None:
        self.noun = noun
        self.store = store

    async def find(self, start: date | None = None, end: date | None = None, category: str | None = None) -> list[Row]:
        """Records between two days, both included, and of one category; None leaves a condition out."""
        rows: list[Row] = await self.store.repository.find(**conditions(start, end, category))
        return rows

    async def get(self, record_id: int) -> Row:
        """One record. Raises NotFound."""
        row: Row | None = await self.store.repository.get(record_id)
        if row is None:
            raise NotFound(self.noun)
        return row

    async def create(self, fields: Row) -> Row:
        """The new record, its id one above the highest. Raises Unholdable.

        Each attempt is a unit of work of its own, outside the request's: that an id was taken meanwhile, by another
        request or another process, shows when it is committed, and must show while there is time to try the next.
        """
        record_id = await self._highest_id() + 1
        while True:
            row = {**fields, "id": record_id}
            try:
                await asyncio.create_task(self._insert(row), context=contextvars.Context())
            except KeyTaken:
                record_id = max(record_id, await self._highest_id()) + 1
            else:
                return row

    async def _insert(self, row: Row) -> None:
        async with outlive.unit():
            await self.store.repository.insert(row)

    async def set_field(self, record_id: int, field: str, value: Any) -> Row:
        """The record with one field changed. Raises NotFound, InvalidField, Unholdable, KeyTaken."""
        if field not in await self.get(record_id):
            raise InvalidField
        return await self.replace(record_id, {field: value})

    async def replace(self, record_id: int, fields: Row) -> Row:
        """The record with these fields replaced, in its old place. Raises NotFound, Unholdable, KeyTaken."""
        row: Row | None = await self.store.repository.patch(record_id, **fields)
        if row is None:
            raise NotFound(self.noun)
        return row

    async def delete(self, record_id: int) -> None:
        """Raises NotFound."""
        if not await self.store.repository.delete(record_id):
            raise NotFound(self.noun)

    async def delete_many(self, ids: Iterable[int]) -> int:
        """How many of the ids existed."""
        count: int = await self.store.repository.delete_many(list(dict.fromkeys(ids)))
        return count

    async def _highest_id(self) -> int:
        try:
            highest = await self.store.repository.max("id")
        except BadQuery:  # `legacy` takes any value as id; text has no order with numbers
            held = [row["id"] for row in await self.store.repository.find()]
            highest = max((value for value in held if isinstance(value, int | float)), default=0)
        return int(highest) if isinstance(highest, int | float) else 0


def conditions(start: date | None, end: date | None, category: str | None) -> Row:
    """The filters of a query, as the repository takes them; dates are text in the records."""
    given = {
        "date__gte": start and start.isoformat(),
        "date__lte": end and end.isoformat(),
        "category": category,
    }
    return {name: value for name, value in given.items() if value is not None}
