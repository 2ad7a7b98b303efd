"""Who loads and dumps which data file: files are told apart by the constant, attribute or text that names them.

A helper that takes the file's name as a parameter is followed to its callers, two levels up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from operator import itemgetter
from typing import NamedTuple

from outlive.scan.slots import At, Key, Sources
from outlive.scan.summary import OTHER, Call, Import, Scope, Val

DUMPS = {
    "json.dump": "json",
    "json.dumps": "json",
    "yaml.dump": "yaml",
    "yaml.safe_dump": "yaml",
    "toml.dump": "toml",
    "toml.dumps": "toml",
    "pickle.dump": "pickle",
    "pickle.dumps": "pickle",
    "csv.writer": "csv",
    "csv.DictWriter": "csv",
    "orjson.dumps": "json",
    "ujson.dump": "json",
    "ujson.dumps": "json",
    "tomli_w.dump": "toml",
    "joblib.dump": "pickle",
    "simplejson.dump": "json",
    "simplejson.dumps": "json",
    "tomli_w.dumps": "toml",
    "jsonpickle.encode": "json",
}
LOADS = {
    "json.load": "json",
    "json.loads": "json",
    "yaml.safe_load": "yaml",
    "yaml.load": "yaml",
    "toml.load": "toml",
    "toml.loads": "toml",
    "tomllib.load": "toml",
    "tomllib.loads": "toml",
    "pickle.load": "pickle",
    "csv.reader": "csv",
    "csv.DictReader": "csv",
    "pickle.loads": "pickle",
    "orjson.loads": "json",
    "ujson.load": "json",
    "ujson.loads": "json",
    "simplejson.load": "json",
    "simplejson.loads": "json",
    "tomli.load": "toml",
    "joblib.load": "pickle",
    "jsonpickle.decode": "json",
    "tomli.loads": "toml",
}
OPENERS = frozenset({"open", "io.open", "aiofiles.open", "codecs.open", "atomic_write", "builtins.open"})
MOVERS = frozenset({"os.replace", "os.rename", "shutil.move"})
FRAMES = {"to_csv": "csv", "to_json": "json", "to_pickle": "pickle", "to_excel": "excel"}
FRAME_READS = {"read_csv": "csv", "read_json": "json", "read_pickle": "pickle", "read_excel": "excel"}


class Access(NamedTuple):
    """One load or dump: the file's key and name, where, and where the name is declared (path, line, end, symbol)."""

    key: Key
    symbol: str
    at: At
    line: int
    writes: bool
    form: str
    declared: tuple[str, int, int, str] | None


# functions that are told the file's name: by which parameter, whether they write, in what form; each once
Helpers = dict[At, dict[tuple[str, bool, str], None]]


class _Raw(NamedTuple):
    at: At
    line: int
    writes: bool
    form: str
    name: Val


def accesses(sources: Sources) -> Iterator[Access]:
    """Every load and dump of a data file whose name can be told."""
    helpers: Helpers = defaultdict(dict)
    raws: list[_Raw] = []
    for path, file in sources.files.items():
        if any(each.module.split(".")[0] in _MODULES for scope in file.scopes.values() for each in scope.imports):
            for qual, scope in file.scopes.items():
                raws.extend(_in_scope(sources, (path, qual), scope))
    for raw in raws:
        yield from _named(sources, raw, helpers)
    calls = _Calls(sources) if helpers else None
    for _ in range(2):
        if not helpers or calls is None:
            return
        found, helpers = helpers, defaultdict(dict)
        for raw in calls.of(found):
            yield from _named(sources, raw, helpers)


_MODULES = frozenset({each.split(".")[0] for each in (*DUMPS, *LOADS)} | {"pandas", "aiofiles"})


def _in_scope(sources: Sources, at: At, scope: Scope) -> Iterator[_Raw]:
    dumps = loads = ""
    opened: list[tuple[Call, bool, Val]] = []
    for call in scope.calls:
        name = call.path.rsplit(".", 1)[-1]
        if name in _LAST:
            dotted = _dotted(sources, at, call.path)
            dumps = DUMPS.get(dotted, dumps)
            loads = LOADS.get(dotted, loads)
        found = _opened(sources, at, call, name)
        if found is not None:
            opened.append((call, *found))
        if name in FRAMES and call.args:
            yield _Raw(at, call.line, True, FRAMES[name], call.args[0])
        elif name in FRAME_READS and call.args:
            yield _Raw(at, call.line, False, FRAME_READS[name], call.args[0])
    for call, writes, file in opened:
        if writes and (dumps or _writes_rows(scope)):
            yield _Raw(at, call.line, True, dumps, file)
        elif not writes and loads:
            yield _Raw(at, call.line, False, loads, file)


