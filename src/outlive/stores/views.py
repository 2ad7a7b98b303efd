"""What is derived from a store's image and follows its changes: secondary indexes, and records' JSON.

`altered(key)` is called where a unit's first change of a record begins, and where a record is changed outside any
unit. A key stays *stale* until it is looked at with no unit on it, so a change that is still open is seen at once and
one that is undone is seen as undone. Everything here holds the units' lock. In `legacy` a mapping or log is bare and
nothing would be noticed, so nothing is derived.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any

from outlive.commit.unit import ABSENT
from outlive.query.evaluate import Peek
from outlive.query.index import Index, Position, Shape
from outlive.query.language import Query
from outlive.query.plans import Proposal, shapes

if TYPE_CHECKING:
    from outlive.stores.store import Store

Key = Hashable
Items = list[tuple[Key, Any]]

SMALL = 2_000  # records that are indexed at once; more are taken up piece by piece
PIECE = 500  # a few milliseconds
FEW = 500  # proposals that are cheap enough, so that no better index is learned
LEARNED = 8  # indexes that a store may learn
ASKED = 3  # queries of a shape before its index is learned
JSON_BYTES = 64 * 2**20  # encoded records that a store keeps
FORMS = 4  # encoders whose texts it keeps
UNUSED = 2_000  # queries to others after which a learned index is dropped


class Views:
    """The indexes and cached JSON of one store."""

    def __init__(self, store: Store, declared: Iterable[Any] = ()) -> None:
        self.store = store
        self.declared = [fields for fields in map(_fields, declared) if fields]
        self.indexes: dict[Shape, Index] = {}
        self.stale: set[Key] = set()
        self.json: dict[Any, dict[Key, bytes]] = {}
        self.json_bytes = 0
        self._asked: dict[Shape, int] = {}
        self._queries = 0

    def altered(self, key: Key) -> None:
        """A record is about to change, has changed, came or went."""
        if self.indexes:
            self.stale.add(key)
        for texts in self.json.values():
            text = texts.pop(key, None)
            if text is not None:
                self.json_bytes -= len(text)

    def reset(self) -> None:
        """Everything may have changed."""
        self.indexes.clear()
        self.stale.clear()
        self._forget_json()

    @property
    def usable(self) -> bool:
        """Whether changes are noticed."""
        return self.store.tracking and self.store.kind != "set"

    # -- candidates --------------------------------------------------------------------------------------------

    def candidates(self, query: Query, peek: Peek[Any]) -> Items | None:
        """Records among which a query's answer is, in the image's order; None: look at all of them."""
        if not self.usable or not (query.filters or query.order):
            return self._first(query) if self.usable and query.limit is not None else None
        with self.store.units.lock:
            self._queries += 1
            found = self._best(query, peek)
            return None if found is None else self._items(found)

    def page(self, query: Query, peek: Peek[Any]) -> Items | None:
        """A query's whole answer, where an index has it in its order and nothing is left to check; else None."""
        if query.limit is None or not query.filters or not self.indexes or not self.usable:
            return None
        with self.store.units.lock:
            if (self.stale and not self._fresh(peek)) or self.stale:
                return None
            wanted = shapes(query)
            proposal = self._proposal(wanted[0], query, peek) if wanted else None
            if proposal is None or not proposal.exact:
                return None
            self._queries += 1
            proposal.index.used_at, proposal.index.upkeep = self._queries, 0
            find = self.store.image_get
            return [(key, find(key)) for key in proposal.first()]

    def _first(self, query: Query) -> Items | None:
        """The first records of the image, where nothing else is asked."""
        need = query.offset + (query.limit or 0)
        with self.store.units.lock:
            return [item for item, _ in zip(self.store.image_items(), range(need), strict=False)]

    def _best(self, query: Query, peek: Peek[Any]) -> Proposal | None:
        wanted = shapes(query, self.declared)
        if not wanted or not self._fresh(peek):
            self._learn(wanted, peek)
            return None
        usable = [p for shape in wanted if (p := self._proposal(shape, query, peek)) is not None]
        best = min(usable, key=lambda p: (not p.early, p.size), default=None)
        if best is None or (not best.early and best.size > FEW):
            made = self._learn(wanted if best is None else wanted[:1], peek)
            if made is not None and (proposal := self._proposal(made, query, peek)) is not None:
                best = proposal
        if best is not None:
            best.index.used_at, best.index.upkeep = self._queries, 0
            if not best.early and best.size > self.store.image_size() // 2:
                return None  # as dear as a look at all of them
        return best

    def _proposal(self, shape: Shape, query: Query, peek: Peek[Any]) -> Proposal | None:
        index = self.indexes.get(shape)
        if index is None or not index.ready:
            return None
        proposal = Proposal(index, query, peek)
        return proposal if proposal.usable else None

    def _items(self, proposal: Proposal) -> Items | None:
        store = self.store
        keys = dict.fromkeys(proposal.keys(store.image_get))
        keys.update(dict.fromkeys(self.stale))
        placed: list[tuple[Position, int, Key, Any]] = []
        for number, key in enumerate(keys):
            record = store.image_get(key)
            if record is not ABSENT:
                position = store.position(key)
                if position is None:
                    return None
                placed.append((position, number, key, record))
        placed.sort(key=lambda each: each[:2])
        return [(key, record) for _, _, key, record in placed]

    # -- JSON --------------------------------------------------------------------------------------------------

    def texts(self, items: Iterable[tuple[Key, Any]], encode: Callable[[Any], bytes], form: Any) -> list[bytes]:
        """Each record's JSON, encoded anew only where it has changed; `form` tells encoders apart."""
        if not self.usable:
            return [encode(record) for _, record in items]
        with self.store.units.lock:
            if form not in self.json and len(self.json) >= FORMS:
                self._forget_json()
            known = self.json.setdefault(form, {})
            return [known.get(key) or self._text(known, key, record, encode) for key, record in items]

    def _text(self, known: dict[Key, bytes], key: Key, record: Any, encode: Callable[[Any], bytes]) -> bytes:
        text = encode(record)
        if key not in self.store.unsettled and self.store.image_get(key) is record:  # else it may change unnoticed
            if self.json_bytes + len(text) > JSON_BYTES:
                for texts in self.json.values():
                    texts.clear()
                self.json_bytes = 0
            known[key] = text
            self.json_bytes += len(text)
        return text

    def _forget_json(self) -> None:
        self.json.clear()
        self.json_bytes = 0

    # -- upkeep ------------------------------------------------------------------------------------------------

    def _find(self, key: Key) -> tuple[Any, Position] | None:
        record = self.store.image_get(key)
        if record is ABSENT:
            return None
        return record, self.store.position(key) or 0

    def _fresh(self, peek: Peek[Any], most: int = SMALL) -> bool:
        """Bring up to `most` changed records up to date; whether none are left. Those in open units stay stale."""
        late = len(self.stale) - most
        for key in list(self.stale)[: most if late > 0 else None]:
            for index in self.indexes.values():
                index.renew(key, self._find(key), peek)
            if key not in self.store.unsettled:
                self.stale.discard(key)
        return late <= 0

    def _learn(self, wanted: list[Shape], peek: Peek[Any]) -> Shape | None:
        """Note that queries look at many records; the shape that has an index now and had none before, if one does."""
        for shape in wanted:
            index = self.indexes.get(shape)
            if index is None:
                declared = any(shape.fields <= fields for fields in self.declared)
                self._asked[shape] = self._asked.get(shape, 0) + 1
                if not declared and (self._asked[shape] < ASKED or self.store.image_size() < FEW or not self._room()):
                    continue
                index = self._add(shape, declared=declared)
            if not index.ready and index.build(self._piece(), self._find, peek):
                return shape
        if len(self._asked) > 100:
            self._asked.clear()
        return None

    def _piece(self) -> int:
        size = self.store.image_size()
        return size + 1 if size <= SMALL else max(PIECE, size // 20)  # little beside the look at all of them

    def _add(self, shape: Shape, *, declared: bool) -> Index:
        index = Index(shape, (key for key, _ in self.store.image_items()), declared=declared)
        index.used_at = self._queries
        self.indexes[shape] = index
        self.stale.update(self.store.unsettled)  # an open unit tells of its first change of a record only
        return index

    def _room(self) -> bool:
        """Whether one more index may be learned; drops one that is out of use if it must."""
        learned = [index for index in self.indexes.values() if not index.declared]
        if len(learned) < LEARNED:
            return True
        idle = min(learned, key=lambda index: index.used_at)
        if self._queries - idle.used_at < UNUSED // 10:
            return False
        del self.indexes[idle.shape]
        return True

    def tend(self) -> bool:
        """One piece of what is to do: changed records, unfinished indexes, those out of use; whether more is left."""
        peek: Callable[[Any, str], Any] = self.store.repository._peek
        with self.store.units.lock:
            if not self.usable:
                return False
            for fields in self.declared:
                shape = Shape(tuple(sorted(fields)))
                if shape not in self.indexes:
                    self._add(shape, declared=True)
            more = not self._fresh(peek, PIECE)
            for index in list(self.indexes.values()):
                if not index.declared and self._idle(index):
                    del self.indexes[index.shape]
                elif not index.ready:
                    return not index.build(PIECE, self._find, peek) or more
            return more

    def _idle(self, index: Index) -> bool:
        return self._queries - index.used_at > UNUSED or index.upkeep > max(10_000, 4 * self.store.image_size())


def _fields(declared: Any) -> frozenset[str]:
    """The fields of a declared index, empty for one that only PostgreSQL has."""
    names = (declared,) if isinstance(declared, str) else declared
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        return frozenset()
    return frozenset(name.removeprefix("-") for name in names)
