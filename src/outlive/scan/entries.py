"""Where the outside world, or time, runs code: routes, bot commands, message handlers, timers, threads, loops.

find(files, resolver)  ->  {scope: Entry}
reach(entries, graph)  ->  {scope: the entries that lead to it, nearest first}
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import replace

from outlive.scan.catalogue import Entry
from outlive.scan.door_tables import (
    APPLICATIONS,
    BOT,
    CALLBACK_ATTRIBUTES,
    CLASS_METHODS,
    CLICK,
    CONSTRUCTORS,
    CONVENTION,
    DISCORD,
    HTTP,
    MESSAGE,
    ON_INSTANCE_ONLY,
    REGISTER,
    RUNNERS,
    SCHEDULE,
    STARTUP,
    TALKS,
    TASK,
    VERBS,
)
from outlive.scan.graph import Graph
from outlive.scan.resolve import At, Resolver
from outlive.scan.summary import Call, Decorator, Import, Scope, Summary, Val

MOST_ENTRIES = 8
OUTSIDE = frozenset({"http", "bot", "message", "websocket"})


_ROUTE_LIKE = re.compile(r"^/(?!/)", re.MULTILINE)
_NO_ROUTERS = frozenset({"re", "os", "posixpath", "shutil", "subprocess", "sys", "glob"})
# what tests send reaches everything, and says nothing of what runs for long
TEST_FILES = re.compile(r"(^|/)(tests?/|test_[^/]*\.py$|[^/]*_tests?\.py$|conftest\.py$|tests\.py$)")


def find(files: dict[str, Summary], resolver: Resolver) -> dict[At, Entry]:
    """Every door, by the scope that it opens."""
    finder = _Finder(files, resolver)
    for path, file in files.items():
        if TEST_FILES.search(path):
            continue
        for qual, scope in file.scopes.items():
            finder.scope((path, qual), scope)
    return finder.found


class _Finder:
    def __init__(self, files: dict[str, Summary], resolver: Resolver) -> None:
        self.files = files
        self.resolver = resolver
        self.found: dict[At, Entry] = {}

    def scope(self, at: At, scope: Scope) -> None:
        if scope.kind == "function":
            for decorator in scope.decorators:
                entry = self._decorated(at, scope, decorator)
                if entry is not None:
                    self._add(at, entry)
                    break
            self._loop(at, scope)
        elif scope.kind == "class":
            self._class(at, scope)
        for call in scope.calls:
            self._registered(at, call)
        for bind in scope.binds:
            name = bind.target.rsplit(".", 1)[-1]
            if (
                "." in bind.target
                and name in CALLBACK_ATTRIBUTES
                and bind.value[0] == "p"
                and not bind.target.startswith("self.")
            ):
                self._targets(at, bind.value, Entry("message", "callback", name, at[0], bind.line))
        if (
            scope.name in {"lifespan", "main", "startup", "on_startup", "create_app", "make_app"}
            and at not in self.found
        ):
            kind = "cli" if scope.name == "main" else "startup"
            self._add(at, Entry(kind, "python", scope.name, at[0], scope.line), weak=True)
        if scope.kind == "function" and not scope.parent:
            names = [each.name for each in scope.params]
            if names in (["environ", "start_response"], ["scope", "receive", "send"]):
                self._add(at, Entry("http", "wsgi" if len(names) == 2 else "asgi", scope.name, at[0], scope.line))

    def _add(self, at: At, entry: Entry, *, weak: bool = False) -> None:
        known = self.found.get(at)
        better = known is not None and (
            known.kind in {"startup", "cli"}
            or (known.framework == "loop" and entry.kind in {"websocket", "http", "bot"})
        )
        if known is None or (better and not weak):
            self.found[at] = entry

    def _decorated(self, at: At, scope: Scope, decorator: Decorator) -> Entry | None:
        base, _, name = decorator.path.rpartition(".")
        outer = (at[0], scope.parent)
        refs = self.resolver.resolve(outer, decorator.path)
        if any(ref.kind in {"func", "class"} for ref in refs):
            return None
        origin = next((ref.key[0] for ref in refs if ref.kind == "ext"), "") or self._origin(outer, base or name)
        if origin.startswith(
            ("functools", "contextlib", "abc.", "typing", "dataclasses", "pytest", "unittest", "builtins", "hypothesis")
        ):
            return None
        kind = self._kind(base, name, origin, decorator)
        unknown = kind == "bot" and name in {"command", "group"} and not origin.startswith(DISCORD)
        if unknown and self._clicks(outer, base):
            kind = "cli"
        if not kind:
            return None
        title = _title(kind, base, name, scope, decorator)
        if kind in {"http", "websocket"}:
            verb, _, path = title.partition(" ")
            title = f"{verb} {self._prefix(outer, base)}{path}"
        return Entry(kind, _framework(origin), title, at[0], scope.line)

    def _prefix(self, at: At, base: str) -> str:
        """What a router or blueprint puts before its paths, empty when it says nothing."""
        scope: Scope | None = self.resolver.scope(at)
        while scope is not None:
            for bind in scope.binds:
                if bind.target == base and bind.value[0] == "c":
                    stated = dict(bind.value[3])
                    return next(
                        (
                            _text(stated[each])
                            for each in ("prefix", "url_prefix")
                            if each in stated and stated[each][0] == "l"
                        ),
                        "",
                    )
            scope = self.files[at[0]].scopes[scope.parent] if scope.qual else None
        return ""

    def _origin(self, at: At, path: str) -> str:
        root = path.split(".", maxsplit=1)[0].split("(", maxsplit=1)[0]
        refs = self.resolver.resolve(at, path) or self.resolver.name(at, root)
        return next((ref.key[0] for ref in refs if ref.kind == "ext"), "")

    def _kind(self, base: str, name: str, origin: str, decorator: Decorator) -> str:
        if name in {"setter", "getter", "deleter", "register", "validator", "fixture", "parametrize", "patch", "cache"}:
            return ""
        if (
            origin.startswith(CLICK)
            or base.endswith(("cli", ".cli"))
            or (name in {"command", "group"} and "click" in base)
        ):
            return "cli"
        if name in {"on_event", "listener", "on", "connect"} and decorator.args and _text(decorator.args[0]) in STARTUP:
            return "startup"
        if name in STARTUP or (base.endswith(("on_startup", "on_shutdown")) and not decorator.called):
            return "startup"
        if name in {"websocket", "websocket_route"}:
            return "websocket"
        if name in SCHEDULE and (base or origin):
            return "schedule"
        if name in TASK:
            return "task"
        if name in BOT and base and not (name in {"group", "command"} and origin.startswith(CLICK)):
            return "bot" if name != "event" or "socket" not in origin else "message"
        if name in HTTP and (
            base or name not in ON_INSTANCE_ONLY or "litestar" in origin or "sanic" in origin or "bottle" in origin
        ):
            return "http"
        if (name in MESSAGE and base and decorator.called) or name == "tool":
            return "message"
        return (
            "bot"
            if base and origin.startswith(DISCORD) and decorator.called and not name.startswith(("check", "has_"))
            else ""
        )

    def _loop(self, at: At, scope: Scope) -> None:
        """An endless loop that waits for something is a door, unless a better one is known."""
        if not scope.loops or at in self.found:
            return
        kind = "cli" if scope.loops in {"input", "prompt", "raw_input"} else "thread"
        self._add(at, Entry(kind, "loop", f"loop in {scope.name}", at[0], scope.line), weak=True)

    def _class(self, at: At, scope: Scope) -> None:
        inside, outside = self.resolver.bases(at)
        names = {each.rsplit(".", 1)[-1].rstrip("()") for each in outside}
        grpc = any(
            (each.endswith(("Servicer", "Base")) and "grpc" in each.lower()) or each.endswith("Servicer")
            for each in (*names, *(base[1].rsplit(".", 1)[-1] for base in inside))
        )
        for bases, kind, framework, prefixes in CLASS_METHODS:
            if not names.intersection(bases):
                continue
            if (
                kind == "bot"
                and not any(each.startswith(DISCORD) for each in outside)
                and names.intersection({"Client", "View", "Button", "Select"})
            ):
                continue
            self._methods(at, kind, framework, prefixes)
        if grpc:
            self._methods(at, "message", "grpc", ("",))
        for name in CONVENTION:
            method = (at[0], f"{at[1]}.{name}")
            if method[1] in self.files[at[0]].scopes and len(self.files[at[0]].scopes[method[1]].params) > 1:
                line = self.files[at[0]].scopes[method[1]].line
                self._add(method, Entry("message", "convention", f"{at[1]}.{name}", at[0], line), weak=True)
        for bind in scope.binds:
            if outside and bind.target in {"get", "post"} and bind.value[0] == "p":
                self._targets(at, bind.value, Entry("http", "http", bind.target.upper(), at[0], bind.line))

    def _methods(self, at: At, kind: str, framework: str, prefixes: tuple[str, ...]) -> None:
        for qual, scope in self.files[at[0]].scopes.items():
            if (
                scope.parent != at[1]
                or scope.kind != "function"
                or (scope.name.startswith("__") and scope.name != "__call__")
            ):
                continue
            if any(
                scope.name == each or ((each.endswith("_") or not each) and scope.name.startswith(each))
                for each in prefixes
            ):
                title = scope.name.removeprefix("do_")
                self._add((at[0], qual), Entry(kind, framework, f"{at[1]}.{title}", at[0], scope.line))

    def _registered(self, at: At, call: Call) -> None:
        name = call.path.rsplit(".", 1)[-1]
        kind, framework = REGISTER.get(name) or CONSTRUCTORS.get(name) or ("", "")
        if _ROUTE_LIKE.search("\n".join(each[2] for each in call.args if each[0] == "l" and each[1] == "str")) and (
            call.path.split(".", maxsplit=1)[0] not in _NO_ROUTERS
        ):
            kind, framework = (kind, framework) if kind in {"http", "websocket"} else ("http", "http")
        if not kind:
            return
        if name == "Rule" and not any(each.module.startswith("werkzeug") for each in self._imports(at, name)):
            return
        if name in CONSTRUCTORS and any(ref.kind == "class" for ref in self.resolver.resolve(at, call.path)):
            return  # a class of this tree that only bears a framework's name
        if any(ref.kind == "func" for ref in self.resolver.resolve(at, call.path)):
            framework = "own"
        if call.path.endswith(("event.listen", "event.listens_for")):
            return
        if name in {"on", "connect", "bind", "handle", "listen", "observe", "register"} and not call.args:
            return
        title = next((f"{each[2]}" for each in call.args if each[0] == "l" and each[1] == "str"), "")
        label = {"http": f"{name.removeprefix('add_').upper()} {title}" if name in VERBS else title}.get(kind, title)
        entry = Entry(kind, framework, label or f"{name} at line {call.line}", at[0], call.line)
        for value in (*call.args, *(each for _, each in call.kwargs)):
            self._targets(at, value, entry)
            if value[0] == "k":
                for _, inner, _ in value[4]:
                    self._targets(at, inner, entry)

    def _targets(self, at: At, value: Val, entry: Entry) -> None:
        if value[0] == "c" and value[1].endswith(".as_view"):
            entry = replace(entry, framework="http")
        if value[0] == "c":
            if entry.kind in {"task", "cli"} or value[1].endswith((".as_view", "partial")):
                inner = (
                    value[2][0]
                    if value[1].endswith("partial") and value[2]
                    else ("p", value[1].removesuffix(".as_view"))
                )
                self._targets(at, inner, entry)
            return
        if value[0] != "p":
            return
        for ref in self.resolver.value(at, value):
            if ref.kind == "func":
                if entry.framework == "discord" and self._of_click((ref.key[0], ref.key[1])):
                    continue
                name = entry.name if "line" not in entry.name else self.resolver.scope((ref.key[0], ref.key[1])).name
                self._add((ref.key[0], ref.key[1]), Entry(entry.kind, entry.framework, name, entry.path, entry.line))
            elif ref.kind in {"class", "inst"} and entry.kind in {"http", "message", "websocket"}:
                self._methods(
                    (ref.key[0], ref.key[1]),
                    entry.kind,
                    entry.framework,
                    ("get", "post", "put", "patch", "delete", "on_", "handle_", "__call__", "dispatch"),
                )

    def _imports(self, at: At, name: str) -> list[Import]:
        return [each for each in self.files[at[0]].scopes[""].imports if each.local == name]

    def _clicks(self, at: At, base: str) -> bool:
        """Whether `base.command` belongs to a command line: `base` is a group, or the file knows only click."""
        refs = [ref for ref in self.resolver.resolve(at, base) if ref.kind == "func"]
        if any(self._of_click((ref.key[0], ref.key[1])) for ref in refs):
            return True
        roots = {each.module.split(".")[0] for each in self.files[at[0]].scopes[""].imports}
        return bool(roots & {"click", "typer", "rich_click", "asyncclick"}) and not roots & set(DISCORD)

    def _of_click(self, at: At) -> bool:
        """Whether a function is a command of a command line, which `add_command` joins to a group."""
        outer = (at[0], self.resolver.scope(at).parent)
        return any(self._origin(outer, each.path).startswith(CLICK) for each in self.resolver.scope(at).decorators)


def _framework(origin: str) -> str:
    return origin.split(".", maxsplit=1)[0].rstrip("()") or "python"


def _text(value: Val) -> str:
    return str(value[2]) if value[0] == "l" else value[1].rsplit(".", 1)[-1] if value[0] == "p" else ""


def _title(kind: str, base: str, name: str, scope: Scope, decorator: Decorator) -> str:
    first = next((each[2] for each in decorator.args if each[0] == "l" and each[1] == "str"), "")
    stated = dict(decorator.kwargs)
    if kind in {"http", "websocket"}:
        path = (
            first
            or next((_text(stated[each]) for each in ("path", "rule", "url_path") if each in stated), "")
            or f"/{scope.name}"
        )
        verb = {"route": "GET", "api_route": "GET", "websocket": "WS", "websocket_route": "WS"}.get(name, name.upper())
        methods = stated.get("methods")
        if methods is not None and methods[0] in {"k", "t"}:
            found = [_text(each) for each in (methods[1] if methods[0] == "t" else [one for _, one, _ in methods[4]])]
            verb = ",".join(found) or verb
        return f"{verb} {path}"
    if kind == "bot":
        return _text(stated["name"]) if "name" in stated else first or scope.name
    if kind == "schedule":
        return (
            f"{scope.name} every " + ", ".join(f"{key} {_text(each)}" for key, each in decorator.kwargs)
            if decorator.kwargs
            else scope.name
        )
    return first or scope.name


def reach(entries: dict[At, Entry], graph: Graph) -> dict[At, tuple[Entry, ...]]:
    """The entries that lead to each scope, nearest first, at most MOST_ENTRIES; a door leads to itself."""
    found: dict[At, dict[Entry, None]] = defaultdict(dict)
    queue: deque[tuple[At, Entry]] = deque((at, entry) for at, entry in entries.items())
    for at, entry in queue:
        found[at][entry] = None
    while queue:
        at, entry = queue.popleft()
        for target in graph.after(at):
            known = found[target]
            if entry not in known and len(known) < MOST_ENTRIES:
                known[entry] = None
                queue.append((target, entry))
    return {at: tuple(each) for at, each in found.items()}


def runs(path: str) -> bool:
    """Whether a call hands the process over to a server, a bot or an event loop."""
    return path.rsplit(".", 1)[-1] in RUNNERS or path in {
        "app.run",
        "bot.run",
        "client.run",
        "uvicorn.run",
        "reactor.run",
    }


def applies(file: Summary) -> bool:
    """Whether a file makes an application, rather than parts for those of others."""
    if TEST_FILES.search(file.path):
        return False
    if file.path.endswith(("manage.py", "wsgi.py", "asgi.py", "urls.py")):
        return True
    if any(each.module.split(".")[0] in TALKS for each in file.scopes[""].imports):
        return True
    return any(
        runs(call.path) or call.path.rsplit(".", 1)[-1] in APPLICATIONS
        for scope in file.scopes.values()
        for call in scope.calls
    )


def started(files: dict[str, Summary], entries: dict[At, Entry], graph: Graph) -> set[At]:
    """The functions that importing a module, a main function or a start-up hook runs."""
    queue = deque(
        (path, qual) for path, file in files.items() for qual, scope in file.scopes.items() if scope.kind != "function"
    )
    queue.extend(at for at, entry in entries.items() if entry.kind in {"startup", "cli"})
    found = set(queue)
    while queue:
        for target in graph.after(queue.popleft()):
            if target not in found:
                found.add(target)
                queue.append(target)
    return found


def serving(entries: Iterator[Entry] | tuple[Entry, ...]) -> bool:
    """Whether one of the entries is more than start-up or a command that ends."""
    return any(each.kind not in {"startup", "cli"} or each.framework in {"loop", "cmd"} for each in entries)
