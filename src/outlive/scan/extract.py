"""One file's source to its summary, in one walk over its tree.

The walk keeps only what can matter to another file or to a container that outlives a call: operations on names that
a function makes and forgets are dropped as soon as the function ends.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from outlive.scan.catalogue import Skipped
from outlive.scan.summary import OTHER, Decorator, Import, Param, Scope, Summary, Val, name_fields
from outlive.scan.values import Values
from outlive.scan.words import word_set

_MARK = re.compile(rb"#\s*outlive:\s*([a-z-]+)")
_PYTHON_2 = re.compile(rb"^\s*(print\s+[\"'\w]|except\s+\w+\s*,\s*\w+\s*:|raise\s+\w+\s*,)", re.MULTILINE)
_RUNNING = re.compile(r"run|stop|alive|active|shutdown|exit|closed|keep|quit|serv|ok\b|connected", re.IGNORECASE)
_MESSAGES = re.compile(
    r"messages?\b|consumer|listen|\bws\b|websocket|pubsub|subscription|\bsub\b|reader|stream_events", re.IGNORECASE
)
WAITS = word_set("""
    sleep recv recvfrom accept poll readline receive input getUpdates get_updates run_pending recv_json
    recv_multipart receive_json receive_text listen next_event raw_input readuntil blpop brpop prompt consume
    receive_bytes recv_string get_message read_message receive_message long_poll longpoll recv_pyobj select xread
    xreadgroup get_event wait""")


def summarise(path: str, source: bytes) -> Summary | Skipped:
    """The summary of one file; `Skipped` when its text is not Python 3."""
    found = extract(path, source)
    if isinstance(found, Summary):
        for scope in found.scopes.values():
            name_fields(scope)
    return found


def extract(path: str, source: bytes) -> Summary | Skipped:
    """The same with what scopes bind, do and call as plain tuples of fields, which is what `wire.pack` sends."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        return Extractor(path, source).run(tree)
    except SyntaxError as error:
        reason = "Python 2" if _PYTHON_2.search(source) else f"syntax error: {error.msg}"
        return Skipped(path, error.lineno, reason)
    except (ValueError, LookupError, UnicodeError) as error:
        return Skipped(path, None, f"cannot be decoded: {error}")
    except (RecursionError, MemoryError):
        return Skipped(path, None, "nested too deeply")


