"""Who calls whom, who makes which objects, and what is passed along."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from outlive.scan.resolve import At, Ref, Resolver
from outlive.scan.summary import Call, Scope, Summary, Val
from outlive.scan.words import word_set

COMMON = word_set("""
    get set add append update pop items values keys clear remove insert close open read write send join split format
    encode decode strip run start stop copy extend count index sort replace find lower upper save load delete create
    connect execute commit put filter all first exists wait cancel result info debug warning error exception log
    is_set acquire release recv emit flush seek setdefault startswith endswith discard match search group json text
    dict isoformat""")
_GIVEN = frozenset({"slot", "copy", "inst", "func"})
SHORTEST_NAME = 5


@dataclass
class Graph:
    """`edges` from scope to called scopes; `made` where each class is instantiated; `passed` functions as values."""

    edges: dict[At, dict[At, None]] = field(default_factory=lambda: defaultdict(dict))
    made: dict[At, set[At]] = field(default_factory=lambda: defaultdict(set))


def build(files: dict[str, Summary], resolver: Resolver) -> Graph:
    """The graph of calls; on the way parameters learn what they are given (two rounds, for helpers of helpers)."""
    calls = [((path, qual), scope) for path, file in files.items() for qual, scope in file.scopes.items()]
    for at, scope in calls:
        _give_all(resolver, at, scope)
    if resolver.given:
        resolver.forget_given()
        receivers = {(path, qual) for path, qual, _ in resolver.given}
        for at in sorted(receivers):
            _give_all(resolver, at, resolver.scope(at))
        resolver.forget_given()
    return _Builder(files, resolver).run(calls)


def _give_all(resolver: Resolver, at: At, scope: Scope) -> None:
    for call in scope.calls:
        if call.args or call.kwargs:
            _give(resolver, at, call)


def _give(resolver: Resolver, at: At, call: Call) -> None:
    if not any(value[0] in {"p", "c", "u"} for value in (*call.args, *(each for _, each in call.kwargs))):
        return
    for ref in resolver.resolve(at, call.path):
        for target in _targets(resolver, ref):
            scope = resolver.scope(target)
            offset = 1 if resolver.owner(*target) is not None and not _static(scope) else 0
            names = [each.name for each in scope.params][offset:]
            pairs = [*zip(names, call.args, strict=False), *call.kwargs]
            for name, value in pairs:
                if value[0] not in {"p", "c", "u"}:
                    continue
                for given in resolver.value(at, value):
                    known = resolver.given[(target[0], target[1], name.lstrip("*"))]
                    if given.kind in _GIVEN and len(known) < 8:
                        known[given] = None


def _static(scope: Scope) -> bool:
    return any(each.path == "staticmethod" for each in scope.decorators)


def _targets(resolver: Resolver, ref: Ref) -> Iterator[At]:
    """The functions that calling something runs."""
    if ref.kind == "func":
        yield (ref.key[0], ref.key[1])
    elif ref.kind in {"class", "inst"}:
        for name in ("__init__", "__post_init__", "__new__") if ref.kind == "class" else ("__call__",):
            for inner in resolver.attribute((ref.key[0], ref.key[1]), name):
                if inner.kind == "func":
                    yield (inner.key[0], inner.key[1])


class _Builder:
    def __init__(self, files: dict[str, Summary], resolver: Resolver) -> None:
        self.files = files
        self.resolver = resolver
        self.graph = Graph()
        self.methods: dict[str, list[At]] = defaultdict(list)
        for path, file in files.items():
            for qual, scope in file.scopes.items():
                if (
                    scope.kind == "function"
                    and scope.name not in COMMON
                    and (not scope.parent or resolver.owner(path, qual))
                ):
                    self.methods[scope.name].append((path, qual))

    def run(self, scopes: list[tuple[At, Scope]]) -> Graph:
        for at, scope in scopes:
            for call in scope.calls:
                self._call(at, call)
            self._values(at, scope)
            if scope.kind == "class":
                self.resolver.bases(at)
                self._overrides(at)
        return self.graph

    def _call(self, at: At, call: Call) -> None:
        refs = self.resolver.resolve(at, call.path)
        edges = self.graph.edges[at]
        found = False
        for ref in refs:
            if ref.kind == "class":
                self.graph.made[(ref.key[0], ref.key[1])].add(at)
                found = True
            for target in _targets(self.resolver, ref):
                edges[target] = None
                found = True
            if ref.kind == "slot" and ref.depth:
                found = self._dispatched(edges, ref) or found
            found = found or ref.kind in {"copy", "items"} or (ref.kind == "ext" and not ref.key[0].endswith("()"))
        if not found and "." in call.path:
            self._by_name(at, edges, call.path)
        for value in (*call.args, *(each for _, each in call.kwargs)):
            if value[0] == "p":
                self._handed(at, edges, value)

    def _dispatched(self, edges: dict[At, None], ref: Ref) -> bool:
        """A call of what a container holds may run every function in it."""
        slot = self.resolver.slots.get((ref.key[0], ref.key[1], ref.key[2]))
        found = False
        for at, value in slot.values if slot is not None else ():
            for _, inner, _ in value[4] if value[0] == "k" and len(value) > 4 else ():
                for each in self.resolver.value(at, inner):
                    for target in _targets(self.resolver, each):
                        edges[target] = None
                        found = True
        return found

    def _by_name(self, at: At, edges: dict[At, None], path: str) -> None:
        """A method of an unknown object, when the service has exactly one of that name."""
        name = path.rsplit(".", 1)[-1].rstrip("()")
        known = self.methods.get(name, ())
        if len(name) >= SHORTEST_NAME and len(known) == 1:
            service = self.resolver.service
            if service.get(known[0][0]) == service.get(at[0]):
                edges.update(dict.fromkeys(known))

    def _handed(self, at: At, edges: dict[At, None], value: Val) -> None:
        for ref in self.resolver.value(at, value):
            if ref.kind == "func":
                edges[(ref.key[0], ref.key[1])] = None

    def _values(self, at: At, scope: Scope) -> None:
        """Functions that are returned or bound, decorators, and dependencies of parameters."""
        edges = self.graph.edges[at]
        for value, _ in scope.returns:
            if value[0] == "p":
                self._handed(at, edges, value)
        outer = (at[0], scope.parent)
        for decorator in scope.decorators:
            for ref in self.resolver.resolve(outer, decorator.path):
                if ref.kind == "func":
                    target = (ref.key[0], ref.key[1])
                    inner = [qual for qual in self.files[target[0]].scopes if qual.startswith(f"{target[1]}.")]
                    edges.update({(target[0], qual): None for qual in inner})
        for param in scope.params:
            for found in self._dependency(outer, param.annotation, param.default):
                edges[found] = None
        for op in scope.ops:
            if op.how == "use" and "." in op.path:
                self._property(at, edges, op.path)

    def _property(self, at: At, edges: dict[At, None], path: str) -> None:
        base, _, name = path.rpartition(".")
        for ref in self.resolver.resolve(at, base):
            if ref.kind in {"inst", "class"}:
                inner = f"{ref.key[1]}.{name}"
                if inner in self.files.get(ref.key[0], Summary("")).scopes:
                    edges[(ref.key[0], inner)] = None

    def _dependency(self, at: At, annotation: str, default: Val | None) -> Iterator[At]:
        values: list[Val] = []
        if (
            default is not None
            and default[0] == "c"
            and default[2]
            and default[1].endswith(("Depends", "Security", "Provide"))
        ):
            values.append(default[2][0])
        if "Depends(" in annotation:
            name = annotation.partition("Depends(")[2].partition(")")[0].strip()
            values.append(("p", name))
        for value in values:
            for ref in self.resolver.value(at, value):
                yield from _targets(self.resolver, ref)

    def _overrides(self, at: At) -> None:
        """A call of a base class's method may run the override."""
        scopes = self.files[at[0]].scopes
        prefix = f"{at[1]}."
        for base in self.resolver.bases(at)[0]:
            for qual in list(scopes):
                if qual.startswith(prefix) and "." not in qual[len(prefix) :]:
                    inner = f"{base[1]}.{qual[len(prefix) :]}"
                    if inner in self.files[base[0]].scopes:
                        self.graph.edges[(base[0], inner)][(at[0], qual)] = None
