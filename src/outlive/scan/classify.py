"""What a candidate is, with the reasons: store, cache, connection-state, registry, constant, metrics, leftover..."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from outlive.scan.annotations import element_of, parts
from outlive.scan.catalogue import Entry
from outlive.scan.entries import OUTSIDE, serving
from outlive.scan.longevity import NAMED, STORAGE_WORDS, Longevity
from outlive.scan.resolve import At, Resolver
from outlive.scan.slots import Slot
from outlive.scan.summary import Summary, Val
from outlive.scan.uses import INSERTS, REMOVES, Use
from outlive.scan.words import words

CACHE_WORDS = frozenset(
    {"cache", "caches", "cached", "memo", "memoized", "memoize", "lru", "caching", "precomputed", "prefetched"}
)
METRIC_WORDS = frozenset({"metrics", "metric", "stats", "statistics", "counters", "histogram", "latency", "latencies", "timings", "hits", "misses",
                          "perf", "telemetry", "uptime", "stat"})  # fmt: skip
LINK_WORDS = frozenset({"connections", "connection", "sockets", "websockets", "subscribers", "listeners", "locks", "lock", "semaphores",
                        "futures", "threads", "processes", "timers", "peers", "websocket", "conns", "waiters", "sids", "observers",
                        "mutexes", "workers", "idle", "busy", "running", "streaming", "pipes", "sse", "procs", "greenlets", "coroutines", "streams", "transports"})  # fmt: skip
LINK_TYPES = re.compile(
    r"\b(WebSocket\w*|\w*Connection|\w*Socket|Task|Future|R?Lock|Semaphore|Event|\w*Queue|Thread|Process|Popen|StreamWriter|"
    r"StreamReader|\w*Transport|Client|AsyncClient|ClientSession|VoiceClient|VoiceProtocol|Timer|TimerHandle|Condition|"
    r"Subscription|WebSocketServerProtocol|WebSocketClientProtocol|WebSocketResponse|Executor|Job|SSHClient|Session|"
    r"MemoryObjectSendStream|Server|CancelScope|Barrier|Subprocess|TelegramClient|Channel|socket|AsyncTask|Protocol)\b"
)
LINK_CALLS = re.compile(
    r"(^|\.)(create_task|ensure_future|Lock|RLock|Semaphore|Event|Queue|Future|create_future|Thread|Timer|Popen|Process|"
    r"Condition|call_later|create_subprocess_\w+|open_connection|start_server|WebSocketResponse|accept|connect|ClientSession|"
    r"AsyncClient|SimpleQueue|run_coroutine_threadsafe|BoundedSemaphore|PriorityQueue|LifoQueue|get_running_loop|socket)$"
)
LINK_KEYS = re.compile(r"\b(socket|\w*Socket|StreamWriter|\w*Transport|\w*Connection)$")
CALLABLE_TYPES = re.compile(
    r"\b(Callable|type|Type|Handler|Plugin|Coroutine|Awaitable|Command|ModuleType|Blueprint|Factory)\b"
)
REGISTER_WORDS = frozenset({"registry", "registered", "handlers", "handler", "plugins", "plugin", "hooks", "hook", "callbacks", "callback",
                            "providers", "factories", "methods", "middlewares", "extensions", "routes", "adapters", "converters",
                            "parsers", "serializers", "encoders", "decoders", "backends", "loaders", "validators", "codecs", "cogs"})  # fmt: skip
ALWAYS_REGISTER = frozenset({"plugin", "plugins", "hook", "hooks", "callback", "callbacks", "middleware", "middlewares", "extensions", "handlers",
                             "receivers", "listeners", "registry"})  # fmt: skip
TEST_PATHS = re.compile(
    r"(^|/)(tests?|testing|mocks?|fakes?|fixtures|conftest\.py$|test_[^/]*\.py$|[^/]*_test\.py$|tests\.py$)(/|$)"
)
TEST_CLASS = re.compile(r"^_?(Fake|Mock|Stub|Dummy|Spy|Test[A-Z])|(Mock|Stub|Fake|Double|TestCase|Tests)$")
EPHEMERAL_WORDS = frozenset(
    {
        "warned",
        "deprecated",
        "once",
        "cooldown",
        "cooldowns",
        "throttle",
        "debounce",
        "ratelimit",
        "limiter",
        "ratelimiter",
        "backoff",
        "inflight",
        "dirty",
    }
)
ORM_CALLS = frozenset(
    {
        "commit",
        "add",
        "create",
        "save",
        "execute",
        "fetch",
        "scalars",
        "filter",
        "insert",
        "get_or_none",
        "bulk_create",
        "all",
    }
)
EXAMPLE_PATHS = re.compile(
    r"(^|/)(benchmarks?|docs|scripts|tools|migrations|alembic|setup\.py$|noxfile\.py$|conf\.py$|versions)(/|$)"
)
_PLAIN = frozenset({"int", "float", "str", "bytes", "bool", "datetime", "date", "Decimal", "count"})
INNER = frozenset({"middleware", "callback", "event", "signal", "asyncio", "protocol", "executor", "subscribe"})
COUNT_WORDS = frozenset({"counts", "count", "total", "totals"})
TRAFFIC_WORDS = frozenset({"request", "requests", "error", "errors", "call", "calls"})
LEGACY_WORDS = frozenset({"legacy", "deprecated", "obsolete", "old"})


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
    applications: set[str] = field(default_factory=set)

    def entries(self, at: At) -> tuple[Entry, ...]:
        """The doors that lead to a scope."""
        return self.reached.get(at, ())


def judge(world: World, slot: Slot) -> Verdict:
    """The class of one candidate."""
    if slot.rule == "memory-database":
        return _database(slot)
    if slot.rule == "stateful-lru-cache" and slot.kind == "memo":
        return Verdict(
            "store",
            [
                "memoised, though it changes state: the change is skipped when the cache answers, and a restart forgets both"
            ],
        )
    if slot.rule == "django-memory-cache":
        return Verdict("store", ["kept in Django's in-process cache, and nothing computes it again"])
    uses = world.uses.get(slot.key, [])
    case = _Case(world, slot, uses)
    if slot.kind in {"instance", "class"} or slot.kind == "closure":
        hidden = case.short_lived()
        if hidden:
            return Verdict("other", [hidden], report=False)
    return case.verdict()


def _database(slot: Slot) -> Verdict:
    if TEST_PATHS.search(slot.path) or "test" in slot.symbol.lower():
        return Verdict("test-double", [f"{slot.container} in test code"])
    return Verdict("store", [f"{slot.container}: a database that ends with the process"])


class _Case:
    def __init__(self, world: World, slot: Slot, uses: list[Use]) -> None:
        self.world = world
        self.slot = slot
        self.uses = uses
        self.writes = [use for use in uses if use.write and not self._declares(use)]
        self.reads = [use for use in uses if not use.write]
        self.later = [use for use in self.writes if not self._imports(use)]
        if not _empty(slot):
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

    def short_lived(self) -> str:
        """Why a container dies with an object or a call, empty when it lives on."""
        slot = self.slot
        if slot.kind == "closure":
            return self._closure()
        owner = (slot.key[0], slot.key[1])
        if slot.kind == "class":
            return "" if self.later or slot.container in _PLAIN else ""
        why = self.world.longevity.why(owner)
        if not why and self.world.saved.get(slot.key):
            why = f"it is saved to {self.world.saved[slot.key]}"
        if not why and TEST_CLASS.search(owner[1]):
            return ""
        if not why:
            return "its object is not known to outlive a request"
        self.why_long = why
        return ""

    def _closure(self) -> str:
        """A closure lives on when what is inside is a door, or the outer function is a decorator or a factory."""
        slot, world = self.slot, self.world
        if slot.rule == "default-argument":
            return ""
        scopes = world.files[slot.path].scopes
        if serving(world.entries(slot.at)) and scopes[slot.key[1]].name not in {"main", "run"}:
            return "lives for one call"
        inner = [qual for qual in scopes if qual.startswith(f"{slot.key[1]}.")]
        doors = [world.doors[(slot.path, qual)] for qual in inner if (slot.path, qual) in world.doors]
        if any(serving((each,)) and each.kind != "task" for each in doors):
            return ""
        wraps = any(each.path in {"wraps", "functools.wraps"} for qual in inner for each in scopes[qual].decorators)
        made = slot.at in world.started and any(serving(world.entries((slot.path, qual))) for qual in inner)
        return "" if wraps or made else "no door leads to the functions that use it"

    def verdict(self) -> Verdict:
        """The class by the first rule that applies, most certain ones first."""
        rules = (
            self._test,
            self._file,
            self._legacy,
            self._unchanged,
            self._links,
            self._callables,
            self._cache,
            self._metrics,
            self._leftover,
        )
        for rule in rules:
            found = rule()
            if found is not None:
                return found
        return self._by_reach()

    def _test(self) -> Verdict | None:
        slot = self.slot
        owner = slot.key[1].split(".")[0] if slot.kind in {"class", "instance"} else ""
        if TEST_PATHS.search(slot.path) or (owner and TEST_CLASS.search(owner)):
            return Verdict(
                "test-double", ["stands in test code" if not owner else f"{owner} stands in for something in tests"]
            )
        return None

    def _unchanged(self) -> Verdict | None:
        slot = self.slot
        if slot.rule in {"rewritten-file", "shelf-file"}:
            return None
        if slot.rule == "rebound-variable" or self.later:
            return None
        if slot.container == "ContextVar":
            return Verdict("other", ["a context variable that nothing here sets"])
        values = [value for _, value in slot.values] + [use.value for use in self.writes]
        if any(self._callable(slot.at, inner) for value in values for inner in _items(value)):
            return Verdict("registry", ["filled at import with functions or classes"])
        if not self.uses and any(value[0] == "k" and not value[2] for _, value in slot.values):
            orm = self._orm()
            if orm:
                return Verdict("leftover", ["empty and unused", orm])
        return Verdict("constant", ["only import-time code fills it" if self.writes else "nothing changes it"])

    def _held(self) -> str:
        return element_of(self.slot.annotation) or ""

    def _inserted(self) -> list[tuple[At, Val]]:
        return [
            (use.at, use.value) for use in self.writes if use.how in INSERTS and use.value[0] != "o" and use.depth == 0
        ]

    def _links(self) -> Verdict | None:
        held = self._held()
        if held and LINK_TYPES.search(held) and not self._scanned_record():
            return Verdict("connection-state", [f"holds {held}, which lives in this process only"])
        stated = parts(self.slot.annotation)[1] if self.slot.annotation else ()
        if len(stated) == 2 and LINK_KEYS.search(stated[0]):
            return Verdict("connection-state", [f"keyed by {stated[0]}, which lives in this process only"])
        if self.slot.container in {"WeakSet", "WeakValueDictionary", "WeakKeyDictionary"}:
            return Verdict("connection-state", ["weak references to live objects"])
        inserted = self._inserted()
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
        ):
            return Verdict(
                "connection-state", [f"named after live things: {', '.join(sorted(self.own_words & LINK_WORDS))}"]
            )
        return None

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
                return bool(self.world.files[owner[0]].scopes[owner[1]].decorators) or _declares(self.world, owner)
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
        if value[0] != "p":
            return False
        return self._link_name(at, value[1])

    def _link_name(self, at: At, name: str) -> bool:
        scope = self.world.files[at[0]].scopes[at[1]]
        if any(ref.kind == "inst" for ref in self.world.resolver.resolve(at, name)) and name != "self":
            return False
        for param in scope.params:
            if param.name == name and param.annotation:
                return bool(LINK_TYPES.search(param.annotation))
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
        if (held and CALLABLE_TYPES.search(held)) or (stated and re.search(r"\bCallable\b|\b[Tt]ype\[", stated)):
            return Verdict("registry", [f"holds {held or stated}: functions or classes, registered again at start"])
        inserted = self._inserted()
        found = [value for at, value in inserted if self._callable(at, value)]
        if found and len(found) * 2 >= len(inserted):
            return Verdict("registry", ["functions or classes are registered in it"])
        owner = words(self.slot.key[1]) if self.slot.kind in {"class", "instance"} else ()
        if self.own_words & ALWAYS_REGISTER or owner[-1:] == ("registry",):
            return Verdict("registry", ["named a registry of code"])
        if self.own_words & REGISTER_WORDS and not any(serving(self.world.entries(use.at)) for use in self.later):
            return Verdict(
                "registry",
                [f"named a registry ({', '.join(sorted(self.own_words & REGISTER_WORDS))}), not written while serving"],
            )
        return None

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
        if named and (derived or not self._domain()):
            word = sorted(self.name_words & CACHE_WORDS)[0]
            return Verdict("cache", [f"named a {word}", *derived])
        if derived and not self._edited():
            return Verdict("cache", derived)
        return None

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
        if value[0] == "b" and self.slot.name in {part for name in _calls_in(value) for part in name.split(".")}:
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
        named = self.own_words & METRIC_WORDS
        counts = [use for use in self.later if use.how in {"augment item", "augment"}]
        plain = self.slot.container in _PLAIN
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
            plain
            and counts
            and len(counts) == len(self.later)
            and self.own_words & {"count", "requests", "total", "processed", "errors", "calls", "counter"}
        ):
            if not self._as_id() and self.own_words & {
                "request",
                "requests",
                "processed",
                "errors",
                "error",
                "calls",
                "messages",
                "events",
            }:
                return Verdict("metrics", ["a plain count of observations"])
        return None

    def _made_records(self) -> bool:
        return any(value[0] == "k" and value[1] == "dict" and value[2] > 2 for _, value in self._inserted())

    def _as_id(self) -> bool:
        return counter_used(self.world, self.slot, self.later)

    def _legacy(self) -> Verdict | None:
        """Named as the past, and nothing is put into it any more."""
        if self.own_words & LEGACY_WORDS and not any(use.how in INSERTS for use in self.later) and _empty(self.slot):
            return Verdict("leftover", [f"named {sorted(self.own_words & LEGACY_WORDS)[0]}, and nothing fills it"])
        return None

    def _leftover(self) -> Verdict | None:
        orm = self._orm()
        if not orm:
            return None
        readers = [use for use in self.reads if use.how not in {"contains"} and serving(self.world.entries(use.at))]
        if not readers:
            return Verdict("leftover", ["written, but no door reads it any more", orm])
        return None

    def _orm(self) -> str:
        """What says that a database took over in the same file, empty when nothing does."""
        file = self.world.files[self.slot.path]
        for scope in file.scopes.values():
            for each in scope.imports:
                last = each.attribute or each.module
                if re.search(r"Repository$|_repository$|^repository$", last) and not re.search(r"memory", last, re.I):
                    if self._same_thing(last):
                        return f"{last} took over"
        return ""

    def _same_thing(self, name: str) -> bool:
        repository = {_stem(each) for each in words(name)} - {"repository", "repo"}
        return bool(repository & {_stem(each) for each in self.own_words})

    def _file(self) -> Verdict | None:
        slot = self.slot
        if slot.rule not in {"rewritten-file", "shelf-file"}:
            return None
        name = slot.facts.get("file", slot.symbol)
        if (
            set(words(name)) & (CACHE_WORDS | {"checkpoint", "ckpt", "weights", "model"})
            or slot.container.startswith(("pickle", "excel"))
            and set(words(name)) & {"cache", "model", "token"}
        ):
            return Verdict("cache", [f"the file is named {name}"])
        if EXAMPLE_PATHS.search(slot.path):
            return Verdict("other", ["a tool's own file"])
        if slot.rule == "shelf-file":
            return Verdict("store", ["records in a shelf: one process at a time, no queries"])
        sites = file_sites(slot)
        doors = [entry for at, _, _ in sites for entry in self.world.entries(at)]
        if serving(tuple(doors)) or self.world.files[slot.path].main_line or doors or self._in_service():
            return Verdict("store", [f"{slot.container} is read and written again as a whole"])
        return Verdict("other", ["a file of a library: nothing here serves requests"])

    def _in_service(self) -> bool:
        return self.world.service.get(self.slot.path, "") in self.world.served

    def _by_reach(self) -> Verdict:
        slot = self.slot
        doors = _doors(self.world, self.later)
        live = [entry for entry in doors if serving((entry,))]
        if self.world.service.get(slot.path, "") not in self.world.applications:
            live = [entry for entry in live if entry.kind in OUTSIDE and entry.framework not in INNER]
        if slot.container in _PLAIN and not self._plain_matters():
            return Verdict("other", ["a flag or a position of this process, not data"])
        if slot.container == "ContextVar":
            return self._context()
        if slot.container == "bytearray" or (
            slot.container in {"list", "deque"} and self._held() in {"bytes", "bytearray"}
        ):
            return Verdict("other", ["a buffer of bytes on their way"])
        if slot.kind == "instance" and self._replaced():
            return Verdict("other", ["replaced as a whole by what was computed, never added to"])
        if self.own_words & EPHEMERAL_WORDS:
            return Verdict("other", ["limits and cooldowns, which may begin again"])
        if live:
            reasons = [f"written by {entry.kind} {entry.name}" for entry in live[:3]]
            return Verdict("store", [*reasons, *self._why()])
        if not live and self._kept_for_callers():
            return Verdict("store", ["written by methods whose callers are not in this tree", *self._why()])
        named = slot.kind == "instance" and self.world.longevity.named((slot.key[0], slot.key[1]))
        unseen = not doors and getattr(self, "why_long", "").startswith("its method")
        if not live and (named or unseen) and self._puts_and_gets():
            return Verdict("store", ["written by methods whose callers are not in sight", *self._why()])
        if not live and named and slot.container == "int" and self._as_id():
            return Verdict("store", ["a number handed out by a class that keeps what it is given", *self._why()])
        if not live and slot.kind in {"class", "instance"} and self._of_server() and self._puts_and_gets(anywhere=True):
            return Verdict("store", ["kept by a server, written by what serves its clients", *self._why()])
        if (self._in_service() or slot.path in self.world.runs) and not doors and self._unreached_counts():
            return Verdict("store", ["written by functions of a service whose caller is not in sight", *self._why()])
        if doors:
            return Verdict("other", [f"written only by {doors[0].kind} {doors[0].name}"])
        return Verdict("other", ["no request, message or timer was seen to reach a write"])

    def _of_server(self) -> bool:
        owner = (self.slot.key[0], self.slot.key[1])
        outside = self.world.resolver.bases(owner)[1]
        return any(each.rsplit(".", 1)[-1].endswith("Server") for each in outside)

    def _puts_and_gets(self, *, anywhere: bool = False) -> bool:
        """Whether public methods of the class put in what they are given, and others look it up."""
        if EXAMPLE_PATHS.search(self.slot.path) or self.slot.container in _PLAIN:
            return False
        prefix = f"{self.slot.key[1]}."
        puts = {
            use.at
            for use in self.later
            if use.how in INSERTS and self._given(use) and (anywhere or use.at[1].startswith(prefix))
        }
        gets = {use.at for use in self.reads if use.at not in puts or use.how in {"get", "contains"}}
        stores = set(words(self.slot.key[1])) & STORAGE_WORDS
        return bool(puts) and bool(gets or stores)

    def _given(self, use: Use) -> bool:
        """Whether a public method writes what its caller gave it, or a record that it makes of that."""
        scope = self.world.files[use.at[0]].scopes[use.at[1]]
        registers = set(words(self.slot.key[1])) & {"server", "broker", "daemon", "scheduler", "site", "proxy"}
        if scope.name.startswith(("register", "_register", "subscribe", "on_")) or (
            registers and scope.name.startswith(("add_", "_add_")) and not self._creates(use)
        ):
            return False
        given = {param.name.lstrip("*") for param in scope.params} - {"self", "cls"}
        for bind in scope.binds:
            if given & set(_names_in(bind.value)):
                given.add(bind.target)
        return bool(given & set(_names_in(use.value)) or given & set(_names_in(use.key)) or self._creates(use))

    def _kept_for_callers(self) -> bool:
        """Whether a class that is named as a keeper, or saved to a file, takes in what its callers hand to it."""
        slot = self.slot
        if slot.kind != "instance" or slot.container in _PLAIN or self.name_words & REGISTER_WORDS:
            return False
        taken = [use for use in self.later if use.how in INSERTS and use.depth <= 1 and self._handed_in(use)]
        return bool(taken) and (getattr(self, "why_long", "") == NAMED or slot.key in self.world.saved)

    def _handed_in(self, use: Use) -> bool:
        """Whether what is put in, or its key, comes from a parameter."""
        scope = self.world.files[use.at[0]].scopes[use.at[1]]
        names = {each.name.lstrip("*") for each in scope.params[1:]}
        values = [use.key, use.value, *(use.value[2] if use.value[0] == "c" else ())]
        return bool(names & {name for each in values for name in _names_in(each)})

    def _why(self) -> list[str]:
        why = getattr(self, "why_long", "")
        return [why] if why else []

    def _context(self) -> Verdict:
        default = self.slot.facts.get("default", "")
        changed = [use for use in self.uses if use.write and use.how != "set"]
        if default and changed:
            return Verdict("store", ["its default is one container that all contexts change"])
        return Verdict("other", ["each context has a value of its own, which ends with the request"])

    def _replaced(self) -> bool:
        """Whether an attribute is only ever set anew, to something that does not come from itself or from a caller."""
        if not self.later or any(use.how != "rebind" for use in self.later):
            return False
        return not any(use.value[0] == "d" or self._answers(use.at, use.value) for use in self.later)

    def _plain_matters(self) -> bool:
        kind = self.slot.container
        if kind in {"bool"}:
            return False
        if kind in {"int", "float", "Decimal"}:
            added = [use for use in self.later if use.how == "augment" or self._from_itself(use.value)]
            return bool(added) or self._as_id()
        return any(entry.kind in {"http", "bot", "message", "websocket"} for entry in _doors(self.world, self.later))

    def _from_itself(self, value: Val) -> bool:
        return value[0] == "b" and any(
            each[0] == "p" and each[1].rsplit(".", 1)[-1] == self.slot.name for each in value[1:]
        )

    def _unreached_counts(self) -> bool:
        if EXAMPLE_PATHS.search(self.slot.path) or self.slot.container in _PLAIN:
            return False
        if self.slot.kind in {"module", "class"} and self.slot.path in self.world.runs:
            return any(use.how in INSERTS for use in self.later)
        if self.slot.kind != "module":
            return False
        inserts = [use for use in self.later if use.how in INSERTS]
        return bool(inserts) and bool(
            self._made_records() or self.slot.records or any(self._creates(use) for use in inserts)
        )


def _doors(world: World, uses: Iterable[Use]) -> list[Entry]:
    return list(dict.fromkeys(entry for use in uses for entry in world.entries(use.at)))


def counter_used(world: World, slot: Slot, writes: list[Use]) -> bool:
    """Whether a number is handed out: it is returned, or put into a record, where it is counted up."""
    if slot.container not in {"int", "count"}:
        return False
    if set(words(slot.name)) & {"id", "ids", "next", "counter", "seq", "sequence", "number", "serial", "last"}:
        return any(use.how == "augment" or use.value[0] == "b" for use in writes)
    return False


def file_sites(slot: Slot) -> list[tuple[At, int, bool]]:
    """Where a data file is loaded and dumped: scope, line, whether it is written."""
    found = []
    for line in slot.facts.get("sites", "").splitlines():
        path, qual, number, writes = line.split("\t")
        found.append(((path, qual), int(number), writes == "1"))
    return found


def _declares(world: World, owner: At) -> bool:
    return any(
        each.rsplit(".", 1)[-1] in {"BaseModel", "Struct", "TypedDict"} for each in world.resolver.bases(owner)[1]
    )


def _calls_in(value: object) -> Iterable[str]:
    """The paths of all calls in a value."""
    if not isinstance(value, tuple):
        return
    if len(value) > 1 and value[0] == "c" and isinstance(value[1], str):
        yield value[1]
    for part in value:
        yield from _calls_in(part)


def _names_in(value: object) -> Iterable[str]:
    """The first names of all paths in a value."""
    if not isinstance(value, tuple):
        return
    if len(value) > 1 and value[0] == "p" and isinstance(value[1], str):
        yield re.split(r"[.\[(]", value[1])[0]
    for part in value:
        yield from _names_in(part)


def _empty(slot: Slot) -> bool:
    return all(value[0] in {"n", "o"} or (value[0] == "k" and not value[2]) for _, value in slot.values)


def _items(value: Val) -> list[Val]:
    return [inner for _, inner, _ in value[4]] if value[0] == "k" and len(value) > 4 else []


def _stem(word: str) -> str:
    return word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")


__all__ = ["REMOVES", "Verdict", "World", "counter_used", "file_sites", "judge", "parts"]
