"""stateful-lru-cache: `functools.lru_cache` on a function that changes state or hands out a container.

The cache makes the container it returns a singleton, and skips the change whenever it answers from memory.

    @lru_cache
    def get_carts() -> dict[str, Cart]:
        return {}
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.slots import At, Slot, Sources
from outlive.scan.summary import Scope, Val

NAME = "stateful-lru-cache"
MEMOS = frozenset({"lru_cache", "cache", "cached", "memoize", "alru_cache"})
WRITES = frozenset({"insert_one", "insert_many", "update_one", "commit", "bulk_create"})
DRAWS = frozenset({"uuid4", "uuid1", "token_hex", "token_urlsafe", "randint", "random", "choice", "randrange"})


def find(sources: Sources) -> Iterator[Slot]:
    """Memoised functions that return a new empty container, or that change something outside."""
    for at, scope in sources.scopes("function"):
        if not any(each.path.rsplit(".", 1)[-1] in MEMOS for each in scope.decorators):
            continue
        kind = _handed_out(sources, at, scope)
        if kind:
            key = (at[0], at[1], "()")
            yield Slot(key, at[0], scope.line, scope.end, scope.qual, "function", NAME, kind, scope.returns_annotation)
        elif _changes(scope):
            slot = Slot((at[0], at[1], "memo"), at[0], scope.line, scope.end, scope.qual, "memo", NAME, "lru_cache")
            slot.facts["changes"] = "yes"
            yield slot


def _handed_out(sources: Sources, at: At, scope: Scope) -> str:
    for value, _ in scope.returns:
        if value[0] == "k" and not value[2] and value[1] != "generator":
            return sources.container_of(at, value)
    return ""


def _changes(scope: Scope) -> bool:
    rebound = any(bind.target in scope.shared for bind in scope.binds) or any(
        op.path in scope.shared for op in scope.ops if op.how == "augment"
    )
    drawn = any(value[0] == "c" and _draws(value) for value, _ in scope.returns)
    return rebound or drawn or any(call.path.rsplit(".", 1)[-1] in WRITES for call in scope.calls)


def _draws(value: Val) -> bool:
    """Whether a value is drawn anew each time, so that remembering it makes it a fact."""
    if value[0] == "c":
        return value[1].rsplit(".", 1)[-1] in DRAWS or any(_draws(each) for each in value[2])
    return value[0] == "p" and value[1].endswith(".hex") and "uuid" in value[1]
