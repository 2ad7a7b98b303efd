"""What a candidate is, with the reasons: store, cache, connection-state, registry, constant, metrics, leftover..."""

from __future__ import annotations

import re
from collections.abc import Iterable

from outlive.scan.annotations import parts
from outlive.scan.catalogue import Entry
from outlive.scan.entries import OUTSIDE, serving
from outlive.scan.evidence import DOMAIN, SURE, Evidence
from outlive.scan.file_access import LOADS, OPENERS
from outlive.scan.hints import (
    CACHE_WORDS,
    EPHEMERAL_WORDS,
    EXAMPLE_PATHS,
    INNER,
    LEGACY_WORDS,
    OWN_FILES,
    PLAIN,
    REGISTER_WORDS,
    SECRETS,
    SETTING_UP,
    SETTINGS,
    TEST_CLASS,
    TEST_PATHS,
)
from outlive.scan.likeness import Likeness, Verdict, World, empty, items, names_in
from outlive.scan.longevity import BRIEF, NAMED, STORAGE_WORDS
from outlive.scan.resolve import At
from outlive.scan.slots import Slot
from outlive.scan.summary import Val
from outlive.scan.uses import INSERTS, REMOVES, Use
from outlive.scan.words import singular, word_set, words


def judge(world: World, slot: Slot) -> Verdict:
    """The class of one candidate."""
    if slot.rule == "memory-database":
        return _database(slot)
    if slot.rule == "stateful-lru-cache" and slot.kind == "memo":
        return Verdict(
            "store",
            ["memoised, though it changes state: a second call does nothing, a restart forgets both"],
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


OF_MANY = "it holds what belongs to many users, so its object serves them all"
USERS = word_set("user chat session guild room player member conversation thread customer")
_LOG_LINES = frozenset({"line", "lines", "buffer", "output", "console", "tail"})
_MOMENTS = frozenset({"last", "time", "times", "timestamp", "timestamps"})
_CLOCKS = re.compile(r"(^|\.)(time|monotonic|perf_counter|now|utcnow|today)$")


class _Case(Likeness):
    def short_lived(self) -> str:
        """Why a container dies with an object or a call, empty when it lives on."""
        slot = self.slot
        if slot.kind == "closure":
            return self._closure()
        owner = (slot.key[0], slot.key[1])
        if slot.kind == "class":
            return ""
        why = self.world.longevity.why(owner)
        if not why and self.world.saved.get(slot.key):
            why = f"it is saved to {self.world.saved[slot.key]}"
        if not why and self._of_many_users(owner):
            why = OF_MANY
        if not why and TEST_CLASS.search(owner[1]):
            return ""
        if not why:
            return "its object is not known to outlive a request"
        self.why_long = why
        return ""

    def _of_many_users(self, owner: At) -> bool:
        """Whether the keys are ids of users or sessions, and the object that serves them all is made elsewhere."""
        if owner in self.world.longevity.graph.made or owner[0] in self.world.libraries or BRIEF.search(owner[1]):
            return False
        keys = [words(use.key[1].rsplit(".", 1)[-1]) for use in self.later if use.depth == 0 and use.key[0] == "p"]
        return bool(keys) and all(each[-1:] == ("id",) and set(each) & USERS for each in keys)

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
            self._registry,
            self._cache,
            self._metrics,
            self._leftover,
        )
        for rule in rules:
            found = rule()
            if found is not None:
                return found
        return self._by_reach()

    def _registry(self) -> Verdict | None:
        """Part of a class that is named a registry: of code, unless requests fill it or ids of records are its keys."""
        owner = words(self.slot.key[1]) if self.slot.kind in {"class", "instance"} else ()
        if owner[-1:] != ("registry",) or self._put_from_outside():
            return None
        if Evidence(self, _doors(self.world, self.later)).total() >= SURE:
            return None
        return Verdict("registry", ["named a registry of code"])

    def _test(self) -> Verdict | None:
        slot = self.slot
        owner = slot.key[1].split(".")[0] if slot.kind in {"class", "instance"} else ""
        if TEST_PATHS.search(f"{self.world.top}/{slot.path}") or (owner and TEST_CLASS.search(owner)):
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
        if any(self._callable(slot.at, inner) for value in values for inner in items(value)):
            return Verdict("registry", ["filled at import with functions or classes"])
        if not self.uses and any(value[0] == "k" and not value[2] for _, value in slot.values):
            orm = self._orm()
            if orm:
                return Verdict("leftover", ["empty and unused", orm])
        return Verdict("constant", ["only import-time code fills it" if self.writes else "nothing changes it"])

    def _legacy(self) -> Verdict | None:
        """Named as the past, and nothing is put into it any more."""
        if self.own_words & LEGACY_WORDS and not any(use.how in INSERTS for use in self.later) and empty(self.slot):
            return Verdict("leftover", [f"named {min(self.own_words & LEGACY_WORDS)}, and nothing fills it"])
        return None

    def _leftover(self) -> Verdict | None:
        orm = self._orm()
        if not orm:
            return None
        readers = [use for use in self.reads if use.how != "contains" and serving(self.world.entries(use.at))]
        if not readers:
            return Verdict("leftover", ["written, but no door reads it any more", orm])
        return None

    def _orm(self) -> str:
        """What says that a database took over in the same file, empty when nothing does."""
        file = self.world.files[self.slot.path]
        for scope in file.scopes.values():
            for each in scope.imports:
                last = each.attribute or each.module
                if (
                    re.search(r"Repository$|_repository$|^repository$", last)
                    and not re.search(r"memory", last, re.IGNORECASE)
                    and self._same_thing(last)
                ):
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
        if set(words(name)) & (CACHE_WORDS | {"checkpoint", "ckpt", "weights", "model"}) or (
            slot.container.startswith(("pickle", "excel")) and set(words(name)) & {"cache", "model", "token"}
        ):
            return Verdict("cache", [f"the file is named {name}"])
        if EXAMPLE_PATHS.search(slot.path):
            return Verdict("other", ["a tool's own file"])
        own = set(words(f"{name} {slot.symbol}"))
        writers = [entry for at, _, writes in file_sites(slot) if writes for entry in self.world.entries(at)]
        outside = any(each.kind in OUTSIDE for each in writers)
        if not {singular(each) for each in own} & DOMAIN:
            own |= set(words(slot.path.rpartition("/")[2])) - SECRETS
        if own & SECRETS or (own & OWN_FILES and not outside):
            return Verdict("other", [f"the program's own file: {min(own & (OWN_FILES | SECRETS))}"])
        if not name.strip():
            return Verdict("other", ["a file that the caller names"])
        if slot.rule == "shelf-file":
            return Verdict("store", ["records in a shelf: one process at a time, no queries"])
        doors = [entry for at, _, _ in file_sites(slot) for entry in self.world.entries(at)]
        if slot.path in self.world.libraries and not serving(tuple(doors)) and not self._in_service():
            return Verdict("other", ["a file of a library: nothing here serves requests"])
        return Verdict("store", [f"{slot.container} is read and written again as a whole"])

    def _in_service(self) -> bool:
        return self.world.service.get(self.slot.path, "") in self.world.served

    def _by_reach(self) -> Verdict:
        slot = self.slot
        if slot.container == "ContextVar":
            return self._context()
        passing = self._passing()
        if passing:
            return Verdict("other", [passing])
        if self._registered_first():
            return Verdict("registry", ["filled by functions that register, which nothing calls while serving"])
        doors = _doors(self.world, self.later)
        framework = self.world.service.get(slot.path, "") in self.world.frameworks
        live = [entry for entry in doors if serving((entry,)) and not framework]
        if self.world.service.get(slot.path, "") not in self.world.applications:
            live = [entry for entry in live if entry.kind in OUTSIDE and entry.framework not in INNER]
        against = Evidence(self, doors).against()
        if live and against:
            return Verdict("other", [against])
        if live:
            return Verdict("store", [*(f"written by {each.kind} {each.name}" for each in live[:3]), *self._why()])
        kept = self._kept_by_framework() if framework else self._kept_unseen(doors)
        if kept and against:
            return Verdict("other", [against])
        if kept:
            return Verdict("store", [kept, *self._why()])
        if doors:
            return Verdict("other", [f"written only by {doors[0].kind} {doors[0].name}"])
        return Verdict("other", ["no request, message or timer was seen to reach a write"])

    def _passing(self) -> str:
        """Why nobody would miss the content, whoever writes it; empty when somebody may."""
        slot = self.slot
        if slot.container in PLAIN and not self._plain_matters():
            return "a flag or a position of this process, not data"
        if slot.container == "bytearray" or (
            slot.container in {"list", "deque"} and self._held() in {"bytes", "bytearray"}
        ):
            return "a buffer of bytes on their way"
        if slot.kind == "instance" and self._replaced():
            return "replaced as a whole by what was computed, never added to"
        if parts(slot.annotation)[0].lower() == "tuple":
            return "a tuple that is replaced as a whole"
        of_many = slot.container not in PLAIN and self.own_words & _MOMENTS
        entered = Evidence(self, _doors(self.world, self.later)).domain() and not of_many
        if not entered and self._moments():
            return "when something happened last, which begins again"
        if slot.kind in {"instance", "module"} and self._set_up():
            return "filled only by what puts the program together"
        if self._from_file():
            return "read from a file, and changed by nothing else"
        if slot.container == "list" and words(slot.name)[-1:] in {("path",), ("paths",), ("dirs",)}:
            return "a search path"
        if self._fields():
            return "a fixed set of fields of the program's state"
        if self.own_words & {"log", "logs"} and self.own_words & _LOG_LINES:
            return "lines of a log"
        if self.own_words & {"attempts", "failures", "tries"} and self.own_words & {"login", "failed", "auth", "ip"}:
            return "limits and cooldowns, which may begin again"
        owner = set(words(slot.key[1])) if slot.kind in {"class", "instance"} else set()
        return "limits and cooldowns, which may begin again" if (self.own_words | owner) & EPHEMERAL_WORDS else ""

    def _fields(self) -> bool:
        """Whether it is made with its keys, each a plain value, and code sets nothing but them."""
        made = [inner for _, value in self.slot.values for inner in (value[4] if value[0] == "k" else ())]
        if self.slot.container != "dict" or not made or any(inner[0] not in {"l", "n"} for _, inner, _ in made):
            return False
        names = {name for name, _, _ in made}
        return bool(self.later) and all(
            use.depth == 0
            and use.how in {"set item", "augment item"}
            and use.key[0] == "l"
            and use.key[2] in names
            and use.value[0] != "k"
            for use in self.later
        )

    def _kept_by_framework(self) -> str:
        """Why a container of a framework is a store: its class is named as a storage and keeps what it is given."""
        storage = set(words(self.slot.key[1])) & STORAGE_WORDS
        if self.slot.kind == "instance" and storage and (self._kept_for_callers() or self._puts_and_gets()):
            return "written by methods of a storage whose callers are not in this tree"
        return ""

    def _kept_unseen(self, doors: list[Entry]) -> str:
        """Why it is a store though no door was seen to lead to a write, empty when nothing says so."""
        slot = self.slot
        if self._kept_for_callers():
            return "written by methods whose callers are not in this tree"
        owner = (slot.key[0], slot.key[1])
        named = slot.kind in {"instance", "class"} and self.world.longevity.named(owner)
        unseen = not doors and getattr(self, "why_long", "").startswith("its method")
        keyed = any(use.how in REMOVES for use in self.later) and slot.container in {
            "dict",
            "OrderedDict",
            "defaultdict",
        }
        unseen = unseen or (not doors and keyed and getattr(self, "why_long", "").startswith("its object belongs"))
        if (named or unseen) and self._puts_and_gets():
            return "written by methods whose callers are not in sight"
        if named and slot.container == "int" and self._as_id():
            return "a number handed out by a class that keeps what it is given"
        if slot.kind in {"class", "instance"} and self._of_server() and self._puts_and_gets(anywhere=True):
            return "kept by a server, written by what serves its clients"
        if slot.kind == "module" and self.own_words & SETTINGS and not empty(slot):
            return ""
        if (self._in_service() or slot.path in self.world.runs) and not doors and self._unreached_counts():
            return "written by functions of a service whose caller is not in sight"
        putting = _doors(self.world, (use for use in self.later if use.how not in REMOVES))
        if not putting and slot.path not in self.world.libraries and self._handed_by_strangers():
            return "written by functions whose callers are not in sight"
        return ""

    def _handed_by_strangers(self) -> bool:
        """Whether functions that nothing here calls put in what they are given, and it can only be records."""
        if EXAMPLE_PATHS.search(self.slot.path) or self.slot.container in PLAIN:
            return False
        if getattr(self, "why_long", "").endswith("which runs at start"):
            return False
        given = [use for use in self.later if use.how in INSERTS and use.at not in self.world.started]
        alone = getattr(self, "why_long", "").startswith(("its object is made when", "its object is kept", OF_MANY))
        total = Evidence(self, []).total()
        return any(self._given(use, anywhere=True) for use in given) and total >= SURE - alone

    def _of_server(self) -> bool:
        owner = (self.slot.key[0], self.slot.key[1])
        outside = self.world.resolver.bases(owner)[1]
        named = set(words(self.slot.key[1])) & {"server", "broker", "daemon"}
        return bool(named) or any(each.rsplit(".", 1)[-1].endswith("Server") for each in outside)

    def _kept_for_callers(self) -> bool:
        """Whether a class that is named as a keeper, or saved to a file, takes in what its callers hand to it."""
        slot = self.slot
        if slot.kind not in {"instance", "class"} or slot.container in PLAIN or self.name_words & REGISTER_WORDS:
            return False
        taken = [use for use in self.later if use.how in INSERTS and use.depth <= 1 and self._handed_in(use)]
        return bool(taken) and (getattr(self, "why_long", "") == NAMED or slot.key in self.world.saved)

    def _handed_in(self, use: Use) -> bool:
        """Whether what is put in, or its key, comes from a parameter."""
        scope = self.world.files[use.at[0]].scopes[use.at[1]]
        names = {each.name.lstrip("*") for each in scope.params[1:]}
        values = [use.key, use.value, *(use.value[2] if use.value[0] == "c" else ())]
        return bool(names & {name for each in values for name in names_in(each)})

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
        return not any(
            (use.value[0] == "d" and not self._from_elsewhere(use)) or self._answers(use.at, use.value)
            for use in self.later
        )

    def _from_elsewhere(self, use: Use) -> bool:
        """Whether what is derived comes from another attribute, or from a container that the function made itself."""
        root = re.split(r"[\[(]", use.value[1])[0]
        if root.startswith("self."):
            return root != f"self.{self.slot.name}"
        binds = self.world.files[use.at[0]].scopes[use.at[1]].binds
        return any(bind.target == root and bind.value[0] == "k" for bind in binds)

    def _set_up(self) -> bool:
        """Whether only what puts the program together fills it, and nobody takes out or edits single items."""
        filling = [use for use in self.later if use.how in INSERTS or use.how == "rebind"]
        emptied = [use for use in self.later if use.how in {"clear", "rebind"}]
        fills = [use for use in filling if use not in emptied or use.value[0] not in {"k", "n"}]
        if self.slot.container in PLAIN or not fills or any(use not in [*filling, *emptied] for use in self.later):
            return False
        return all(set(words(use.at[1].rsplit(".", 1)[-1])[:1]) & SETTING_UP for use in fills)

    def _from_file(self) -> bool:
        """Whether only functions that are told nothing fill it, with what they load from a file."""
        fills = [use for use in self.later if use.how in INSERTS or use.how == "rebind"]
        if not fills or any(use.how not in {*INSERTS, "rebind", "clear"} or use.depth for use in self.later):
            return False
        return all(self._loads(use.at) for use in fills)

    def _loads(self, at: At) -> bool:
        scope = self.world.files[at[0]].scopes[at[1]]
        told = {each.name for each in scope.params} - {"self", "cls"}
        served = any(each.kind in OUTSIDE for each in self.world.entries(at))
        names = {call.path for call in scope.calls}
        opens = names & OPENERS or any(each.endswith((".read_text", ".read_bytes", ".open")) for each in names)
        return bool(not told and not served and names & LOADS.keys() and opens)

    def _moments(self) -> bool:
        """Whether nothing is put in but the time at which it is put in."""
        puts = [use for use in self.later if use.how in INSERTS and not self._kept_of_itself(use)]
        return bool(puts) and all(self._moment(use.at, use.value) for use in puts)

    def _kept_of_itself(self, use: Use) -> bool:
        """Whether a part is replaced by what is left of it."""
        return use.value[0] == "d" and re.split(r"[.\[(]", use.value[1].removeprefix("self."))[0] == self.slot.name

    def _moment(self, at: At, value: Val) -> bool:
        scopes = self.world.files[at[0]].scopes
        if value[0] == "p":
            scope = scopes[at[1]]
            binds = (*scope.binds, *scopes[scope.parent].binds)
            found = [bind.value for bind in binds if bind.target == value[1]]
            return bool(found) and all(each[0] == "c" and _CLOCKS.search(each[1]) for each in found)
        return value[0] == "c" and bool(_CLOCKS.search(value[1]))

    def _registered_first(self) -> bool:
        """Whether all that is in it was registered, by functions that no door leads to."""
        puts = [use for use in self.later if use.how in INSERTS and use.depth == 0]
        return (
            empty(self.slot)
            and bool(puts)
            and not (self.slot.kind == "instance" and set(words(self.slot.key[1])) & STORAGE_WORDS)
            and all(words(use.at[1].rsplit(".", 1)[-1])[:1] == ("register",) for use in puts)
            and not any(serving(self.world.entries(use.at)) for use in puts)
        )

    def _plain_matters(self) -> bool:
        kind = self.slot.container
        if kind == "bool":
            return False
        if kind in {"int", "float", "Decimal"}:
            added = [use for use in self.later if use.how == "augment" or self._from_itself(use.value)]
            return bool(added) or self._as_id()
        doors = _doors(self.world, self.later)
        if kind == "count":
            return True
        return any(each.kind in OUTSIDE for each in doors) and Evidence(self, doors).given()

    def _from_itself(self, value: Val) -> bool:
        return value[0] == "b" and any(
            each[0] == "p" and each[1].rsplit(".", 1)[-1] == self.slot.name for each in value[1:]
        )

    def _unreached_counts(self) -> bool:
        if EXAMPLE_PATHS.search(self.slot.path) or self.slot.container in PLAIN:
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


def file_sites(slot: Slot) -> list[tuple[At, int, bool]]:
    """Where a data file is loaded and dumped: scope, line, whether it is written."""
    found = []
    for line in slot.facts.get("sites", "").splitlines():
        path, qual, number, writes = line.split("\t")
        found.append(((path, qual), int(number), writes == "1"))
    return found


def _stem(word: str) -> str:
    return word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")