_LAST = frozenset({each.rsplit(".", 1)[-1] for each in (*DUMPS, *LOADS)})


def _writes_rows(scope: Scope) -> bool:
    return any(call.path.endswith((".model_dump_json", ".to_json", ".json")) for call in scope.calls)


def _opened(sources: Sources, at: At, call: Call, name: str) -> tuple[bool, Val] | None:
    """Whether a call opens a file for writing, and the value that names the file; None for other calls."""
    if call.path in OPENERS and call.args:
        mode = call.args[1] if len(call.args) > 1 else dict(call.kwargs).get("mode", ("l", "str", "r"))
        text = mode[2] if mode[0] == "l" else "r"
        return (any(char in text for char in "wax+"), call.args[0])
    base = call.path.rpartition(".")[0]
    if name == "open" and base and _dotted(sources, at, base) not in {"webbrowser", "Image", "os", "gzip"}:
        mode = call.args[0] if call.args else dict(call.kwargs).get("mode", ("l", "str", "r"))
        text = mode[2] if mode[0] == "l" and mode[1] == "str" else "r"
        return (any(char in text for char in "wax+"), ("p", base)) if len(text) <= 3 else None
    if name in {"write_text", "write_bytes"} and base:
        return (True, ("p", base))
    if call.path in MOVERS and len(call.args) == 2:
        return (True, call.args[1])
    if name in {"replace", "rename"} and base and len(call.args) == 1:
        return (True, call.args[0])
    if name in {"read_text", "read_bytes"} and base:
        return (False, ("p", base))
    return None


def _dotted(sources: Sources, at: At, path: str) -> str:
    for ref in sources.resolver.resolve(at, path):
        if ref.kind == "ext":
            return ref.key[0]
    return path


def _named(sources: Sources, raw: _Raw, helpers: Helpers) -> Iterator[Access]:
    found = name_of(sources, raw.at, raw.name)
    if found is None:
        return
    kind, key, symbol, declared = found
    if kind == "param":
        helpers[raw.at][(symbol, raw.writes, raw.form)] = None
    else:
        yield Access(key, symbol, raw.at, raw.line, raw.writes, raw.form, declared)


Named = tuple[str, Key, str, tuple[str, int, int, str] | None]


def name_of(sources: Sources, at: At, value: Val, depth: int = 0) -> Named | None:
    """How a value names a file: by text, by a constant or attribute, or as a parameter of the function."""
    if depth > 4:
        return None
    if value[0] == "l" and value[1] == "str" and value[2]:
        return ("text", (sources.service.get(at[0], ""), "file", value[2]), value[2], None)
    if value[0] == "b":
        parts = [name_of(sources, at, each, depth + 1) for each in value[1:]]
        return next((each for each in parts if each is not None and each[0] != "param"), parts[0] or parts[1])
    if value[0] == "u":
        return next((found for one in value[1] if (found := name_of(sources, at, one, depth + 1))), None)
    if value[0] == "c":
        for each in reversed(value[2]):
            found = name_of(sources, at, each, depth + 1)
            if found is not None:
                return found
        return _returned(sources, at, value, depth)
    if value[0] != "p":
        return None
    return _path_name(sources, at, value[1], depth)


def _returned(sources: Sources, at: At, value: Val, depth: int) -> Named | None:
    for ref in sources.resolver.resolve(at, value[1]):
        if ref.kind == "func":
            inner = (ref.key[0], ref.key[1])
            for returned, _ in sources.resolver.scope(inner).returns[:2]:
                found = name_of(sources, inner, returned, depth + 1)
                if found is not None and found[0] != "param":
                    return found
    return None


