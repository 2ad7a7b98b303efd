"""A scope as names are followed in it: what it binds, sorted by name, and the answers it gave so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from outlive.scan.slots import At
from outlive.scan.summary import Bind, Import, Scope


class Ref(NamedTuple):
    """`kind` is slot, copy, items, class, inst, func, mod or ext; `depth` counts levels inside a slot."""

    kind: str
    key: tuple[str, ...]
    depth: int = 0


Refs = tuple[Ref, ...]


class Place:
    """A scope with its path; `up` is the scope around it, `owner` the class whose method it is, `held` its slots.

    `firm` and `loose` are the answers given so far: `loose` ones may change when parameters learn what they are given.
    """

    __slots__ = (
        "at",
        "binds",
        "firm",
        "held",
        "imports",
        "inner",
        "instance",
        "loose",
        "names",
        "owner",
        "params",
        "scope",
        "sorted",
        "up",
    )

    def __init__(self, at: At, scope: Scope, up: Place | None) -> None:
        self.at = at
        self.scope = scope
        self.up = up
        self.owner = up if up is not None and scope.kind == "function" and up.scope.kind == "class" else None
        self.firm: dict[str, Refs] = {}
        self.loose: dict[str, Refs] = {}
        self.held: dict[str, Refs] = {}
        self.instance: Refs = (Ref("inst", at),) if scope.kind == "class" else ()
        self.names: tuple[str, ...] | None = None
        self.sorted = False
        self.inner: dict[str, Refs] = {}
        self.params: dict[str, int] = {}
        self.binds: dict[str, list[Bind]] = {}
        self.imports: dict[str, Import] = {}

    @property
    def static(self) -> bool:
        """Whether a function is a static method."""
        return any(each.path == "staticmethod" for each in self.scope.decorators)

    def given(self) -> tuple[str, ...]:
        """The names of what a caller passes by position, without `self`."""
        if self.names is None:
            first = 1 if self.owner is not None and not self.static else 0
            self.names = tuple(each.name.lstrip("*") for each in self.scope.params[first:])
        return self.names

    def sort(self, inner: dict[str, Refs]) -> None:
        """Sorts what the scope binds by name; `inner` are the scopes directly inside it."""
        self.sorted = True
        self.inner = inner
        scope = self.scope
        for position, param in enumerate(scope.params):
            self.params.setdefault(param.name.lstrip("*"), position)
        shared = scope.shared
        for bind in scope.binds:
            if bind.target not in shared:
                known = self.binds.get(bind.target)
                if known is None:
                    self.binds[bind.target] = [bind]
                else:
                    known.append(bind)
        for each in scope.imports:
            if each.local and each.local != "*":
                self.imports[each.local] = each


BUSY: Refs = (Ref("busy", ()),)
DEEPEST = 80


class Answers:
    """Remembers what was answered at each place.

    `asked` grows with every look at what a parameter is given, and with every answer cut short by a circle: an answer
    that was worked out without either is firm.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._depth = 0

    def answer(self, place: Place, text: str, work: Callable[[Place, str], Refs]) -> Refs:
        """What `work` gives, remembered under the text; nothing while the same question is being answered."""
        firm = place.firm
        found = firm.get(text)
        if found is not None:
            if found is BUSY:
                self.asked += 1
                return ()
            return found
        found = place.loose.get(text)
        if found is not None:
            self.asked += 1
            return found
        if self._depth > DEEPEST:
            self.asked += 1
            return ()
        asked = self.asked
        self._depth += 1
        firm[text] = BUSY
        try:
            found = work(place, text)
        except BaseException:
            del firm[text]
            self._depth -= 1
            raise
        self._depth -= 1
        if self.asked == asked:
            firm[text] = found
        else:
            del firm[text]
            place.loose[text] = found
        return found
