"""Which objects live as long as the process: by who makes them, and where they are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from outlive.scan.catalogue import Entry
from outlive.scan.entries import serving
from outlive.scan.graph import Graph
from outlive.scan.resolve import At, Resolver
from outlive.scan.rules.stateful_lru_cache import MEMOS
from outlive.scan.summary import Scope, Summary
from outlive.scan.words import word_set, words

PER_REQUEST = frozenset({"http.server", "socketserver", "protocol", "discord.ui", "asyncore", "websocket", "http"})
_SETUP = word_set("""
    __init__ __post_init__ setup setup_hook start startup initialize connect on_ready run init configure build
    __aenter__ __enter__ __new__ open on_startup _setup _init main boot create""")
_SETS_UP = frozenset({"setup", "init", "initialize", "initialise", "configure", "bootstrap"})
_WAITS = word_set("connect wait read receive recv join blocking acquire get put next reconnect retry")
SERVER_WORDS = frozenset({"server", "broker", "daemon"})
STORAGE_WORDS = frozenset(
    {"repository", "store", "storage", "backend", "db", "database", "repo", "memory", "persistence"}
)
HOLDER_WORDS = word_set("""
    controller service tracker machine ledger inventory catalog directory hub history scheduler bank simulator
    emulator mailbox inbox values archive journal registry""")
MANAGERS = frozenset({"manager", "managers"})
NAMED = "its class is named as something that lives long"
PUTS_AND_GETS = "its methods put records in and give them out"
_NEVER = re.compile(
    r"(Exception|Error|Warning|Visitor|Transformer|HTMLParser|Formatter|NamedTuple|Enum|^local|\.local)$"
)
_COLLECTIONS = {("dict",), ("list",), ("set",), ("map",), ("heap",), ("headers",), ("collection",)}
_VALUES = frozenset({"str", "int", "float", "tuple", "bytes", "frozenset", "Exception", "BaseException"})
MOST_MAKERS = 3
BRIEF = re.compile(
    r"(Protocol|Connection|Request|Response|Stream|Reader|Writer|Parser|Builder|Context|Cycle|Iterator|Visitor|Compiler|"
    r"Formatter|Encoder|Decoder|Serializer|Form|Event|Exception|Error|Transformer|Generator|Lexer|Tokenizer|Result|Query)$"
)
_IN_MEMORY = frozenset({"memory", "inmemory", "in_memory", "mem"})
_WORKS = ("Singleton", "ThreadSafeSingleton", "Object", "Resource")


@dataclass
class Longevity:
    """Answers `why(class)`: the reason why objects of a class live long, empty when they do not."""

    files: dict[str, Summary]
    resolver: Resolver
    graph: Graph
    entries: dict[At, Entry]
    reached: dict[At, tuple[Entry, ...]]
    started: set[At]
    _known: dict[At, str] = field(default_factory=dict)
    _kept: set[At] = field(default_factory=set)

    def __post_init__(self) -> None:
        for path, file in self.files.items():
            for qual, scope in file.scopes.items():
                for bind in scope.binds:
                    if scope.shared.get(bind.target) == "global":
                        self._keep((path, qual), bind.value)
                for call in scope.calls:
                    if call.path.rsplit(".", 1)[-1] in _WORKS and call.args:
                        self._keep((path, qual), ("c", *call.args[0][1:2]) if call.args[0][0] == "p" else ("o",))
                if any(each.path.rsplit(".", 1)[-1] in MEMOS for each in scope.decorators):
                    for value, _ in scope.returns:
                        self._keep((path, qual), value)
        for owner in ("app.state", "app[]"):
            for holders in self.resolver.attributes.get(("", owner), {}).values():
                for place, bind in holders:
                    path, _, qual = place.partition("\0")
                    self._keep((path, qual), bind.value)

    def _keep(self, at: At, value: tuple[object, ...]) -> None:
        for ref in self.resolver.value(at, value):
            if ref.kind == "inst":
                self._kept.add((ref.key[0], ref.key[1]))

    def why(self, owner: At) -> str:
        """Why objects of the class outlive a request; empty when nothing says so."""
        if owner not in self._known:
            self._known[owner] = ""
            self._known[owner] = self._why(owner)
        return self._known[owner]

    def _why(self, owner: At) -> str:
        scope = self.resolver.scope(owner)
        if self._passing(owner):
            return ""
        if any(each in {"threading.local", "_thread._local", "local"} for each in self.resolver.bases(owner)[1]):
            return ""
        found = self._made(owner) or self._shape(owner, scope)
        if not found and not BRIEF.search(scope.name):
            found = self._doors(owner)
        if found:
            return found
        for child in self.resolver.subclasses.get(owner, ()):
            found = self.why(child)
            if found:
                return found
        return ""

    def _passing(self, owner: At) -> bool:
        """Whether objects are errors, visitors, values of a thread: gone before long whoever makes them."""
        names = self._ancestors(owner, 0)
        own = words(self.resolver.scope(owner).name)
        named = own[-1:] in _COLLECTIONS and (len(own) < 3 or self._collection(owner))
        if named and not set(own) & STORAGE_WORDS and not self._at_import(owner):
            return True
        return any(_NEVER.search(name) or name in _VALUES for name in names)

    def _at_import(self, owner: At) -> bool:
        return any(self.resolver.scope(at).kind == "module" for at in self.graph.made.get(owner, ()))

    def _ancestors(self, owner: At, depth: int) -> set[str]:
        inside, outside = self.resolver.bases(owner)
        found = {name.rstrip("()") for name in outside}
        for base in inside if depth < 6 else ():
            found |= self._ancestors(base, depth + 1)
        return found

    def _while_serving(self, owner: At) -> bool:
        """Whether requests or messages make objects of the class, so that each is one of many."""
        return any(
            self.resolver.scope(at).kind == "function"
            and not _sets_up(self.resolver.scope(at).name)
            and self.resolver.owner(*at) != owner
            and serving(self.reached.get(at, ()))
            and at not in self.entries
            for at in self.graph.made.get(owner, ())
        )

    def _made(self, owner: At) -> str:
        if owner in self._kept:
            return "its object is kept for the life of the process"
        sites = sorted(self.graph.made.get(owner, ()))
        if any(
            serving(self.reached.get(at, ())) and not self._starts(at) and not self._belongs(owner, at) for at in sites
        ):
            return ""
        for at in sites:
            scope = self.resolver.scope(at)
            if scope.kind == "module":
                return f"its object is made when {at[0]} is imported"
            if scope.kind == "class":
                return f"its object is an attribute of class {scope.name}"
            maker = self.resolver.owner(*at)
            if maker is not None and maker != owner:
                if self._belongs(owner, at) and self.why(maker):
                    return f"its object belongs to {maker[1]}, which lives long"
            elif maker is None and self._starts(at) and len(sites) <= MOST_MAKERS:
                return f"its object is made by {scope.name}, which runs at start"
        return ""

    def _belongs(self, owner: At, at: At) -> bool:
        """Whether an object made in a method that sets things up becomes an attribute of its maker."""
        return _sets_up(self.resolver.scope(at).name) and self._is_attribute(owner, at)

    def _is_attribute(self, owner: At, at: At) -> bool:
        """Whether the object made in a method becomes an attribute of its maker."""
        for bind in self.resolver.scope(at).binds:
            if bind.target.startswith("self.") and self._mentions(at, bind.value, owner):
                return True
        return False

    def _mentions(self, at: At, value: tuple[object, ...], owner: At) -> bool:
        return any(ref.kind == "inst" and (ref.key[0], ref.key[1]) == owner for ref in self.resolver.value(at, value))

    def _starts(self, at: At) -> bool:
        """Whether a function runs at start and not for each request, though its objects serve requests."""
        own = self.entries.get(at)
        if own is not None and own.framework == "loop":
            return True
        return at in self.started and not serving(self.reached.get(at, ()))

    def _shape(self, owner: At, scope: Scope) -> str:
        if any("metaclass:" in each and "ingleton" in each for each in self.resolver.bases(owner)[1]):
            return "its metaclass makes it a singleton"
        if any("ingleton" in each.path for each in scope.decorators) or any(
            "ingleton" in base[1] for base in self.resolver.bases(owner)[0]
        ):
            return "it is a singleton"
        names = {bind.target for bind in scope.binds}
        inner = self.files[owner[0]].scopes
        if names & {"_instance", "__instance", "instance", "_inst", "_singleton"} or any(
            bind.target in {"cls._instance", "cls.__instance", "cls.instance"}
            for qual in (f"{owner[1]}.__new__", f"{owner[1]}.get_instance", f"{owner[1]}.instance")
            if qual in inner
            for bind in inner[qual].binds
        ):
            return "it is a singleton"
        if any(
            bind.target == "self.__dict__"
            for qual in (f"{owner[1]}.__init__",)
            if qual in inner
            for bind in inner[qual].binds
        ):
            return "all objects share one dict (Borg)"
        found = set(words(scope.name))
        made = self.graph.made.get(owner)
        if (found & SERVER_WORDS and not self._while_serving(owner)) or (
            not made and {"memory"} < found & STORAGE_WORDS
        ):
            return NAMED
        if self.named(owner) or (not made and found & MANAGERS):
            return "" if self._while_serving(owner) else PUTS_AND_GETS
        return ""

    def named(self, owner: At) -> bool:
        """Whether a class is named as one that keeps what it is given."""
        found = words(self.resolver.scope(owner).name)
        if self.in_memory(owner):
            return True
        if set(found) & STORAGE_WORDS or (len(found) > 1 and found[-1] == "queue" and not self._generic(owner)):
            return True
        return bool(set(found) & HOLDER_WORDS) and not self._collection(owner)

    def in_memory(self, owner: At) -> bool:
        """Whether a class stands in a module for what is kept in memory, as one of several storages."""
        module = owner[0].rpartition("/")[2].removesuffix(".py")
        return module in _IN_MEMORY and "cache" not in words(self.resolver.scope(owner).name)

    def _collection(self, owner: At) -> bool:
        """Whether it is a container class itself, which says nothing of how long one lives."""
        inner = self.files[owner[0]].scopes
        dunder = [
            name for name in ("__getitem__", "__iter__", "__len__", "__contains__") if f"{owner[1]}.{name}" in inner
        ]
        return len(dunder) > 1 or bool(self._ancestors(owner, 0) & {"dict", "list", "set", "Mapping", "MutableMapping"})

    def _generic(self, owner: At) -> bool:
        """Whether it holds values of a type that its users choose: a container, not somebody's data."""
        bases = self._ancestors(owner, 0) | {base[1] for base in self.resolver.scope(owner).bases if len(base) > 1}
        return any(each.rsplit(".", 1)[-1].startswith("Generic") for each in bases if isinstance(each, str)) or any(
            self._generic(base) for base in self.resolver.bases(owner)[0] if base != owner
        )

    def _inside(self, owner: At, line: int) -> bool:
        scope = self.resolver.scope(owner)
        return scope.line <= line <= scope.end

    def _doors(self, owner: At) -> str:
        prefix = f"{owner[1]}."
        made = self.graph.made.get(owner, ())
        for qual in self.files[owner[0]].scopes:
            if not qual.startswith(prefix) or "." in qual[len(prefix) :]:
                continue
            entry = self.entries.get((owner[0], qual))
            if entry is None or (entry.kind in {"startup", "cli"} and entry.framework != "cmd"):
                continue
            if entry.framework == "loop" and set(words(qual[len(prefix) :])) & _WAITS:
                continue
            own = entry.path == owner[0] and entry.line == self.resolver.scope((owner[0], qual)).line
            if own and entry.framework in PER_REQUEST:
                continue
            if entry.kind == "task" and entry.path == owner[0] and self._inside(owner, entry.line):
                continue
            if made and all(serving(self.reached.get(at, ())) for at in made):
                continue
            return f"its method {qual[len(prefix) :]} is a door: {entry.name}"
        return ""


def _sets_up(name: str) -> bool:
    """Whether a function's name says that it runs while things are put together."""
    return name in _SETUP or bool(set(words(name)[:1]) & _SETS_UP)
