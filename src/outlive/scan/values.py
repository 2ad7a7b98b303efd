"""Expressions of one file as values (see `summary`), with what they do noted in the current scope on the way."""

from __future__ import annotations

import ast
from collections.abc import Callable
from sys import intern
from typing import Any

from outlive.scan.summary import OTHER, Scope, Val
from outlive.scan.words import word_set

CONTAINERS = {
    "dict": "dict",
    "list": "list",
    "set": "set",
    "defaultdict": "defaultdict",
    "OrderedDict": "OrderedDict",
    "Counter": "Counter",
    "deque": "deque",
    "ChainMap": "ChainMap",
    "array": "array",
    "bytearray": "bytearray",
    "WeakValueDictionary": "WeakValueDictionary",
    "WeakKeyDictionary": "WeakKeyDictionary",
    "WeakSet": "WeakSet",
    "UserDict": "UserDict",
    "UserList": "UserList",
    "TTLCache": "TTLCache",
    "LRUCache": "LRUCache",
    "LFUCache": "LFUCache",
    "SortedDict": "SortedDict",
    "SortedList": "SortedList",
    "SortedSet": "SortedSet",
    "CaseInsensitiveDict": "CaseInsensitiveDict",
    "MultiDict": "MultiDict",
    "ContextVar": "ContextVar",
    "count": "count",
    "SimpleNamespace": "SimpleNamespace",
}
MODULES = word_set("""
    collections typing weakref array cachetools sortedcontainers contextvars multidict itertools types""")
COPIERS = word_set("""
    list sorted dict set tuple reversed deepcopy copy frozenset iter filter""")
FACTORIES = frozenset({"field", "Field", "attrib", "ib", "PrivateAttr"})
QUIET = word_set("""
    len print str int float bool isinstance issubclass hasattr repr range abs type id round hash format ord chr
    super callable bytes any all zip enumerate ValueError TypeError KeyError RuntimeError NotImplementedError
    AttributeError Exception""")
MOST_FIELDS = 60
_OPERATORS = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}


