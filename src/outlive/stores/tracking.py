"""In-place changes, noticed where they happen.

Every mutable part of a record knows the places it is reachable from. Nested dicts, lists and sets become
`TrackedDict`, `TrackedList` and `TrackedSet` when they enter a store; instances stay what they are, their *class* gets
a `__setattr__` that reports, and the places of an instance stand in one table by its id for as long as it is stored.
Places hold the store and the key, never the record: a deleted record has no cycle that keeps it alive.

An object that enters twice gives one tracked object. The original of a copied builtin stays known (`Aliases`) until
nobody else refers to it, so that `d = {}; db[k] = d; d["x"] = 1` is covered.
"""

from __future__ import annotations

import datetime as dt
import sys
import threading
import uuid
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from decimal import Decimal
from itertools import repeat
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from outlive.records import inline

Key = Hashable


class Owner(Protocol):
    """The store that a place belongs to."""

    tracking: bool

    @property
    def strict(self) -> bool: ...

    def mutation(self) -> Mutation: ...

    def touch(self, key: Key, field: str | None) -> None: ...

    def screen(self, key: Key, field: Any, value: Any, top: bool) -> None: ...


class Mutation(Protocol):
    """A context manager around one in-place operation: joins or makes a unit, and waits if it made one."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None: ...


class Place(NamedTuple):
    """Where a tracked object is reachable from: store, key, and the record's field (None: it is the record)."""

    store: Owner
    key: Key
    field: str | None

    def same(self, other: Place) -> bool:
        return self.store is other.store and self.field == other.field and self.key == other.key


Places = tuple[Place, ...]
instances: dict[int, Places] = {}


def merged(old: Places, new: Places) -> Places:
    """Both, each place once."""
    if not old:
        return new
    return old + tuple(place for place in new if not any(place.same(known) for known in old))


