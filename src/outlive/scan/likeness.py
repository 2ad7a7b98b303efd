"""What a candidate resembles: links, callables, caches and metrics are told from records by what is put in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from outlive.scan.annotations import element_of, parts
from outlive.scan.catalogue import Entry
from outlive.scan.entries import OUTSIDE, TEST_FILES, serving
from outlive.scan.hints import (
    ALWAYS_REGISTER,
    AMBIGUOUS,
    CACHE_WORDS,
    CALLABLE_TYPES,
    COUNT_WORDS,
    EXAMPLE_PATHS,
    INNER,
    LINK_CALLS,
    LINK_KEYS,
    LINK_TYPES,
    LINK_WORDS,
    LIVE_FIELDS,
    LIVE_MODULES,
    LIVE_OWNERS,
    METRIC_WORDS,
    OWN_DOORS,
    PLAIN,
    REGISTER_WORDS,
    TRAFFIC_WORDS,
)
from outlive.scan.longevity import STORAGE_WORDS, Longevity
from outlive.scan.resolve import At, Resolver
from outlive.scan.slots import Slot
from outlive.scan.summary import Call, Summary, Val
from outlive.scan.uses import INSERTS, Use
from outlive.scan.words import words

DATABASE_READS = frozenset({"all", "fetchall", "find", "scalars", "query", "to_list"})
WEAK = ("WeakSet", "WeakValueDictionary", "WeakKeyDictionary")


@dataclass
class Verdict:
    """The class of one slot with its reasons; `report` is False where nothing is to be said at all."""

    cls: str
    reasons: list[str] = field(default_factory=list)
    report: bool = True


@dataclass
class World:
    """All that is known when candidates are judged."""

    files: dict[str, Summary]
    resolver: Resolver
    longevity: Longevity
    reached: dict[At, tuple[Entry, ...]]
    uses: dict[tuple[str, str, str], list[Use]]
    service: dict[str, str]
    served: set[str] = field(default_factory=set)
    mirrored: dict[tuple[str, str, str], list[tuple[str, str, str]]] = field(default_factory=dict)
    saved: dict[tuple[str, str, str], str] = field(default_factory=dict)
    doors: dict[At, Entry] = field(default_factory=dict)
    started: set[At] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    top: str = ""
    applications: set[str] = field(default_factory=set)
    frameworks: set[str] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)

    def entries(self, at: At) -> tuple[Entry, ...]:
        """The doors that lead to a scope."""
        return self.reached.get(at, ())


class Likeness:
    """The evidence about one candidate, and what it looks like."""

    def __init__(self, world: World, slot: Slot, uses: list[Use]) -> None:
        self.world = world
        self.slot = slot
        # what a test does to a container says nothing of what runs
        self.uses = uses if _of_tests(slot.path) else [use for use in uses if not _of_tests(use.at[0])]
        uses = self.uses
        self.writes = [use for use in uses if use.write and not self._declares(use)]
        self.reads = [use for use in uses if not use.write]
        self.later = [use for use in self.writes if not self._imports(use)]
        self.later = [use for use in self.later if use.how != "change record" or not self._link(use.at, use.value)]
        if not empty(slot):
            self.later = [use for use in self.later if use.direct or not use.depth]
        self.name_words = set(words(slot.name)) | (
            set(words(slot.symbol)) if slot.kind in {"class", "instance"} else set()
        )
        self.own_words = set(words(slot.name))

    def _declares(self, use: Use) -> bool:
        """The assignment that makes the container, or the constructor that sets it anew."""
        if use.how != "rebind":
            return False
        if use.at == self.slot.at and self.slot.kind != "instance":
            return True
        method = use.at[1].rsplit(".", 1)[-1]
        return self.slot.kind == "instance" and method in {"__init__", "__post_init__", "__new__"}

    def _imports(self, use: Use) -> bool:
        scope = self.world.files[use.at[0]].scopes[use.at[1]]
        method = use.at[1].rsplit(".", 1)[-1]
        if self.slot.kind == "instance" and method in {"__init__", "__post_init__"} and use.at == self.slot.at:
            return True
        return scope.kind in {"module", "class"}

    def _held(self) -> str:
        return element_of(self.slot.annotation) or ""

    def _inserted(self) -> list[tuple[At, Val]]:
        return [
            (use.at, use.value) for use in self.writes if use.how in INSERTS and use.value[0] != "o" and use.depth == 0
        ]

    def _links(self) -> Verdict | None:
        held = self._held()
        if held and self._of_link_type(held) and not self._scanned_record():
            return Verdict("connection-state", [f"holds {held}, which lives in this process only"])
        stated = parts(self.slot.annotation)[1] if self.slot.annotation else ()
        if len(stated) == 2 and LINK_KEYS.search(stated[0]):
            return Verdict("connection-state", [f"keyed by {stated[0]}, which lives in this process only"])
        if self.slot.container in WEAK or any(each in self.slot.annotation for each in WEAK):
            return Verdict("connection-state", ["weak references to live objects"])
        if self.slot.records and all(self._alive(record) for record in self.slot.records):
            return Verdict("connection-state", ["holds objects that each stand for an open connection or a process"])
        owner = words(self.slot.key[1])[-1:] if self.slot.kind == "instance" else ()
        if owner in {("lock",), ("semaphore",), ("connection",), ("transport",), ("socket",)}:
            return Verdict("connection-state", [f"part of a {owner[0]}"])
        inserted = self._inserted()
        if all(value[0] == "k" and not value[2] for _, value in inserted):
            # one set or list for each key: what counts is put into those
            inserted = [
                (use.at, use.value) for use in self.writes if use.how in {"add", "append"} and use.depth == 1
            ] or inserted
        links = [value for at, value in inserted if self._link(at, value)]
        if links and len(links) * 2 >= len(inserted):
            return Verdict(
                "connection-state", ["holds sockets, tasks, locks or queues, which live in this process only"]
            )
        keys = [use for use in self.writes if use.how == "set item" and self._link(use.at, use.key)]
        if keys and len(keys) == len([use for use in self.writes if use.how == "set item"]):
            return Verdict("connection-state", ["keyed by live connections"])
        if (
            self.own_words & LINK_WORDS
            and not held
            and not self._plain_records()
            and not any(value[0] == "k" and value[1] == "dict" and value[2] for _, value in inserted)
            and not (inserted and all(value[0] == "p" and value[1].endswith(".id") for _, value in inserted))
        ):
            return Verdict(
                "connection-state", [f"named after live things: {', '.join(sorted(self.own_words & LINK_WORDS))}"]
            )
        return None

    def _alive(self, record: At) -> bool:
        """Whether a class of the tree has a socket, process or peer, and is named after that or keeps no data."""
        own = [record, *self.world.resolver.bases(record)[0]]
        names = {
            bind.target.removeprefix("self.")
            for at in own
            for qual in (at[1], f"{at[1]}.__init__")
            if qual in self.world.files[at[0]].scopes
            for bind in self.world.files[at[0]].scopes[qual].binds
        }
        if not names & LIVE_FIELDS or words(record[1])[-1:] in LIVE_OWNERS:
            return bool(names & LIVE_FIELDS)
        return not any((key[0], key[1]) in own and _inserted_into(uses) for key, uses in self.world.uses.items())

    def _of_link_type(self, held: str) -> bool:
        """Whether a type names connections, tasks or locks; a class of this tree that only sounds so does not count."""
        found = (match[0] for match in LINK_TYPES.finditer(held))
        return any(
            not any(ref.kind == "inst" for ref in self.world.resolver.annotated(self.slot.at, name))
            and not (name in AMBIGUOUS and self._imported_elsewhere(name))
            for name in found
        )

    def _imported_elsewhere(self, name: str) -> bool:
        """Whether a type that could be a task or a domain record comes from no library of tasks and sockets."""
        scope = self.world.files[self.slot.path].scopes[""]
        found = [each for each in scope.imports if each.local == name]
        return any(each.level or each.module.split(".")[0] not in LIVE_MODULES for each in found)

    def _plain_records(self) -> bool:
        """Whether it holds objects of classes in this tree that are neither threads nor connections."""
        bases = {each for record in self.slot.records for each in self.world.resolver.bases(record)[1]}
        return bool(self.slot.records) and not any(LINK_TYPES.search(each) for each in bases)

    def _scanned_record(self) -> bool:
        """Whether the code itself defines what is held, and not as something that lives on a wire or a processor."""
        for owner in self.slot.records:
            if re.search(
                r"(Connection|Socket|Protocol|Transport|Process|Thread|Worker|Lock|Queue|Future|Server|Subprocess)$",
                owner[1],
            ):
                return bool(self.world.files[owner[0]].scopes[owner[1]].decorators) or declares_fields(
                    self.world, owner
                )
        return bool(self.slot.records)

    def _link(self, at: At, value: Val) -> bool:
        if value[0] == "c":
            if any(ref.kind == "inst" for ref in self.world.resolver.value(at, value)):
                return False
            if LINK_CALLS.search(value[1]):
                return True
            for ref in self.world.resolver.resolve(at, value[1]):
                if ref.kind == "func":
                    stated = self.world.resolver.scope((ref.key[0], ref.key[1])).returns_annotation
                    return bool(stated and LINK_TYPES.search(stated))
            return False
        if value[0] == "t":
            return any(self._link(at, each) for each in value[1])
        if value[0] == "k" and value[1] == "dict":
            return any(name in LIVE_FIELDS and self._link(at, inner) for name, inner, _ in value[4])
        if value[0] != "p":
            return False
        return self._link_name(at, value[1])

    def _link_name(self, at: At, name: str) -> bool:
        scope = self.world.files[at[0]].scopes[at[1]]
        if any(ref.kind == "inst" for ref in self.world.resolver.resolve(at, name)) and name != "self":
            return False
        for param in scope.params:
            if param.name == name and param.annotation:
                return self._of_link_type(param.annotation)
        for bind in scope.binds:
            if bind.target == name and bind.value[0] == "c" and bind.value != ("p", name):
                return self._link(at, bind.value) or bool(LINK_TYPES.search(bind.annotation))
        owner = self.world.resolver.owner(*at)
        if name == "self" and owner is not None:
            return any(
                re.search(r"WebSocket|Socket|Protocol|Handler", each) for each in self.world.resolver.bases(owner)[1]
            )
        bases = self.world.resolver.bases(owner)[1] if owner is not None else ()
        if name in {"request", "client"} and any(each.endswith("Server") for each in bases):
            return True
        return name in {
            "ws",
            "websocket",
            "sock",
            "socket",
            "conn",
            "connection",
            "writer",
            "client_socket",
            "request.sid",
            "sid",
        }

    def _callables(self) -> Verdict | None:
        held = self._held()
        stated = self.slot.annotation
        code = bool(held and CALLABLE_TYPES.search(held)) and not self._kept_commands(held)
        if code or (stated and re.search(r"\bCallable\b|\b[Tt]ype\[", stated)):
            return Verdict("registry", [f"holds {held or stated}: functions or classes, registered again at start"])
        inserted = self._inserted()
        found = [value for at, value in inserted if self._callable(at, value)]
        if found and len(found) * 2 >= len(inserted):
            return Verdict("registry", ["functions or classes are registered in it"])
        fills = [use for use in self.later if use.how in INSERTS]
        if fills and all(self._by_decorator(use) for use in fills):
            return Verdict("registry", ["a decorator fills it with what it decorates"])
        if self.own_words & ALWAYS_REGISTER:
            return Verdict("registry", ["named a registry of code"])
        if self.own_words & REGISTER_WORDS and not any(serving(self.world.entries(use.at)) for use in self.later):
            return Verdict(
                "registry",
                [f"named a registry ({', '.join(sorted(self.own_words & REGISTER_WORDS))}), not written while serving"],
            )
        return None

    def _put_from_outside(self) -> bool:
        """Whether requests or messages of somebody else put in what they bring."""
        return any(
            each.kind in OUTSIDE and each.framework not in INNER | OWN_DOORS
            for use in self.later
            if use.how in INSERTS
            for each in self.world.entries(use.at)
        )

    def _kept_commands(self, held: str) -> bool:
        """Whether `Command` is a record here: a storage makes its objects itself, and nobody calls them."""
        inner = [f"{record[1]}.__call__" in self.world.files[record[0]].scopes for record in self.slot.records]
        return held == "Command" and bool(set(words(self.slot.key[1])) & STORAGE_WORDS) and inner == [False]

    def _by_decorator(self, use: Use) -> bool:
        """Whether an inner function puts in what it makes of the function that it is given."""
        file = self.world.files[use.at[0]]
        scope = file.scopes[use.at[1]]
        if not scope.parent or file.scopes[scope.parent].kind != "function":
            return False
        made = {*names_in(use.value), *names_in(use.key)}
        return any(one.name in made and self._callable(use.at, ("p", one.name)) for one in scope.params)

    def _callable(self, at: At, value: Val) -> bool:
        if value[0] == "f":
            return True
        if value[0] == "t" or (value[0] == "k" and value[1] in {"list", "set"}):
            inner = value[1] if value[0] == "t" else [each for _, each, _ in value[4]]
            return any(self._callable(at, each) for each in inner)
        if value[0] != "p":
            return False
        refs = self.world.resolver.value(at, value)
        if any(ref.kind in {"func", "class"} for ref in refs):
            return True
        scope = self.world.files[at[0]].scopes[at[1]]
        for param in scope.params:
            if param.name == value[1]:
                if param.annotation:
                    return bool(CALLABLE_TYPES.search(param.annotation)) or param.annotation in {
                        "type",
                        "F",
                        "T",
                        "Type",
                    }
                return param.name in {
                    "func",
                    "fn",
                    "f",
                    "function",
                    "method",
                    "cls",
                    "klass",
                    "callback",
                    "handler",
                    "cb",
                    "factory",
                    "callable",
                    "hook",
                }
        return False

    def _cache(self) -> Verdict | None:
        if self.slot.container in {"TTLCache", "LRUCache", "LFUCache"}:
            return Verdict("cache", [f"{self.slot.container}: entries are dropped and made again"])
        derived = self._recomputed()
        named = self.own_words & CACHE_WORDS or (
            self.name_words & CACHE_WORDS and self.slot.kind in {"class", "instance"}
        )
        owner = set(words(self.slot.key[1])) if self.slot.kind in {"class", "instance"} else set()
        if named and (derived or owner & CACHE_WORDS or not self._domain()):
            word = min(self.name_words & CACHE_WORDS)
            return Verdict("cache", [f"named a {word}", *derived])
        if derived and not self._edited():
            return Verdict("cache", derived)
        if self._of_database():
            return Verdict("cache", ["filled from a database, and each change is written through to it"])
        return None

    def _of_database(self) -> bool:
        """Whether one function fills it with what it reads from a database, and all others commit what they put in."""
        filled = [use for use in self.writes if use.how in INSERTS]
        called = [{each.path.rsplit(".", 1)[-1] for each in self._calls(use)} for use in filled]
        read = [names for names in called if names & DATABASE_READS and "commit" not in names]
        return (
            bool(read) and len(read) < len(filled) and all("commit" in names for names in called if names not in read)
        )

    def _calls(self, use: Use) -> list[Call]:
        return self.world.files[use.at[0]].scopes[use.at[1]].calls

    def _recomputed(self) -> list[str]:
        """Reasons to take it for a cache by what writers do: answer from it first, else compute and keep."""
        inserts = [
            use for use in self.later if use.how in {"set item", "setdefault", "rebind", "update"} and use.depth == 0
        ]
        if not inserts:
            return []
        found = [use for use in inserts if self._get_or_compute(use)]
        if found and len(found) * 2 >= len(inserts):
            function = found[0].at[1]
            return [f"{function} answers from it, or computes and keeps"]
        return []

    def _get_or_compute(self, use: Use) -> bool:
        scope = self.world.files[use.at[0]].scopes[use.at[1]]
        if use.value[0] in {"l", "k", "n"}:
            return False
        before = [each for each in self.reads if each.at == use.at and each.line <= use.line]
        if not before:
            return False
        early = any(line < use.line and self._answers(use.at, value) for value, line in scope.returns)
        late = any(line >= use.line and self._answers(use.at, value) for value, line in scope.returns)
        checked = any(each.how in {"contains", "get"} for each in before) or any(each.how == "read" for each in before)
        made = self._computed(use)
        return made and (early or (late and checked and not self._creates(use)))

    def _answers(self, at: At, value: Val) -> bool:
        return any(
            ref.kind == "slot" and tuple(ref.key) == self.slot.key for ref in self.world.resolver.value(at, value)
        )

    def _computed(self, use: Use) -> bool:
        """Whether what is kept comes from a call that is not simply a new record."""
        value = use.value
        if value[0] == "b" and self.slot.name in {part for name in calls_in(value) for part in name.split(".")}:
            return False
        if value[0] == "p":
            scope = self.world.files[use.at[0]].scopes[use.at[1]]
            found = [bind.value for bind in scope.binds if bind.target == value[1]]
            if any(each[0] == "c" and not self._creates_value(use.at, each) for each in found):
                return True
            return any(each[0] in {"k", "b", "d"} and each[-1] != () and each[0] != "k" for each in found)
        if value[0] == "t":
            return any(each[0] == "c" for each in value[1])
        return value[0] in {"c", "b"} and not self._creates(use)

    def _creates(self, use: Use) -> bool:
        return self._creates_value(use.at, use.value)

    def _creates_value(self, at: At, value: Val) -> bool:
        if value[0] != "c":
            return False
        refs = self.world.resolver.resolve(at, value[1])
        name = value[1].rsplit(".", 1)[-1]
        return (
            name == "__new__" or any(ref.kind == "class" for ref in refs) or (name[:1].isupper() and not name.isupper())
        )

    def _edited(self) -> bool:
        """Whether code changes single records, which nobody does to a cache."""
        return any(
            use.depth and use.how in {"set item", "change record", "augment item", "append", "augment"}
            for use in self.later
        )

    def _domain(self) -> bool:
        """A container named cache that is the only copy: records are made for it and changed in it."""
        if self._edited() and any(self._creates(use) or use.value[0] == "k" for use in self.later):
            return True
        inserts = [use for use in self.later if use.how in {"set item", "append", "add"} and use.depth == 0]
        reads = {use.at for use in self.reads}
        writers = {use.at for use in inserts}
        if not inserts or not all(use.value[0] in {"p", "k"} or self._creates(use) for use in inserts):
            return False
        doors = [entry for at in writers for entry in self.world.entries(at) if entry.kind in {"http", "bot"}]
        changing = [entry for entry in doors if entry.name.split(" ")[0] in {"POST", "PUT", "PATCH"}]
        return bool(changing) and not (reads & writers)

    def _metrics(self) -> Verdict | None:
        owner = words(self.slot.key[1]) if self.slot.kind == "instance" else ()
        if set(owner) & STORAGE_WORDS and self._puts_and_gets():
            return None
        named = self.own_words & METRIC_WORDS
        counts = [use for use in self.later if use.how in {"augment item", "augment"}]
        plain = self.slot.container in PLAIN
        if named and (counts or not self._edited()) and not self._made_records():
            return Verdict("metrics", [f"observations by name: {', '.join(sorted(named))}"])
        if (
            counts
            and len(counts) == len(self.later)
            and self.own_words & COUNT_WORDS
            and self.own_words & TRAFFIC_WORDS
        ):
            return Verdict("metrics", ["counts of requests, calls or errors"])
        if (
            (
                plain
                and counts
                and len(counts) == len(self.later)
                and self.own_words & {"count", "requests", "total", "processed", "errors", "calls", "counter"}
            )
            and not self._as_id()
            and self.own_words
            & {
                "request",
                "requests",
                "processed",
                "errors",
                "error",
                "calls",
                "messages",
                "events",
            }
        ):
            return Verdict("metrics", ["a plain count of observations"])
        return None

    def _made_records(self) -> bool:
        return any(value[0] == "k" and value[1] == "dict" and value[2] > 2 for _, value in self._inserted())

    def _as_id(self) -> bool:
        return counter_used(self.world, self.slot, self.later)

    def _puts_and_gets(self, *, anywhere: bool = False) -> bool:
        """Whether public methods of the class put in what they are given, and others look it up."""
        if EXAMPLE_PATHS.search(self.slot.path) or self.slot.container in PLAIN:
            return False
        prefix = f"{self.slot.key[1]}."
        puts = {
            use.at
            for use in self.later
            if self._puts(use) and self._given(use, anywhere=anywhere) and (anywhere or use.at[1].startswith(prefix))
        }
        gets = {use.at for use in self.reads if use.at not in puts or use.how in {"get", "contains"}}
        stores = set(words(self.slot.key[1])) & STORAGE_WORDS
        return bool(puts) and bool(gets or stores)

    def _puts(self, use: Use) -> bool:
        """Whether something new comes in: an insertion, or a change of a record that a defaultdict makes by itself."""
        return use.how in INSERTS or (self.slot.container == "defaultdict" and use.how == "change record")

    def _given(self, use: Use, *, anywhere: bool = False) -> bool:
        """Whether a public method writes what its caller gave it, or a record that it makes of that."""
        scope = self.world.files[use.at[0]].scopes[use.at[1]]
        registers = set(words(self.slot.key[1])) & {"server", "broker", "daemon", "scheduler", "site", "proxy"}
        whole = use.depth == 0 and (use.value[0] in {"p", "u"} or (use.value[0] == "c" and not self._creates(use)))
        if (scope.name.startswith(("register", "_register", "subscribe", "on_")) and (whole or not anywhere)) or (
            registers and whole and scope.name.startswith(("add_", "_add_"))
        ):
            return False
        given = {param.name.lstrip("*") for param in scope.params} - {"self", "cls"}
        for bind in scope.binds:
            if given & set(names_in(bind.value)) or self._creates_value(use.at, bind.value):
                given.add(bind.target)
        return bool(given & set(names_in(use.value)) or given & set(names_in(use.key)) or self._creates(use))


@cache
def _of_tests(path: str) -> bool:
    return bool(TEST_FILES.search(path))


def _inserted_into(uses: list[Use]) -> bool:
    return any(use.how in INSERTS for use in uses)


def counter_used(world: World, slot: Slot, writes: list[Use]) -> bool:
    """Whether a number is handed out: it is returned, or put into a record, where it is counted up."""
    if slot.container not in {"int", "count"}:
        return False
    if set(words(slot.name)) & {"id", "ids", "next", "counter", "seq", "sequence", "number", "serial", "last"}:
        return any(use.how == "augment" or use.value[0] == "b" for use in writes)
    return False


def declares_fields(world: World, owner: At) -> bool:
    """Whether a class declares its fields: a record, then."""
    return any(
        each.rsplit(".", 1)[-1] in {"BaseModel", "Struct", "TypedDict"} for each in world.resolver.bases(owner)[1]
    )


def empty(slot: Slot) -> bool:
    """Whether a candidate begins empty."""
    return all(value[0] in {"n", "o"} or (value[0] == "k" and not value[2]) for _, value in slot.values)


def items(value: Val) -> list[Val]:
    """The elements of a literal."""
    return [inner for _, inner, _ in value[4]] if value[0] == "k" and len(value) > 4 else []


def calls_in(value: object) -> Iterable[str]:
    """The paths of all calls in a value."""
    if not isinstance(value, tuple):
        return
    if len(value) > 1 and value[0] == "c" and isinstance(value[1], str):
        yield value[1]
    for part in value:
        yield from calls_in(part)


def names_in(value: object) -> Iterable[str]:
    """The first names of all paths in a value."""
    if not isinstance(value, tuple):
        return
    if len(value) > 1 and value[0] in {"p", "e", "d"} and isinstance(value[1], str):
        yield re.split(r"[.\[(]", value[1])[0]
    for part in value:
        yield from names_in(part)