class Values:
    """Turns expressions into values; `scope` receives calls and operations, `loops` are the paths iterated around.

    What it notes are plain tuples, and each path is one text: cheap to make, to send and to look up.
    """

    def __init__(self) -> None:
        self.scope: Scope
        self.seen: set[str] | None = None  # paths that the function around has read so far
        self._paths: dict[str, Val] = {}
        self._results: dict[str, str] = {}
        self.loops: list[str] = []
        self.lines: list[bytes] = []
        self._by_type: dict[type, Callable[[Any], Val]] = {
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Constant: self._constant,
            ast.Call: self._call,
            ast.Subscript: self._subscript,
            ast.Dict: self._dict,
            ast.List: self._sequence,
            ast.Set: self._sequence,
            ast.Tuple: self._tuple,
            ast.ListComp: self._comprehension,
            ast.SetComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
            ast.DictComp: self._comprehension,
            ast.Compare: self._compare,
            ast.BoolOp: self._either,
            ast.IfExp: self._choice,
            ast.Await: self._inner,
            ast.Starred: self._inner,
            ast.FormattedValue: self._used_inner,
            ast.NamedExpr: self._walrus,
            ast.Lambda: self._lambda,
            ast.JoinedStr: self._text,
            ast.BinOp: self._arithmetic,
        }

    def value(self, node: ast.expr) -> Val:
        """The value of an expression."""
        handler = self._by_type.get(type(node))
        return handler(node) if handler else self._other(node)

    def used(self, node: ast.expr) -> Val:
        """The value of an expression that is read here as a whole."""
        handler = self._by_type.get(type(node))
        value = handler(node) if handler else self._other(node)
        if value[0] == "p":
            path, seen = value[1], self.seen
            if seen is None:
                self.note(path, "use", node.lineno)
            elif path not in seen:
                seen.add(path)
                self.note(path, "use", node.lineno)
        return value

    def note(self, path: str, how: str, line: int, key: Val = OTHER, value: Val = OTHER, looping: bool = False) -> None:
        """Adds an operation, as the fields of an `Op`."""
        self.scope.ops.append((path, how, line, key, value, looping))  # type: ignore[arg-type]

    def bind(self, target: str, value: Val, line: int, end: int, annotation: str = "") -> None:
        """Adds a binding, as the fields of a `Bind`."""
        self.scope.binds.append((target, value, line, end, annotation))  # type: ignore[arg-type]

    def path(self, text: str) -> Val:
        """The value of a path, one for each text."""
        found = self._paths.get(text)
        if found is None:
            text = intern(text)
            found = self._paths[text] = ("p", text)
        return found

    def path_of(self, value: Val) -> str:
        """The path that a value stands for, empty when it has none."""
        kind = value[0]
        if kind == "p":
            return value[1]  # type: ignore[no-any-return]
        if kind != "c":
            return ""
        found = self._results.get(value[1])
        if found is None:
            found = self._results[value[1]] = intern(f"{value[1]}()")
        return found

    def source(self, node: ast.expr | None) -> str:
        """The text of an annotation or default as written, on one line."""
        if node is None or not self.lines:
            return ""
        end = node.end_lineno or node.lineno
        if node.lineno == end:
            return self.lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode("utf-8", "replace")
        return ast.unparse(node)

    def _name(self, node: ast.Name) -> Val:
        return self._paths.get(node.id) or self.path(node.id)

    def _attribute(self, node: ast.Attribute) -> Val:
        base = self.path_of(self.value(node.value))
        return self.path(f"{base}.{node.attr}") if base else OTHER

    def _constant(self, node: ast.Constant) -> Val:
        value = node.value
        return ("l", type(value).__name__, repr(value)[:200] if not isinstance(value, str) else value[:200])

    def _text(self, node: ast.JoinedStr) -> Val:
        text = ""
        for each in node.values:
            self.value(each)
            text += str(each.value) if isinstance(each, ast.Constant) else "{}"
        return ("l", "str", text[:200])

    def _inner(self, node: Any) -> Val:
        return self.value(node.value)

    def _used_inner(self, node: ast.FormattedValue) -> Val:
        self.used(node.value)
        return OTHER

    def _arithmetic(self, node: ast.BinOp) -> Val:
        left, right = self.used(node.left), self.used(node.right)
        for each in (left, right):
            if each[0] in {"k", "l"} and isinstance(node.op, ast.Add | ast.Mult | ast.BitOr | ast.Mod):
                return each
        return ("b", left, right)

    def _subscript(self, node: ast.Subscript) -> Val:
        base = self.path_of(self.value(node.value))
        key = self.used(node.slice) if not isinstance(node.slice, ast.Slice) else self._other(node.slice)
        if not base:
            return OTHER
        if isinstance(node.slice, ast.Slice):
            return ("d", base, self.source(node.slice.lower or node.slice.upper))
        return self.path(base + step(key))

    def _dict(self, node: ast.Dict) -> Val:
        fields = []
        for key, item in zip(node.keys[:MOST_FIELDS], node.values[:MOST_FIELDS], strict=True):
            value = self.used(item)
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                fields.append((key.value, value, item.lineno))
            elif key is None:
                fields.append(("**", value, item.lineno))
            else:
                fields.append(("*", value, item.lineno))
                self.used(key)
        key_type = ""
        if node.keys and isinstance(node.keys[0], ast.Constant):
            key_type = type(node.keys[0].value).__name__
        return ("k", "dict", len(node.keys), (("key", key_type),) if key_type else (), tuple(fields))

    def _sequence(self, node: Any) -> Val:
        items = tuple(("*", self.used(each), each.lineno) for each in node.elts[:MOST_FIELDS])
        return ("k", "list" if type(node) is ast.List else "set", len(node.elts), (), items)

    def _tuple(self, node: ast.Tuple) -> Val:
        return ("t", tuple(self.used(each) for each in node.elts[:MOST_FIELDS]))

    def _comprehension(self, node: Any) -> Val:
        first = self.value(node.generators[0].iter)
        path = ""
        for at, each in enumerate(node.generators):
            value = first if at == 0 else self.value(each.iter)
            self.iterated(value, each.iter.lineno)
            if at == 0:
                path = self.path_of(value) or (value[1] if value[0] == "d" else "")
            self.bind_elements(each.target, value)
            for test in each.ifs:
                self.used(test)
        if isinstance(node, ast.DictComp):
            self.used(node.key)
            item = self.used(node.value)
        else:
            item = self.used(node.elt)
        target = node.generators[0].target
        whole = isinstance(node, ast.DictComp) or (item[0] == "p" and item[1] in _names(target))
        if path and whole:
            return ("d", path)
        kind = {ast.ListComp: "list", ast.SetComp: "set", ast.DictComp: "dict"}.get(type(node), "generator")
        return ("k", kind, 1, (("made", "comprehension"),), (("*", item, node.lineno),))

    def iterated(self, value: Val, line: int) -> None:
        """Notes that a value is gone through."""
        path = self.path_of(value) or (value[1] if value[0] == "d" else "")
        if path:
            self.note(path, "iterate", line)

    def bind_elements(self, target: ast.expr, value: Val) -> None:
        """Binds loop variables to the elements of a value."""
        path = self.path_of(value) or (value[1] if value[0] == "d" else "")
        if value[0] == "c" and value[1] in {"enumerate", "zip"} and value[2]:
            inner = value[2][0]
            path = self.path_of(inner) or (inner[1] if inner[0] == "d" else "")
            if value[1] == "enumerate" and isinstance(target, ast.Tuple) and len(target.elts) == 2:
                target = target.elts[1]
        if isinstance(target, ast.Name):
            self.bind(target.id, ("e", path, -1) if path else OTHER, target.lineno, target.lineno)
        elif isinstance(target, ast.Tuple | ast.List):
            for at, each in enumerate(target.elts):
                if isinstance(each, ast.Name):
                    found: Val = ("e", path, at) if path and at < 2 else OTHER
                    self.bind(each.id, found, each.lineno, each.lineno)
                elif isinstance(each, ast.Tuple):
                    self.bind_elements(each, OTHER)

    def _compare(self, node: ast.Compare) -> Val:
        left = self.value(node.left)
        for op, right in zip(node.ops, node.comparators, strict=True):
            how = _OPERATORS.get(type(op), "?")
            found = self.value(right)
            if how in {"in", "not in"}:
                path = self.path_of(found)
                if path:
                    self.note(path, "contains", node.lineno, left)
            elif self.path_of(found):
                self.note(self.path_of(found), "compare", node.lineno, ("l", "str", how), left)
            if self.path_of(left):
                self.note(self.path_of(left), "compare", node.lineno, ("l", "str", how), found)
            if left[0] == "c" and left[1] == "len" and left[2] and self.path_of(left[2][0]):
                text = ("l", "str", self.source(right))
                self.note(self.path_of(left[2][0]), "length", node.lineno, ("l", "str", how), text)
            left = found
        return ("l", "bool", "")

    def _either(self, node: ast.BoolOp) -> Val:
        return ("u", tuple(self.used(each) for each in node.values))

    def _choice(self, node: ast.IfExp) -> Val:
        self.used(node.test)
        return ("u", (self.used(node.body), self.used(node.orelse)))

    def _walrus(self, node: ast.NamedExpr) -> Val:
        value = self.value(node.value)
        self.bind(node.target.id, value, node.lineno, node.lineno)
        return value

    def _lambda(self, node: ast.Lambda) -> Val:
        self.used(node.body)
        return ("f", "")

    def _other(self, node: Any) -> Val:
        for name in node._fields:
            each = getattr(node, name, None)
            if isinstance(each, ast.expr):
                self.used(each)
            elif isinstance(each, list):
                for one in each:
                    if isinstance(one, ast.expr):
                        self.used(one)
        return OTHER

    def _call(self, node: ast.Call) -> Val:
        func = node.func
        name = func.id if type(func) is ast.Name else func.attr if type(func) is ast.Attribute else ""
        target = self.value(func)
        args = tuple([self.used(each) for each in node.args])
        kwargs: tuple[tuple[str, Val], ...] = ()
        if node.keywords:
            order = _order(node) if name in {"sort", "sorted", "min", "max", "nlargest", "nsmallest"} else ""
            kwargs = tuple((each.arg or "**", self.used(each.value)) for each in node.keywords)
            if order:
                kwargs = (*kwargs, ("order", ("l", "str", order)))
        path = self.path_of(target)
        if not path:
            return OTHER
        if name in CONTAINERS and _makes(name, path):
            return self._container(name, node, args, kwargs)
        if name in FACTORIES:
            made = dict(kwargs).get("default_factory") or dict(kwargs).get("factory")
            if made:
                return self._made(made)
        if path not in QUIET or path == "print":
            looping = bool(self.loops) and any(path.startswith(f"{each}.") for each in self.loops)
            self.scope.calls.append((path, node.lineno, args, kwargs, looping))  # type: ignore[arg-type]
        if name == "copy" and path.endswith(".copy") and not args:
            return ("d", path[: -len(".copy")])
        if path == "setattr" and len(args) == 3:
            self._setattr(args, node.lineno)
        if name == "get" and args and args[0][0] == "l" and args[0][1] == "str" and args[0][2].isidentifier():
            return self.path(f"{path[:-4]}['{args[0][2]}']")
        if path in COPIERS or (name == "deepcopy"):
            source = args[-1] if path == "filter" and args else args[0] if args else OTHER
            inner = self.path_of(source) or (source[1] if source[0] == "d" else "")
            deep = ("deepcopy",) if name == "deepcopy" else ()
            return ("d", inner, *deep) if inner else OTHER if source[0] != "k" else source
        return ("c", path, args, kwargs)

    def _setattr(self, args: tuple[Val, ...], line: int) -> None:
        path = self.path_of(args[0])
        if path:
            name = args[1][2] if args[1][0] == "l" and args[1][1] == "str" else ""
            how = "augment" if not name else "set attribute"
            self.note(f"{path}.{name}" if name else path, how, line, args[1], args[2])

    def _made(self, made: Val) -> Val:
        if made[0] == "p" and made[1].rsplit(".", 1)[-1] in CONTAINERS:
            return ("k", CONTAINERS[made[1].rsplit(".", 1)[-1]], 0, (("made", "factory"),), ())
        if made[0] == "f":
            return ("k", "dict", 0, (("made", "factory"),), ())
        return ("c", made[1], (), ()) if made[0] == "p" else OTHER

    def _container(self, name: str, node: ast.Call, args: tuple[Val, ...], kwargs: tuple[tuple[str, Val], ...]) -> Val:
        kind = CONTAINERS[name]
        facts = [(key, _text(value)) for key, value in kwargs if key in {"maxlen", "maxsize", "ttl"}]
        if kind == "deque" and len(args) == 2:
            facts.append(("maxlen", _text(args[1])))
        if kind == "defaultdict" and args:
            facts.append(("values", _factory(args[0], node)))
        if kind == "ContextVar":
            default = dict(kwargs).get("default", OTHER)
            facts.append(("default", default[1] if default[0] == "k" else ""))
            return ("k", kind, 0, tuple(facts), ())
        first = args[0] if args else OTHER
        if args and kind != "defaultdict":
            if first[0] == "k":
                return ("k", kind, first[2], (*facts, *first[3]), first[4])
            path = self.path_of(first) or (first[1] if first[0] == "d" else "")
            if path and kind not in {"TTLCache", "LRUCache", "LFUCache"}:
                return ("d", path) if not facts else ("k", kind, 1, tuple(facts), ())
        fields = tuple((key, value, node.lineno) for key, value in kwargs if not facts and key != "**")
        return ("k", kind, len(fields), tuple(facts), fields if kind == "dict" else ())


