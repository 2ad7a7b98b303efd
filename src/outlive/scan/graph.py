"""Who calls whom, who makes which objects, and what is passed along."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from outlive.scan.places import Place
from outlive.scan.resolve import At, Ref, Resolver
from outlive.scan.slots import Key
from outlive.scan.summary import Call, Scope, Summary, Val
from outlive.scan.words import word_set

COMMON = word_set("""
    get set add append update pop items values keys clear remove insert close open read write send join split format
    encode decode strip run start stop copy extend count index sort replace find lower upper save load delete create
    connect execute commit put filter all first exists wait cancel result info debug warning error exception log
    is_set acquire release recv emit flush seek setdefault startswith endswith discard match search group json text
    dict isoformat""")
_GIVEN = frozenset({"slot", "copy", "inst", "func"})
_TELLING = frozenset({"p", "c", "u"})
MOST_GIVEN = 8
SHORTEST_NAME = 5


def give(files: dict[str, Summary], resolver: Resolver) -> None:
    """Parameters learn what calls give them, in two rounds, for helpers of helpers."""
    calls = [((path, qual), scope) for path, file in files.items() for qual, scope in file.scopes.items()]
    for at, scope in calls:
        _give_all(resolver, at, scope)
    if resolver.given:
        resolver.forget_given()
        receivers = {(path, qual) for path, qual, _ in resolver.given}
        for at in sorted(receivers):
            _give_all(resolver, at, resolver.scope(at))
        resolver.forget_given()


def _give_all(resolver: Resolver, at: At, scope: Scope) -> None:
    place = resolver.place(at)
    for call in scope.calls:
        if call.args or call.kwargs:
            args = [value if value[0] in _TELLING else None for value in call.args]
            named = [(name, value) for name, value in call.kwargs if value[0] in _TELLING]
            if named or any(args):
                _give(resolver, place, call.path, args, named)


def _give(resolver: Resolver, place: Place, path: str, args: list[Val | None], named: list[tuple[str, Val]]) -> None:
    """Tells the functions that a call runs what it passes; values that tell nothing are None."""
    for ref in resolver.meaning(place, path):
        for target in _targets(resolver, ref):
            for name, value in zip(resolver.place(target).given(), args, strict=False):
                if value is not None:
                    _learn(resolver, (target[0], target[1], name), place, value)
            for name, value in named:
                _learn(resolver, (target[0], target[1], name.lstrip("*")), place, value)


def _learn(resolver: Resolver, param: Key, place: Place, value: Val) -> None:
    known = resolver.given.get(param)
    if known is None or len(known) < MOST_GIVEN:
        for given in resolver.worth(place, value):
            known = resolver.given[param]
            if given.kind in _GIVEN and len(known) < MOST_GIVEN:
                known[given] = None


def _targets(resolver: Resolver, ref: Ref) -> Iterator[At]:
    """The functions that calling something runs."""
    if ref.kind == "func":
        yield (ref.key[0], ref.key[1])
    elif ref.kind in {"class", "inst"}:
        for name in ("__init__", "__post_init__", "__new__") if ref.kind == "class" else ("__call__",):
            for inner in resolver.attribute((ref.key[0], ref.key[1]), name):
                if inner.kind == "func":
                    yield (inner.key[0], inner.key[1])


class Graph:
    """`after` gives the scopes that a scope runs, worked out when asked; `made` where each class is instantiated."""

    def __init__(self, files: dict[str, Summary], resolver: Resolver) -> None:
        self.files = files
        self.resolver = resolver
        self.made: dict[At, set[At]] = defaultdict(set)
        self.methods: dict[str, list[At]] = defaultdict(list)
        self._edges: dict[At, dict[At, None]] = {}
        self._overridden: dict[At, list[At]] = defaultdict(list)
        meaning = resolver.aliases.classes()
        for path, file in files.items():
            for qual, scope in file.scopes.items():
                at = (path, qual)
                if scope.kind == "class":
                    self._overrides(at)
                elif (
                    scope.kind == "function"
                    and scope.name not in COMMON
                    and (not scope.parent or resolver.owner(path, qual))
                ):
                    self.methods[scope.name].append(at)
                for call in scope.calls:
                    if call.path.rpartition(".")[2] in meaning or call.path[-1] in ")]":
                        self._makes(at, call)

    def _makes(self, at: At, call: Call) -> None:
        for ref in self.resolver.resolve(at, call.path):
            if ref.kind == "class":
                self.made[(ref.key[0], ref.key[1])].add(at)

    def after(self, at: At) -> Iterable[At]:
        """The scopes that a scope calls, hands over or returns, and the overrides of a method."""
        edges = self._edges.get(at)
        if edges is None:
            edges = self._edges[at] = {}
            place = self.resolver.place(at)
            scope = place.scope
            for call in scope.calls:
                self._call(place, edges, call)
            self._values(at, edges, scope)
            edges.update(dict.fromkeys(self._overridden.get(at, ())))
        return edges

    def _call(self, place: Place, edges: dict[At, None], call: Call) -> None:
        at = place.at
        refs = self.resolver.meaning(place, call.path)
        found = False
        for ref in refs:
            found = found or ref.kind == "class"
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

    def _values(self, at: At, edges: dict[At, None], scope: Scope) -> None:
        """Functions that are returned or bound, decorators, and dependencies of parameters."""
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
        for base in self.resolver.bases(at)[0]:
            scopes = self.files[base[0]].scopes
            for name in self.resolver.inside(at):
                inner = f"{base[1]}.{name}"
                if inner in scopes:
                    self._overridden[(base[0], inner)].append((at[0], f"{at[1]}.{name}"))
