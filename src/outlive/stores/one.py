"""A pending answer for one key that travels with others'."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable
from typing import Any

from outlive.postgres.drive import Row, Step
from outlive.stores.group_reads import GroupReads
from outlive.stores.pending import AWAY, Pending

AGAIN: Any = object()  # of a row of which nothing can be made: ask as `step` does


class One(Pending[Any]):
    """What `make` makes of a key's row; None without a row. Where it makes AGAIN of it, a unit has changed something,
    or memory answers, `step` answers."""

    __slots__ = ("_key", "_make", "_reads")

    def __init__(
        self, line: Any, step: Callable[[], Step[Any]], reads: GroupReads, key: Hashable, make: Callable[[Row], Any]
    ) -> None:
        super().__init__(line, step)
        self._reads = reads
        self._key = key
        self._make = make

    def result(self) -> Any:
        """The answer, in blocking code."""
        if not self._line.untouched():
            return super().result()
        began = time.perf_counter()
        try:
            row = self._reads.row(self._key)
        except AWAY as away:
            self._must_not_answer(away)
            return super().result()
        self._line.observe_query(time.perf_counter() - began)
        made = None if row is None else self._make(row)
        return super().result() if made is AGAIN else made

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._line.untouched():
            return (yield from super().__await__())
        began = time.perf_counter()
        try:
            row = yield from self._reads.soon(self._key)
        except AWAY as away:
            self._must_not_answer(away)
            return (yield from super().__await__())
        self._line.observe_query(time.perf_counter() - began)
        made = None if row is None else self._make(row)
        return (yield from super().__await__()) if made is AGAIN else made
