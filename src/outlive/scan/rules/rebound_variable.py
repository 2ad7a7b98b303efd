"""rebound-variable: a plain number, text or time that functions bind anew by `global` or `nonlocal`.

INVOICE_COUNTER = 0

def next_number():
    global INVOICE_COUNTER
    INVOICE_COUNTER += 1
    return f"INV-{INVOICE_COUNTER}"
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.annotations import kind_of, parts
from outlive.scan.slots import At, Key, Slot, Sources
from outlive.scan.summary import Bind, Scope, Val

NAME = "rebound-variable"
_PLAIN = frozenset({"int", "float", "str", "bytes", "bool", "datetime", "date", "Decimal", "complex"})
_TIMES = (
    "datetime.now",
    "datetime.utcnow",
    "time.time",
    "date.today",
    "datetime.min",
    "time.monotonic",
    "perf_counter",
)


def find(sources: Sources) -> Iterator[Slot]:
    """Names under `global` or `nonlocal` that hold plain values, or containers that only functions bind."""
    seen: set[Key] = set()
    for at, scope in sources.scopes("function"):
        for name, word in scope.shared.items():
            owner = _owner(sources, at, scope, name, word)
            if owner is None or (owner[0], owner[1], name) in seen:
                continue
            seen.add((owner[0], owner[1], name))
            slot = _slot(sources, owner, name, word)
            if slot is not None:
                yield slot


def _owner(sources: Sources, at: At, scope: Scope, name: str, word: str) -> At | None:
    if word == "global":
        return (at[0], "")
    scopes = sources.files[at[0]].scopes
    outer = scope.parent
    while outer:
        if scopes[outer].kind == "function" and any(bind.target == name for bind in scopes[outer].binds):
            return (at[0], outer)
        outer = scopes[outer].parent
    return None


def _slot(sources: Sources, owner: At, name: str, word: str) -> Slot | None:
    file = sources.files[owner[0]]
    first = next((bind for bind in file.scopes[owner[1]].binds if bind.target == name), None)
    rebinds = [
        ((owner[0], qual), bind)
        for qual, scope in file.scopes.items()
        if scope.shared.get(name) == word
        for bind in scope.binds
        if bind.target == name
    ]
    if first is None:
        if not rebinds:
            return None
        first = rebinds[0][1]
    kind = _kind(sources, owner, first, [bind for _, bind in rebinds])
    if not kind:
        return None
    symbol = f"{owner[1]}.{name}" if owner[1] else name
    where = "module" if word == "global" else "closure"
    slot = Slot(
        (owner[0], owner[1], name), owner[0], first.line, first.end, symbol, where, NAME, kind, first.annotation
    )
    slot.values = [(owner, first.value), *((at, bind.value) for at, bind in rebinds)]
    return slot


def _kind(sources: Sources, owner: At, first: Bind, rebinds: list[Bind]) -> str:
    if sources.container(owner, first) and first.value[0] != "n":
        return ""
    if first.annotation:
        stated = parts(first.annotation)[0]
        if stated in _PLAIN:
            return stated
        if kind_of(first.annotation):
            return kind_of(first.annotation)
    for bind in (first, *rebinds):
        found = plain(bind.value)
        if found:
            return found
    for bind in rebinds:
        found = sources.container(owner, bind)
        if found:
            return found
    return ""


def plain(value: Val) -> str:
    """The type of a plain value, empty for anything else (None included)."""
    if value[0] == "l" and value[1] in _PLAIN:
        return str(value[1])
    if value[0] == "c" and value[1].endswith(_TIMES):
        return "float" if "time.time" in value[1] or value[1].endswith(("monotonic", "perf_counter")) else "datetime"
    return ""
