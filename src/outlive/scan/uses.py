"""What the code does with each candidate: reads, writes, at which depth, and what is put in."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from outlive.scan.names import HELD, Names
from outlive.scan.places import Place
from outlive.scan.resolve import At, Ref, Resolver
from outlive.scan.slots import Key, Slot
from outlive.scan.summary import OTHER, Bind, Call, Op, Scope, Summary, Val
from outlive.scan.words import word_set

MOST_RECORDS = 3
MUTATORS = word_set("""
    append extend insert remove pop clear sort reverse add discard update setdefault popitem appendleft popleft
    extendleft rotate subtract move_to_end difference_update intersection_update symmetric_difference_update
    __setitem__ __delitem__ frombytes set reset push""")
INSERTS = frozenset(
    {
        "append",
        "insert",
        "add",
        "setdefault",
        "appendleft",
        "set item",
        "update",
        "extend",
        "__setitem__",
        "replace all",
        "rebind",
        "set",
    }
)
REMOVES = frozenset({"remove", "pop", "clear", "discard", "popitem", "popleft", "delete item", "__delitem__"})
VALUE_AT = {"insert": 1, "setdefault": 1, "__setitem__": 1}
READ_METHODS = word_set("""
    get items values keys copy index count most_common elements __contains__ __getitem__""")
ORDERED = frozenset({"sorted", "sort", "min", "max", "nlargest", "nsmallest"})


class Use(NamedTuple):
    """One use of a slot. `depth` 0 is the container itself, deeper is what it holds; `field` what is touched there."""

    at: At
    line: int
    how: str
    write: bool
    depth: int
    key: Val = OTHER
    value: Val = OTHER
    field: str = ""
    looping: bool = False
    operator: str = ""
    direct: bool = True


Packed = list[tuple[Key, list[tuple[Any, ...]]]]


def packed(uses: dict[Key, list[Use]]) -> Packed:
    """Uses as plain tuples, for the way between processes."""
    return [(key, list(map(tuple, each))) for key, each in uses.items()]


def unpacked(sent: Packed) -> dict[Key, list[Use]]:
    """What `packed` was given; a key that has no uses has an empty list."""
    found: dict[Key, list[Use]] = defaultdict(list)
    found.update((key, list(map(Use._make, each))) for key, each in sent)
    return found


def collect(files: dict[str, Summary], resolver: Resolver) -> dict[Key, list[Use]]:
    """All uses of all slots, in order of file and line."""
    collector = _Collector(resolver, Names(files, resolver))
    for path, file in files.items():
        for qual, scope in file.scopes.items():
            collector.scope((path, qual), scope)
    for uses in collector.uses.values():
        uses.sort(key=lambda each: (each.at[0], each.line))
    return collector.uses


def _unnamed(scope: Scope) -> bool:
    """Whether parameters may hold a slot without its name: by a dependency, or by a default that is called."""
    for _, annotation, default in scope.params:
        if (default is not None and default[0] == "c") or "Depends" in annotation:
            return True
    return False


def put_in(files: dict[str, Summary], resolver: Resolver, slots: dict[Key, Slot]) -> None:
    """Notes the scanned classes whose new objects are put into slots, so that their methods can be followed."""
    for slot in slots.values():
        for at, value in slot.values:
            for _, inner, _ in value[4] if value[0] == "k" and len(value) > 4 else ():
                _note(resolver, at, slot, inner)
    for path, file in files.items():
        for qual, scope in file.scopes.items():
            at = (path, qual)
            for op in scope.ops:
                if op.how == "set item" and op.value[0] == "c":
                    _noted(resolver, slots, at, op.path, op.value)
            for call in scope.calls:
                base, _, name = call.path.rpartition(".")
                if base and name in {"append", "add", "setdefault", "insert"} and call.args and call.args[-1][0] == "c":
                    _noted(resolver, slots, at, base, call.args[-1])
    resolver.forget()


def _noted(resolver: Resolver, slots: dict[Key, Slot], at: At, path: str, value: Val) -> None:
    for ref in resolver.resolve(at, path):
        slot = slots.get((ref.key[0], ref.key[1], ref.key[2])) if ref.kind == "slot" and ref.depth == 0 else None
        if slot is not None:
            _note(resolver, at, slot, value)


def _note(resolver: Resolver, at: At, slot: Slot, value: Val) -> None:
    if value[0] == "c" and len(slot.records) < MOST_RECORDS:
        for ref in resolver.value(at, value):
            if ref.kind == "inst" and (ref.key[0], ref.key[1]) not in slot.records:
                slot.records.append((ref.key[0], ref.key[1]))


class _Collector:
    """Follows the paths that `names` can mean, and all paths where a slot may come without its name."""

    def __init__(self, resolver: Resolver, names: Names) -> None:
        self.resolver = resolver
        self.names = names
        self.every = False
        self.roots: set[str] = set()
        self.inner: set[str] = set()
        self.place: Place
        self.slots = resolver.slots
        self.uses: dict[Key, list[Use]] = defaultdict(list)
        self._borgs = self._shared_dicts()

    def scope(self, at: At, scope: Scope) -> None:
        self.place = self.resolver.place(at)
        self.roots, self.inner = self.names.of(*at)
        self.every = (self.place.owner is not None and self.place.owner.at in self.resolver.own) or _unnamed(scope)
        every = self.every or bool(self._borgs)
        for op in scope.ops:
            if every or self._meant(op.path):
                self._op(at, op)
        for call in scope.calls:
            self._call(at, call)
        for bind in scope.binds:
            self._bind(at, scope, bind)
        for value, line in scope.returns:
            self._value(at, value, line, "return")

    def _shared_dicts(self) -> dict[At, Ref]:
        """Classes whose objects all use one dict as theirs."""
        found = {}
        for owner, names in list(self.resolver.attributes.items()):
            for qual, bind in names.get("__dict__", ()):
                for ref in self.resolver.value((owner[0], qual), bind.value):
                    if ref.kind == "slot":
                        found[owner] = ref
        return found

    def _shared(self, at: At, path: str, line: int, value: Val) -> None:
        """An attribute set on an object with a shared dict is an item set in that dict."""
        if self._borgs:
            for ref in self.resolver.resolve(at, path):
                borg = self._borgs.get((ref.key[0], ref.key[1])) if ref.kind == "inst" else None
                if borg is not None:
                    self._add(borg, Use(at, line, "set attribute", True, 0, value=value))

    def _meant(self, path: str) -> bool:
        """Whether a path of this scope can lead to a slot."""
        root, rest = self.names.split(path)
        return root in self.roots or root in self.inner or (bool(rest) and not self.names.parts.isdisjoint(rest))

    def _refs(self, at: At, path: str) -> tuple[Ref, ...]:
        if not self.every and not self._meant(path):
            return ()
        return tuple([ref for ref in self.resolver.meaning(self.place, path) if ref.kind in HELD])

    def _add(self, ref: Ref, use: Use) -> None:
        self.uses[(ref.key[0], ref.key[1], ref.key[2])].append(use)

    def _op(self, at: At, op: Op) -> None:
        if op.how == "compare":
            self._compare(at, op)
        elif op.how in {"augment", "set attribute"}:
            self._changed(at, op)
        else:
            write = op.how in {"set item", "delete item", "augment item", "replace all"}
            for ref in self._refs(at, op.path):
                if ref.kind == "slot":
                    how = op.how if op.how != "use" else "get item" if ref.depth else "read"
                    named = write and ref.depth and op.key[0] == "l" and op.key[1] == "str"
                    field = str(op.key[2]) if named else ""
                    direct = not write or self._direct(at, op.path, ref)
                    use = Use(at, op.line, how, write, ref.depth, op.key, op.value, field, op.looping, direct=direct)
                    self._add(ref, use)
                elif not write:
                    self._add(ref, Use(at, op.line, op.how, False, ref.depth))

    def _changed(self, at: At, op: Op) -> None:
        """`x += 1`, `record.x += 1`, `setattr(record, "x", 1)`: what is changed is the variable, or the record."""
        whole = op.how == "augment" and op.key[0] == "o"
        base, _, name = op.path.rpartition(".")
        self._shared(at, base if base and (whole or op.how == "set attribute") else op.path, op.line, op.value)
        for ref in self._refs(at, op.path):
            if ref.kind == "slot" and ref.depth == 0 and (ref.key[2] == (name or op.path) or self._grows(ref)):
                self._add(ref, Use(at, op.line, op.how, True, 0, op.key, op.value))
            elif ref.kind == "slot" and not whole:
                self._add(ref, Use(at, op.line, op.how, True, ref.depth, op.key, op.value))
        if base:
            for ref in self._refs(at, base):
                if ref.kind == "slot" and (ref.depth or self._attributes(ref)):
                    direct = self._direct(at, base, ref)
                    self._add(ref, Use(at, op.line, op.how, True, ref.depth + 1, op.key, op.value, name, direct=direct))

    def _grows(self, ref: Ref) -> bool:
        return self.slots[(ref.key[0], ref.key[1], ref.key[2])].container in {"list", "set", "deque", "Counter", "dict"}

    def _attributes(self, ref: Ref) -> bool:
        return self.slots[(ref.key[0], ref.key[1], ref.key[2])].container == "SimpleNamespace"

    def _direct(self, at: At, path: str, ref: Ref) -> bool:
        """Whether a path names the container itself, and does not come to it through a parameter."""
        root = path.split(".", 1)[0].split("[", 1)[0].split("(", 1)[0]
        scope = self.resolver.scope(at)
        param = next((each for each in scope.params if each.name == root), None)
        if param is None or "Depends(" in param.annotation or (param.default is not None and param.default[0] == "c"):
            return True
        return root in {"self", "cls", "request", "ctx", "context", "app", "info"} and ref.key[1] != ""

    def _compare(self, at: At, op: Op) -> None:
        field = _last(op.path)
        for ref in self._refs(at, op.path):
            if ref.kind == "slot" and ref.depth >= 2 and field:
                self._add(ref, Use(at, op.line, "compare", False, ref.depth, field=field, operator=str(op.key[2])))
            elif ref.kind == "slot":
                self._add(ref, Use(at, op.line, "read", False, ref.depth))

    def _call(self, at: At, call: Call) -> None:
        base, _, name = call.path.rpartition(".")
        if base and (name in MUTATORS or name in READ_METHODS):
            for ref in self._refs(at, base):
                if ref.kind == "slot":
                    self._method(at, call, ref, name)
                elif name not in MUTATORS:
                    self._add(ref, Use(at, call.line, name, False, ref.depth))
        if (name or call.path) in ORDERED:
            self._sorted(at, call, base)
        if call.path in {"next", "anext"} and call.args and call.args[0][0] == "p":
            for ref in self._refs(at, call.args[0][1]):
                if self.slots[(ref.key[0], ref.key[1], ref.key[2])].container == "count":
                    self._add(ref, Use(at, call.line, "augment", True, ref.depth))
        if call.path in {"heappush", "heapq.heappush", "insort", "bisect.insort"} and call.args:
            for ref in self._refs(at, call.args[0][1] if call.args[0][0] == "p" else ""):
                value = call.args[1] if len(call.args) > 1 else OTHER
                self._add(ref, Use(at, call.line, "append", True, ref.depth, value=value))

    def _method(self, at: At, call: Call, ref: Ref, name: str) -> None:
        slot = self.slots.get((ref.key[0], ref.key[1], ref.key[2]))
        if slot is not None and slot.container in _PLAIN:
            return
        write = name in MUTATORS
        if name == "set" and (slot is None or slot.container != "ContextVar"):
            return
        if name in {"reset", "push"}:
            return
        position = VALUE_AT.get(name, 0)
        value = call.args[position] if len(call.args) > position else OTHER
        key = call.args[0] if name in {"setdefault", "pop", "get", "__setitem__"} and call.args else OTHER
        if name == "update" and not call.args and call.kwargs:
            value = ("k", "dict", len(call.kwargs), (), tuple((each, inner, call.line) for each, inner in call.kwargs))
        field = _last(call.path.rpartition(".")[0]) if ref.depth else ""
        direct = not write or self._direct(at, call.path, ref)
        self._add(ref, Use(at, call.line, name, write, ref.depth, key, value, field, call.looping, direct=direct))

    def _sorted(self, at: At, call: Call, base: str) -> None:
        order = next((value[2] for key, value in call.kwargs if key == "order"), "")
        source = base if call.path.endswith(".sort") else ""
        if not source and call.args:
            first = call.args[0]
            source = first[1] if first[0] in {"p", "d"} else f"{first[1]}()" if first[0] == "c" else ""
        if not source:
            return
        for ref in self._refs(at, source):
            for field in order.split(","):
                if field:
                    operator = "desc" if field.startswith("-") else "asc"
                    name = field.lstrip("-")
                    self._add(ref, Use(at, call.line, "sort by", False, ref.depth, field=name, operator=operator))

    def _bind(self, at: At, scope: Scope, bind: Bind) -> None:
        self._value(at, bind.value, bind.line, "read")
        target = bind.target
        if "." not in target:
            if scope.shared.get(target):
                for ref in self._refs(at, target):
                    if ref.kind == "slot" and ref.depth == 0:
                        self._add(ref, Use(at, bind.line, "rebind", True, 0, value=bind.value))
            return
        base, _, name = target.rpartition(".")
        if name != "__dict__":
            self._shared(at, base, bind.line, bind.value)
        for ref in self._refs(at, target):
            if ref.kind == "slot" and ref.depth == 0 and ref.key[2] == name and not self._attributes(ref):
                self._add(ref, Use(at, bind.line, "rebind", True, 0, value=bind.value))
        for ref in self._refs(at, base):
            if ref.kind == "slot" and (ref.depth or self._attributes(ref)):
                direct = self._direct(at, base, ref)
                use = Use(
                    at, bind.line, "change record", True, ref.depth + 1, value=bind.value, field=name, direct=direct
                )
                self._add(ref, use)

    def _value(self, at: At, value: Val, line: int, how: str) -> None:
        kind = value[0]
        if kind in {"p", "d", "e"}:
            for ref in self._refs(at, value[1]):
                self._add(
                    ref,
                    Use(
                        at,
                        line,
                        how if kind == "p" and not ref.depth else "get item" if ref.depth else how,
                        False,
                        ref.depth,
                    ),
                )
        elif kind == "u":
            for each in value[1]:
                self._value(at, each, line, how)


_PLAIN = frozenset({"int", "float", "str", "bool", "bytes", "datetime", "date", "Decimal"})


def _last(path: str) -> str:
    """The field that a path ends with, empty for an element."""
    if path.endswith("']"):
        return path[path.rindex("['") + 2 : -2]
    tail = path.rpartition(".")[2]
    return tail if tail.isidentifier() else ""