class _Quiet:
    """Stands in for a mutation that concerns no store."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None


quiet = _Quiet()


class _Changing:
    """Reports each place before an operation and lets its store end the unit, if one was made, after it."""

    __slots__ = ("places", "stack", "top")

    def __init__(self, places: Places, top: object = None) -> None:
        self.places = places
        self.top = top  # the field of the record, where the object is the record itself
        self.stack: list[Mutation] = []

    def __enter__(self) -> None:
        try:
            for place in self.places:
                mutation = place.store.mutation()
                mutation.__enter__()
                self.stack.append(mutation)
                place.store.touch(place.key, self.top if place.field is None else place.field)  # type: ignore[arg-type]
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(self, kind: Any, error: Any, tb: Any) -> None:
        while self.stack:
            self.stack.pop().__exit__(kind, error, tb)


def changing(places: Places, top: object = None) -> Any:
    """The context for one in-place operation on an object with these places."""
    live = tuple(place for place in places if place.store.tracking)
    return _Changing(live, top) if live else quiet


def screen(places: Places, value: Any, top: object = None) -> None:
    """Raises Unholdable, before anything happens, if a store that has to refuse it cannot hold the value."""
    for place in places:
        if place.store.strict:
            at_top = place.field is None and top is not None
            place.store.screen(place.key, top if at_top else place.field, value, at_top)


class TrackedDict(dict[Any, Any]):
    """A dict inside a stored record, or a stored dict itself."""

    __slots__ = ("_places",)
    _places: Places

    def __setitem__(self, key: Any, value: Any) -> None:
        screen(self._places, value, key)
        with changing(self._places, key):
            dict.__setitem__(self, key, adopt(value, inner(self, key)))

    def __delitem__(self, key: Any) -> None:
        with changing(self._places, key):
            dict.__delitem__(self, key)

    def pop(self, key: Any, *default: Any) -> Any:
        with changing(self._places, key):
            return dict.pop(self, key, *default)

    def popitem(self) -> tuple[Any, Any]:
        with changing(self._places, next(reversed(self), None)):
            return dict.popitem(self)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return dict.__getitem__(self, key)

    def clear(self) -> None:
        with _Each(self, tuple(self)):
            dict.clear(self)

    def update(self, *args: Any, **kwargs: Any) -> None:
        fresh = dict(*args, **kwargs)
        for key, value in fresh.items():
            screen(self._places, value, key)
        with _Each(self, tuple(fresh)):
            for key, value in fresh.items():
                dict.__setitem__(self, key, adopt(value, inner(self, key)))

    def __ior__(self, other: Any) -> TrackedDict:  # type: ignore[misc]
        self.update(other)
        return self

    def copy(self) -> dict[Any, Any]:
        return dict(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (dict, (dict(self),))


class TrackedList(list[Any]):
    """A list inside a stored record, or a stored list itself."""

    __slots__ = ("_places",)
    _places: Places

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            value = list(value)
        screen(self._places, value)
        with changing(self._places):
            if isinstance(index, slice):
                value = [adopt(item, self._places) for item in value]
            else:
                value = adopt(value, self._places)
            list.__setitem__(self, index, value)

    def append(self, value: Any) -> None:
        screen(self._places, value)
        with changing(self._places):
            list.append(self, adopt(value, self._places))

    def insert(self, index: Any, value: Any) -> None:
        screen(self._places, value)
        with changing(self._places):
            list.insert(self, index, adopt(value, self._places))

    def extend(self, values: Iterable[Any]) -> None:
        values = list(values)
        screen(self._places, values)
        with changing(self._places):
            list.extend(self, [adopt(value, self._places) for value in values])

    def __iadd__(self, values: Iterable[Any]) -> TrackedList:  # type: ignore[misc]
        self.extend(values)
        return self

    def copy(self) -> list[Any]:
        return list(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (list, (list(self),))


class TrackedSet(set[Any]):
    """A set inside a stored record, or a stored set itself."""

    __slots__ = ("_places",)
    _places: Places

    def copy(self) -> set[Any]:
        return set(self)

    def __repr__(self) -> str:
        return repr(set(self))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (set, (set(self),))


def _reporting(kind: type, name: str) -> None:
    plain = getattr(kind.__mro__[1], name)
    enters = name in ("add", "update", "symmetric_difference_update", "__ior__", "__ixor__")

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if enters and args:
            screen(self._places, args[0])
        with changing(self._places):
            return plain(self, *args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"{kind.__name__}.{name}"
    setattr(kind, name, method)


for _name in ("__delitem__", "pop", "remove", "clear", "sort", "reverse", "__imul__"):
    _reporting(TrackedList, _name)
for _name in (
    "add", "discard", "remove", "pop", "clear", "update", "difference_update", "intersection_update",
    "symmetric_difference_update", "__ior__", "__iand__", "__isub__", "__ixor__",
):  # fmt: skip
    _reporting(TrackedSet, _name)


class _Each:
    """`changing` for several top-level fields of one dict."""

    def __init__(self, owner: TrackedDict, keys: tuple[Any, ...]) -> None:
        self.contexts = [changing(owner._places, key) for key in keys] or [changing(owner._places)]
        self.stack = ExitStack()

    def __enter__(self) -> None:
        with ExitStack() as stack:
            for context in self.contexts:
                stack.enter_context(context)
            self.stack = stack.pop_all()

    def __exit__(self, *exc: Any) -> None:
        self.stack.__exit__(*exc)


def inner(owner: TrackedDict, key: Any) -> Places:
    """Places of a value under `key`: the field itself where the dict is the record, the dict's own places elsewhere."""
    return tuple(Place(p.store, p.key, key) if p.field is None else p for p in owner._places)


TRACKED: dict[type, Any] = {dict: TrackedDict, list: TrackedList, set: TrackedSet}


