"""memory-database: a real database that was told to live in memory only.

`sqlite3` and SQLAlchemy on `:memory:`, Tortoise on `sqlite://:memory:`, TinyDB on `MemoryStorage`, fakeredis,
Django's `LocMemCache`: tables, queries and all, gone with the process.

    conn = sqlite3.connect(":memory:", check_same_thread=False)
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.slots import At, Slot, Sources
from outlive.scan.summary import Val

NAME = "memory-database"
_MAKERS = {
    "connect": "sqlite :memory:", "create_engine": "sqlite :memory:", "create_async_engine": "sqlite :memory:",
    "init": "sqlite :memory:", "SqliteDatabase": "sqlite :memory:", "Database": "sqlite :memory:",
    "register_tortoise": "sqlite :memory:", "dict": "sqlite :memory:", "SqliteExtDatabase": "sqlite :memory:",
}  # fmt: skip
_NAMES = frozenset({"TinyDB", "FakeRedis", "FakeStrictRedis", "FakeAsyncRedis", "MongoClient", "FakeServer", *_MAKERS})
_FAKES = ("fakeredis.", "mongomock.", "fakeredis")


def find(sources: Sources) -> Iterator[Slot]:
    """One candidate a binding, or a line, that opens a database in memory."""
    for path, file in sources.files.items():
        for qual, scope in file.scopes.items():
            lines: set[int] = set()
            for bind in scope.binds:
                kind = _kind(sources, (path, qual), bind.value)
                if kind:
                    lines.add(bind.line)
                    if scope.kind == "function" and any(each.path == f"{bind.target}.close" for each in scope.calls):
                        continue  # tried out and closed
                    name = bind.target
                    symbol = _symbol(qual, scope.kind, name, sources.resolver.owner(path, qual))
                    yield Slot((path, qual, name), path, bind.line, bind.end, symbol, "database", NAME, kind)
            for call in scope.calls:
                if call.path.rpartition(".")[2] not in _NAMES:
                    continue
                value: Val = ("c", call.path, call.args, call.kwargs)
                if call.line not in lines and (kind := _kind(sources, (path, qual), value)):
                    lines.add(call.line)
                    symbol = f"{qual}.{call.path}" if qual else call.path
                    yield Slot(
                        (path, qual, f"line {call.line}"), path, call.line, call.line, symbol, "database", NAME, kind
                    )


def _symbol(qual: str, kind: str, name: str, owner: At | None) -> str:
    if owner is not None and name.startswith("self."):
        return f"{owner[1]}.{name[5:]}"
    return f"{qual}.{name}" if qual else name


def _kind(sources: Sources, at: At, value: Val) -> str:
    if value[0] != "c":
        return _django(value)
    name = value[1].rsplit(".", 1)[-1]
    if name not in _NAMES:
        return ""
    texts = [*value[2], *(inner for _, inner in value[3])]
    if name == "TinyDB":
        kept = [each[1] for each in texts if each[0] == "p"]
        return "TinyDB MemoryStorage" if any(each.endswith("MemoryStorage") for each in kept) else ""
    if name in _MAKERS and any(_memory(sources, at, each, name) for each in texts):
        return _MAKERS[name]
    if name in {"FakeRedis", "FakeStrictRedis", "FakeAsyncRedis", "MongoClient", "FakeServer"}:
        refs = sources.resolver.resolve(at, value[1])
        if any(ref.kind == "ext" and ref.key[0].startswith(_FAKES) for ref in refs):
            return "fakeredis" if "Redis" in name or name == "FakeServer" else "mongomock"
    return ""


def _memory(sources: Sources, at: At, value: Val, maker: str) -> bool:
    if value[0] == "l" and value[1] == "str":
        text = value[2]
        if maker in {"create_engine", "create_async_engine"} and text in {
            "sqlite://",
            "sqlite+aiosqlite://",
            "sqlite:///",
        }:
            return True
        return ":memory:" in text or "mode=memory" in text
    if value[0] == "p" and "." not in value[1]:
        path = at[0]
        binds = [each for each in sources.files[path].scopes[""].binds if each.target == value[1]]
        return any(each.value != value and _memory(sources, (path, ""), each.value, maker) for each in binds[:3])
    if value[0] == "k" and value[1] == "dict":
        return any(_memory(sources, at, inner, maker) for _, inner, _ in value[4])
    return False


def _django(value: Val) -> str:
    """Settings such as CACHES and DATABASES that name a memory back end."""
    if value[0] == "k" and value[1] == "dict":
        for name, inner, _ in value[4]:
            text = inner[2] if inner[0] == "l" and inner[1] == "str" else ""
            if name == "BACKEND" and text.endswith("LocMemCache"):
                return "Django LocMemCache"
            if name == "NAME" and (text == ":memory:" or "mode=memory" in text):
                return "sqlite :memory:"
            found = _django(inner)
            if found:
                return found
    return ""