def _makes(name: str, path: str) -> bool:
    """Whether a call makes a container: `event.set()` and `text.count("a")` do not."""
    base = path[: -len(name) - 1]
    return path == name or base in MODULES or (name[0].isupper() and base.isidentifier() and name != "Counter")


def step(key: Val) -> str:
    """How a subscript is written in a path: with its name when the key is a short fixed text."""
    if key[0] == "l" and key[1] == "str" and key[2].isidentifier():
        return f"['{key[2]}']"
    if key[0] == "p" and key[1].isupper() and key[1].isidentifier():
        return f"['{key[1]}']"
    return "[]"


def _names(target: ast.expr) -> set[str]:
    if isinstance(target, ast.Name):
        return {target.id}
    if isinstance(target, ast.Tuple | ast.List):
        return {each.id for each in target.elts if isinstance(each, ast.Name)}
    return set()


def _text(value: Val) -> str:
    if value[0] == "l":
        return str(value[2])
    return str(value[1]) if value[0] == "p" else f"{value[1]}()" if value[0] == "c" else "?"


def _factory(value: Val, node: ast.Call) -> str:
    if value[0] == "p":
        return str(value[1])
    if value[0] == "f" and isinstance(node.args[0], ast.Lambda):
        try:
            return ast.unparse(node.args[0].body)[:80]
        except (RecursionError, ValueError):
            return ""
    return value[1] if value[0] in {"k", "d"} else ""


def _order(node: ast.Call) -> str:
    """The fields of a sort key, first one first: `-created_at,title`; empty when the key is not fields."""
    key = next((each.value for each in node.keywords if each.arg == "key"), None)
    down = any(
        each.arg == "reverse" and isinstance(each.value, ast.Constant) and each.value.value for each in node.keywords
    )
    names: list[str] = []
    if isinstance(key, ast.Lambda):
        parts = key.body.elts if isinstance(key.body, ast.Tuple) else [key.body]
        names = [name for name in map(_field, parts) if name]
    elif isinstance(key, ast.Call):
        names = [each.value for each in key.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return ",".join(("-" if down else "") + name for name in names)


def _field(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "get" and node.args and isinstance(node.args[0], ast.Constant):
            return str(node.args[0].value)
        return ""
    if isinstance(node, ast.BoolOp):
        return _field(node.values[0])
    if isinstance(node, ast.UnaryOp):
        return _field(node.operand)
    return ""