class Aliases:
    """Originals of copied builtins that somebody may still change, with what they held at the last look."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Any, Any]] = {}
        self._fresh: list[int] = []
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, original: Any) -> Any:
        """The tracked object made from `original`, or None."""
        entry = self._known.get(id(original))
        return entry[1] if entry is not None else None

    def add(self, original: Any, tracked: Any) -> None:
        with self._lock:
            self._known[id(original)] = (original, tracked, original.copy())
            self._fresh.append(id(original))

    def end_unit(self) -> None:
        """Carries over what inserters changed through their own names, and forgets the names that are gone."""
        if self._fresh:
            with self._lock:
                fresh, self._fresh = self._fresh, []
                self.catch_up(fresh)
                self.prune(fresh)

    def catch_up(self, ids: Iterable[int] | None = None) -> int:
        """Carries changes of originals over to their tracked objects. Returns how many originals had changed."""
        with self._lock:
            found = 0
            for number in list(self._known) if ids is None else ids:
                entry = self._known.get(number)
                if entry is not None and not _unchanged(entry[0], entry[2]):
                    found += 1
                    self._known[number] = (entry[0], entry[1], entry[0].copy())
                    _carry(entry[0], entry[1], entry[2])
            return found

    def prune(self, ids: Iterable[int] | None = None) -> None:
        """Forgets originals that nobody but this table can reach."""
        with self._lock:
            numbers = [n for n in dict.fromkeys(list(self._known) if ids is None else ids) if n in self._known]
            inside: dict[int, int] = {}
            for number in numbers:
                for part in (*_values(self._known[number][0]), *_values(self._known[number][2])):
                    inside[id(part)] = inside.get(id(part), 0) + 1
            part = None
            # each original is held by its entry and by the argument of getrefcount
            reached = [n for n in numbers if sys.getrefcount(self._known[n][0]) > 2 + inside.get(n, 0)]
            alive = set(reached)
            while reached:
                for part in _values(self._known[reached.pop()][0]):
                    if id(part) in self._known and id(part) not in alive:
                        alive.add(id(part))
                        reached.append(id(part))
            for number in numbers:
                if number not in alive:
                    del self._known[number]


def _values(container: Any) -> Iterator[Any]:
    return iter(container.values()) if isinstance(container, dict) else iter(container)


def _unchanged(now: Any, then: Any) -> bool:
    if len(now) != len(then):
        return False
    if isinstance(now, dict):
        return all(a is b for a, b in zip(now, then, strict=True)) and all(
            a is b for a, b in zip(now.values(), then.values(), strict=True)
        )
    if isinstance(now, list):
        return all(a is b for a, b in zip(now, then, strict=True))
    return bool(now == then)


def _carry(now: Any, tracked: Any, then: Any) -> None:
    if isinstance(now, dict):
        for key in [key for key in then if key not in now]:
            tracked.pop(key, None)
        changed = {key: value for key, value in now.items() if key not in then or then[key] is not value}
        tracked.update(changed)
    elif isinstance(now, list):
        tracked[:] = now
    else:
        tracked |= now - then
        tracked -= then - now


aliases = Aliases()


def adopt(value: Any, places: Places, *, bare: bool = False) -> Any:
    """`value`, or the tracked object that stands for it in a store, reachable from `places`; `bare`: it holds nothing
    that could change in place."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind in _classes:
        if bare and id(value) not in instances:
            instances[id(value)] = places
        else:
            _adopt_instance(value, places)
        return value
    if kind in (TrackedDict, TrackedList, TrackedSet):
        return _extend(value, places)
    tracked_kind = TRACKED.get(kind)
    if tracked_kind is not None:
        known = aliases.get(value)
        return _extend(known, places) if known is not None else _track(value, tracked_kind, places)
    if kind in (tuple, frozenset):
        return _adopt_immutable(value, places)
    return value


def _track(original: Any, kind: Any, places: Places) -> Any:
    tracked = kind()
    tracked._places = places
    aliases.add(original, tracked)  # before descending: a structure may contain itself
    if kind is TrackedDict:
        for key, value in original.items():
            adopted = value if type(value) in _ATOMS else adopt(value, inner(tracked, key))
            dict.__setitem__(tracked, key, adopted)
    elif kind is TrackedList:
        list.extend(tracked, [adopt(item, places) for item in original])
    else:
        set.update(tracked, original)
    return tracked


def _extend(tracked: Any, places: Places) -> Any:
    both = merged(tracked._places, places)
    if len(both) != len(tracked._places):
        tracked._places = both
        if type(tracked) is TrackedDict:
            for key, value in list(tracked.items()):
                dict.__setitem__(tracked, key, adopt(value, inner(tracked, key)))
        elif type(tracked) is TrackedList:
            for index, value in enumerate(list(tracked)):
                list.__setitem__(tracked, index, adopt(value, places))
    return tracked


def _adopt_immutable(value: Any, places: Places) -> Any:
    parts = [adopt(item, places) for item in value]
    if all(a is b for a, b in zip(parts, value, strict=True)):
        return value
    return type(value)(parts)


def adopt_all(items: Iterable[tuple[Key, Any]], store: Owner) -> list[tuple[Key, Any]]:
    """As `adopt`, for many new records by their keys."""
    return [(key, adopt(record, (Place(store, key, None),))) for key, record in items]


def adopt_plain(keys: Sequence[Key], records: Sequence[Any], store: Owner) -> None:
    """The same for records of instrumented classes that hold nothing to track."""
    places = map(tuple.__new__, repeat(Place), zip(repeat(store), keys, repeat(None), strict=False))
    instances.update(zip(map(id, records), zip(places, strict=True), strict=True))


def instrumented(kind: type) -> bool:
    """Whether writes to attributes of the class report."""
    return kind in _classes


def _adopt_instance(value: Any, places: Places) -> None:
    known = instances.get(id(value))
    both = places if known is None else merged(known, places)
    if known is not None and len(both) == len(known):
        return
    instances[id(value)] = both
    for name, part in _classes[type(value)](value):
        inside = tuple(Place(p.store, p.key, name) if p.field is None else p for p in both)
        adopted = adopt(part, inside)
        if adopted is not part:
            set_raw(value, name, adopted)