def _path_name(sources: Sources, at: At, path: str, depth: int) -> Named | None:
    root, _, rest = path.partition(".")
    root = root.split("(")[0].split("[")[0]
    scope = sources.resolver.scope(at)
    if root in {"self", "cls"} and rest:
        return _attribute(sources, at, rest.split(".")[0].split("(")[0], depth)
    local = next((each for each in scope.binds if each.target == root), None)
    kept = next((each.target for each in scope.binds if each.value == ("p", root)), "")
    if local is not None and kept.startswith("self.") and not rest:
        return _attribute(sources, at, kept.removeprefix("self."), depth)
    if local is not None and at[1]:
        return name_of(sources, at, local.value, depth + 1)
    if any(each.name == root for each in scope.params):
        return ("param", (at[0], at[1], root), root, None)
    return _module_name(sources, at, root, rest.split(".")[0].split("(")[0], depth)


def _attribute(sources: Sources, at: At, name: str, depth: int) -> Named | None:
    owner = sources.resolver.owner(*at)
    if owner is None:
        return None
    binds = sources.resolver.attributes.get(owner, {}).get(name, ())
    own = [each for each in sources.resolver.scope(owner).binds if each.target == name]
    for line, end in [(each.line, each.end) for _, each in binds] + [(each.line, each.end) for each in own]:
        symbol = f"{owner[1]}.{name}"
        return ("attribute", (owner[0], owner[1], name), symbol, (owner[0], line, end, symbol))
    return None


def _module_name(sources: Sources, at: At, root: str, rest: str, depth: int) -> Named | None:
    path: str | None = at[0]
    for _ in range(4):
        if path is None or path not in sources.files:
            return None
        module = sources.files[path].scopes[""]
        bind = next((each for each in module.binds if each.target == root), None)
        if bind is not None:
            if rest and bind.value[0] == "c" and not path.endswith("settings.py") and rest not in _PATH_PARTS:
                return ("constant", (path, "", f"{root}.{rest}"), f"{root}.{rest}", None)
            return ("constant", (path, "", root), root, (path, bind.line, bind.end, root))
        found = next((each for each in module.imports if each.local == root), None) or _star(sources, path, root)
        if found is None:
            return None
        target = sources.resolver.modules.of(path, found)
        if found.attribute and target is not None:
            child = sources.resolver.modules.child(target, found.attribute)
            path = child or target
            root, rest = (rest, "") if child else (found.attribute, rest)
        else:
            path, root, rest = target, rest, ""
    return None


def _star(sources: Sources, path: str, name: str) -> Import | None:
    """The import of a name that `from module import *` stands for."""
    for each in sources.files[path].scopes[""].imports:
        target = sources.resolver.modules.of(path, each) if each.local == "*" else None
        if target in sources.files and any(bind.target == name for bind in sources.files[target].scopes[""].binds):
            return each._replace(local=name, attribute=name)
    return None


_PATH_PARTS = frozenset({"open", "parent", "read_text", "write_text", "exists", "with_suffix", "joinpath", "format"})


class _Calls:
    """All calls by the last part of their path: who calls a helper is found without reading every call again."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.by_name: dict[str, list[tuple[int, At, Call]]] = defaultdict(list)
        order = count()
        for path, file in sources.files.items():
            for qual, scope in file.scopes.items():
                for call in scope.calls:
                    last = "()" if call.path[-1] in ")]" else call.path.rpartition(".")[2]
                    self.by_name[last].append((next(order), (path, qual), call))

    def of(self, helpers: Helpers) -> Iterator[_Raw]:
        """What the callers of helpers do, in the order of the files; a line that passes the same again counts once."""
        resolver = self.sources.resolver
        meaning = resolver.aliases.of({resolver.scope(at).name for at in helpers})
        calls = sorted((each for name in {*meaning, "()"} for each in self.by_name.get(name, ())), key=itemgetter(0))
        for _, at, call in calls:
            for ref in resolver.resolve(at, call.path):
                if ref.kind != "func":
                    continue
                helper = (ref.key[0], ref.key[1])
                for name, writes, form in helpers.get(helper, ()):
                    yield _Raw(at, call.line, writes, form, argument(self.sources, helper, call, name))


def argument(sources: Sources, at: At, call: Call, name: str) -> Val:
    """The value that a call passes for a parameter; the default where it passes none."""
    scope = sources.resolver.scope(at)
    stated = dict(call.kwargs).get(name)
    if stated is not None:
        return stated
    names = [each.name for each in scope.params]
    position = names.index(name) - (1 if sources.resolver.owner(*at) is not None else 0)
    if 0 <= position < len(call.args):
        return call.args[position]
    default = scope.params[names.index(name)].default
    return default if default is not None else OTHER