class Extractor(Values):
    """Walks statements; expressions are the base class's."""

    def __init__(self, path: str, source: bytes) -> None:
        super().__init__()
        self.summary = Summary(path)
        self.lines = source.split(b"\n")
        self.summary.lines = len(self.lines)
        self.source_bytes = source
        self._statements: dict[type, Callable[[Any], None]] = {
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.ClassDef: self._class,
            ast.Assign: self._assign,
            ast.AnnAssign: self._annotated,
            ast.AugAssign: self._augmented,
            ast.Delete: self._delete,
            ast.For: self._for,
            ast.AsyncFor: self._for,
            ast.While: self._while,
            ast.If: self._if,
            ast.With: self._with,
            ast.AsyncWith: self._with,
            ast.Try: self._try,
            ast.TryStar: self._try,
            ast.Return: self._return,
            ast.Expr: self._expression,
            ast.Global: self._shared,
            ast.Nonlocal: self._shared,
            ast.Import: self._import,
            ast.ImportFrom: self._import_from,
            ast.Match: self._match,
        }

    def run(self, tree: ast.Module) -> Summary:
        """Walks the module and reads its marks."""
        self.scope = Scope("", "", "module", 1, self.summary.lines)
        self.summary.scopes[""] = self.scope
        self.body(tree.body)
        if b"outlive:" in self.source_bytes:
            for number, line in enumerate(self.lines, 1):
                found = _MARK.search(line)
                if found:
                    alone = line.lstrip().startswith(b"#")
                    self.summary.marks[-number if alone else number] = found[1].decode()
        return self.summary

    def body(self, statements: Sequence[ast.stmt]) -> None:
        """Walks a block."""
        table = self._statements
        for each in statements:
            handler = table.get(type(each))
            if handler:
                handler(each)
            elif not isinstance(each, ast.Pass | ast.Break | ast.Continue):
                self._other(each)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer, loops = self.scope, self.loops
        decorators = tuple(self._decorator(each) for each in node.decorator_list)
        scope = self._open(node, "function", decorators)
        scope.is_async = isinstance(node, ast.AsyncFunctionDef)
        scope.params = self._params(node.args)
        scope.returns_annotation = self.source(node.returns)
        seen, self.seen = self.seen, set()
        self.scope, self.loops = scope, []
        self.body(node.body)
        self.scope, self.loops, self.seen = outer, loops, seen

    def _open(self, node: Any, kind: str, decorators: tuple[Decorator, ...]) -> Scope:
        outer = self.scope
        qual = f"{outer.qual}.{node.name}" if outer.qual else node.name
        while qual in self.summary.scopes:
            qual += "'"
        scope = Scope(
            qual, node.name, kind, node.lineno, node.end_lineno or node.lineno, outer.qual, decorators=decorators
        )
        self.summary.scopes[qual] = scope
        return scope

    def _decorator(self, node: ast.expr) -> Decorator:
        if isinstance(node, ast.Call):
            path = self.path_of(self.value(node.func))
            args = tuple(self.used(each) for each in node.args)
            kwargs = tuple((each.arg or "**", self.used(each.value)) for each in node.keywords)
            return Decorator(path, args, kwargs, node.lineno, called=True)
        return Decorator(self.path_of(self.used(node)), (), (), node.lineno, called=False)

    def _lambda(self, node: ast.Lambda) -> Val:
        """Outside of functions a lambda is a function of its own: what it does happens later."""
        if self.scope.kind == "function":
            return super()._lambda(node)
        outer = self.scope
        qual = f"{outer.qual}.<lambda {node.lineno}>".lstrip(".")
        while qual in self.summary.scopes:
            qual += "'"
        scope = Scope(qual, "<lambda>", "function", node.lineno, node.end_lineno or node.lineno, outer.qual)
        scope.params = self._params(node.args)
        self.summary.scopes[qual] = scope
        self.scope = scope
        scope.returns.append((self.used(node.body), node.lineno))
        self.scope = outer
        return ("f", qual)

    def _params(self, args: ast.arguments) -> tuple[Param, ...]:
        every = [*args.posonlyargs, *args.args]
        defaults: list[ast.expr | None] = [None] * (len(every) - len(args.defaults)) + list(args.defaults)
        pairs = [*zip(every, defaults, strict=True), *zip(args.kwonlyargs, args.kw_defaults, strict=True)]
        params = [
            Param(each.arg, self.source(each.annotation), self.used(default) if default is not None else None)
            for each, default in pairs
        ]
        params += [
            Param(f"*{each.arg}", self.source(each.annotation), None) for each in (args.vararg, args.kwarg) if each
        ]
        return tuple(params)

    def _class(self, node: ast.ClassDef) -> None:
        outer, loops = self.scope, self.loops
        decorators = tuple(self._decorator(each) for each in node.decorator_list)
        bases = [self.used(each) for each in node.bases]
        bases += [("m", self.path_of(self.used(each.value))) for each in node.keywords if each.arg == "metaclass"]
        scope = self._open(node, "class", decorators)
        scope.bases = tuple(bases)
        seen, self.seen = self.seen, None
        self.scope, self.loops = scope, []
        self.body(node.body)
        self.scope, self.loops, self.seen = outer, loops, seen

    def _assign(self, node: ast.Assign) -> None:
        value = self.used(node.value)
        for target in node.targets:
            self._target(target, value, node)

    def _annotated(self, node: ast.AnnAssign) -> None:
        value = self.used(node.value) if node.value is not None else ("n",)
        self._target(node.target, value, node, self.source(node.annotation))

    def _target(self, target: ast.expr, value: Val, node: ast.stmt, annotation: str = "") -> None:
        line, end = node.lineno, node.end_lineno or node.lineno
        if isinstance(target, ast.Name):
            self.bind(target.id, value, line, end, annotation)
        elif isinstance(target, ast.Attribute):
            path = self.path_of(self.value(target))
            if path:
                self.bind(path, value, line, end, annotation)
        elif isinstance(target, ast.Subscript):
            self._set_item(target, value, line, "set item")
        elif isinstance(target, ast.Tuple | ast.List):
            parts = value[1] if value[0] == "t" and len(value[1]) == len(target.elts) else None
            for at, each in enumerate(target.elts):
                inner = parts[at] if parts else OTHER
                self._target(each.value if isinstance(each, ast.Starred) else each, inner, node)

    def _set_item(self, target: ast.Subscript, value: Val, line: int, how: str) -> None:
        base = self.path_of(self.value(target.value))
        if isinstance(target.slice, ast.Slice):
            self._other(target.slice)
            how, key = "replace all", OTHER
        else:
            key = self.used(target.slice)
        if base:
            looping = base in self.loops or f"{base}.items()" in self.loops
            self.note(base, how, line, key, value, looping and how == "delete item")

    def _augmented(self, node: ast.AugAssign) -> None:
        value = self.used(node.value)
        target = node.target
        if isinstance(target, ast.Subscript):
            self._set_item(target, value, node.lineno, "augment item")
        else:
            path = self.path_of(self.value(target))
            if path:
                self.note(path, "augment", node.lineno, OTHER, value)

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self._set_item(target, OTHER, node.lineno, "delete item")

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        value = self.value(node.iter)
        self.iterated(value, node.iter.lineno)
        self.bind_elements(node.target, value)
        path = self.path_of(value)
        for suffix in (".items()", ".values()", ".keys()"):
            path = path.removesuffix(suffix)
        if path:
            self.loops.append(path)
        self.body(node.body)
        if path:
            self.loops.pop()
        self.body(node.orelse)
        if isinstance(node, ast.AsyncFor) and _MESSAGES.search(self.path_of(value)):
            self.scope.loops = "receive"

    def _while(self, node: ast.While) -> None:
        self.used(node.test)
        calls, returns = len(self.scope.calls), len(self.scope.returns)
        self.body(node.body)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        if (endless or _runs_on(node.test)) and len(self.scope.returns) == returns:
            if isinstance(node.test, ast.NamedExpr):
                calls -= 1
            names = [call[0].rsplit(".", 1)[-1] for call in self.scope.calls[calls:]]
            self.scope.loops = self.scope.loops or next((name for name in names if name in WAITS), "")
        self.body(node.orelse)

    def _if(self, node: ast.If) -> None:
        test = node.test
        if isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__":
            self.summary.main_line = node.lineno
        if _type_checking(test):
            self.body(node.body)
            return
        self.used(test)
        self.body(node.body)
        self.body(node.orelse)

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            value = self.used(item.context_expr)
            if item.optional_vars is not None:
                self._target(item.optional_vars, value, node)
        self.body(node.body)

    def _try(self, node: Any) -> None:
        self.body(node.body)
        for handler in node.handlers:
            self.body(handler.body)
        self.body(node.orelse)
        self.body(node.finalbody)

    def _return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.scope.returns.append((self.used(node.value), node.lineno))

    def _expression(self, node: ast.Expr) -> None:
        if type(node.value) is ast.Yield and node.value.value is not None:
            self.scope.returns.append((self.used(node.value.value), node.lineno))
        elif type(node.value) is not ast.Constant:
            self.used(node.value)

    def _shared(self, node: ast.Global | ast.Nonlocal) -> None:
        word = "global" if isinstance(node, ast.Global) else "nonlocal"
        for name in node.names:
            self.scope.shared[name] = word

    def _import(self, node: ast.Import) -> None:
        for each in node.names:
            local = each.asname or each.name.split(".")[0]
            module = each.name if each.asname else each.name.split(".")[0]
            self.scope.imports.append(Import(local, module, "", 0, node.lineno))
            if not each.asname and "." in each.name:
                self.scope.imports.append(Import("", each.name, "", 0, node.lineno))

    def _import_from(self, node: ast.ImportFrom) -> None:
        for each in node.names:
            found = Import(each.asname or each.name, node.module or "", each.name, node.level, node.lineno)
            self.scope.imports.append(found)

    def _match(self, node: ast.Match) -> None:
        self.used(node.subject)
        for case in node.cases:
            if case.guard is not None:
                self.used(case.guard)
            self.body(case.body)

    def _other(self, node: Any) -> Val:
        if isinstance(node, ast.expr | ast.Slice):
            return super()._other(node)
        for name in node._fields:
            each = getattr(node, name, None)
            if isinstance(each, ast.expr):
                self.used(each)
            elif isinstance(each, list):
                self.body([one for one in each if isinstance(one, ast.stmt)])
        return OTHER


def _runs_on(test: ast.expr) -> bool:
    """Whether a loop's condition asks for the end of the program: `while self.running`, `while not stop.is_set()`."""
    if isinstance(test, ast.NamedExpr):
        return True
    text = ast.unparse(test) if isinstance(test, ast.Name | ast.Attribute | ast.UnaryOp | ast.Call) else ""
    return bool(_RUNNING.search(text))


def _type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