def release_all(items: Iterable[tuple[Key, Any]], store: Owner) -> None:
    """As `release`, for many records by their keys."""
    for key, record in items:
        places = instances.get(id(record))
        if places is not None and len(places) == 1 and type(record) in _classes and not _parts(record):
            if places[0].store is store and places[0].key == key:
                del instances[id(record)]
        else:
            release(record, store, key)


def forget(store: Owner) -> None:
    """Forgets all places in one store that tracks no more: its records come and go unseen from now on, and a new object
    that gets the address of one that is gone must not be taken for it."""
    for address, places in list(instances.items()):
        left = tuple(place for place in places if place.store is not store)
        if len(left) == len(places):
            continue
        if left:
            instances[address] = left
        else:
            instances.pop(address, None)


def release(value: Any, store: Owner, key: Key) -> None:
    """Forgets the places of one record; what is stored elsewhere too keeps its other places."""
    kind = type(value)
    if kind in (TrackedDict, TrackedList, TrackedSet):
        left = tuple(p for p in value._places if not (p.store is store and p.key == key))
        if len(left) != len(value._places):
            value._places = left
            for part in _values(value):
                release(part, store, key)
    elif kind in _classes and id(value) in instances:
        known = instances[id(value)]
        left = tuple(p for p in known if not (p.store is store and p.key == key))
        if len(left) == len(known):
            return
        if left:
            instances[id(value)] = left
        else:
            del instances[id(value)]
        for _, part in _classes[kind](value):
            release(part, store, key)
    elif kind in (tuple, frozenset):
        for part in value:
            release(part, store, key)


_ATOMS = frozenset(
    {
        str, int, float, bool, type(None), bytes, complex, Decimal, uuid.UUID, dt.date, dt.datetime, dt.time,
        dt.timedelta,
    }
)  # fmt: skip
_classes: dict[type, Callable[[Any], list[tuple[str, Any]]]] = {}


def _parts(value: Any) -> list[tuple[str, Any]]:
    """Attributes that may hold something to track."""
    inside = inline.held(value)
    if inside is not None and _ATOMS.issuperset(map(type, inside)):
        return []
    held = getattr(value, "__dict__", None)
    parts = []
    if held and not _ATOMS.issuperset(map(type, held.values())):
        parts = [(name, part) for name, part in held.items() if type(part) not in _ATOMS]
    slots = _slot_names.get(type(value))
    for name in _slots(type(value)) if slots is None else slots:
        part = getattr(value, name, None)
        if type(part) not in _ATOMS:
            parts.append((name, part))
    return parts


_slot_names: dict[type, tuple[str, ...]] = {}


def _slots(cls: type) -> tuple[str, ...]:
    if cls not in _slot_names:
        fields = getattr(cls, "__struct_fields__", ())
        declared = [c.__dict__.get("__slots__", ()) for c in cls.__mro__]
        names = [n for slots in declared for n in ([slots] if isinstance(slots, str) else slots)]
        _slot_names[cls] = tuple(fields) + tuple(n for n in names if not n.startswith("__") and n not in fields)
    return _slot_names[cls]


def set_raw(value: Any, name: str, part: Any) -> None:
    """Sets an attribute without reporting it."""
    try:
        object.__setattr__(value, name, part)
    except (TypeError, AttributeError):  # a class that keeps its attributes in C
        getattr(type(value), name).__set__(value, part)


def instrument(cls: type) -> None:
    """Makes attribute writes of `cls` report; instances keep their class, unstored ones notice nothing."""
    if cls in _classes or cls.__module__ == "builtins":
        return
    _classes[cls] = _parts
    plain_set: Any = cls.__setattr__
    plain_del: Any = cls.__delattr__

    def __setattr__(self: Any, name: str, value: Any) -> None:
        places = instances.get(id(self))
        if places is None:
            plain_set(self, name, value)
            return
        screen(places, value, name)
        with changing(places, name):
            plain_set(self, name, value)
            inside = tuple(Place(p.store, p.key, name) if p.field is None else p for p in places)
            stored = getattr(self, name, value)
            adopted = adopt(stored, inside)
            if adopted is not stored:
                set_raw(self, name, adopted)

    def __delattr__(self: Any, name: str) -> None:
        with changing(instances.get(id(self), ()), name):
            plain_del(self, name)
            getattr(self, "__dict__", None)  # from now on it has one, which tells what the class has and it has not

    cls.__setattr__ = __setattr__  # type: ignore[assignment,method-assign]
    cls.__delattr__ = __delattr__  # type: ignore[assignment,method-assign]
