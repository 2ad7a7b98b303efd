"""The column that a record's field needs, read from the text of its annotation.

Types are those that outlive's stores derive: text, bigint, double precision, numeric, boolean, timestamptz, date, time,
interval, uuid, bytea, and jsonb for all that has no typed column. Amounts of money become numeric whatever they were.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from outlive.scan.catalogue import FieldInfo
from outlive.scan.identifiers import SYSTEM_COLUMNS, fitted, literal, quoted
from outlive.scan.words import stems, word_set, words

_NAMES = {
    "text": "str EmailStr NameEmail HttpUrl AnyUrl AnyHttpUrl constr StrictStr SecretStr IPvAnyAddress Path",
    "bigint": "int PositiveInt NonNegativeInt NegativeInt conint StrictInt",
    "double precision": "float PositiveFloat NonNegativeFloat NegativeFloat confloat StrictFloat",
    "numeric": "Decimal condecimal",
    "boolean": "bool StrictBool",
    "timestamptz": "datetime AwareDatetime NaiveDatetime PastDatetime FutureDatetime",
    "date": "date PastDate FutureDate",
    "time": "time",
    "interval": "timedelta",
    "uuid": "UUID UUID1 UUID3 UUID4 UUID5",
    "bytea": "bytes",
}
_TYPES = {name: kind for kind, names in _NAMES.items() for name in word_set(names)}
_ENUM_ENDINGS = word_set("""
    status type kind priority level category role severity state method tier currency language channel mode unit enum
    gender phase stage frequency""")
_AMOUNTS = word_set("amount price cost fee salary balance refund budget")
_PLACES = word_set("latitude longitude lat lon lng")
_TEXT_NAMES = word_set("""
    id name title description email phone url message text status type kind category currency language notes note slug
    username label comment content address role severity priority""")


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `field` is the record's field it holds, empty for keys and positions that the container has.

    `guessed` says that the source does not tell the type, so that any comparison of the code may be meant.
    """

    name: str
    kind: str
    required: bool = True
    default: str = ""
    check: tuple[str, ...] = ()
    note: str = ""
    field: str = ""
    guessed: bool = False

    def sql(self, comma: bool) -> str:
        """Its line in CREATE TABLE."""
        parts = [quoted(self.name), self.kind, *(["NOT NULL"] if self.required else [])]
        parts += [f"DEFAULT {self.default}"] if self.default else []
        if self.check:
            parts.append(f"CHECK ({quoted(self.name)} IN ({', '.join(map(literal, self.check))}))")
        note = f"  -- {self.note}" if self.note else ""
        return "    " + " ".join(parts) + ("," if comma else "") + note


def column(info: FieldInfo, money: bool) -> Column:
    """The column for one field; `money` says that it belongs to an amount, which a text is only by its name."""
    kind, optional, check = kind_of(info.annotation)
    note = ""
    if not kind:
        kind = _by_name(info.name) if not info.annotation else "jsonb"
    if (kind == "double precision" and money) or (kind in {"text", "jsonb"} and stems([info.name]) & _AMOUNTS):
        note = {"double precision": "was float; numeric keeps amounts exact"}.get(kind, "an amount, exact")
        kind = "numeric"
    required = not (optional or info.optional or info.default == "None")
    name = fitted(info.name + "_" if info.name in SYSTEM_COLUMNS else info.name)
    guessed = not info.annotation
    return Column(name, kind, required, _default(info.default, kind), check, note, info.name, guessed)


def kind_of(annotation: str) -> tuple[str, bool, tuple[str, ...]]:
    """The SQL type of an annotation (empty for none), whether None is allowed, the texts of a Literal."""
    text = annotation.strip()
    if not text:
        return "", False, ()
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "jsonb", False, ()
    members = list(_members(tree))
    optional = any(isinstance(each, ast.Constant) and each.value is None for each in members)
    found = [each for each in members if not (isinstance(each, ast.Constant) and each.value is None)]
    kinds = {_kind(each) for each in found}
    return (kinds.pop() if len(kinds) == 1 else "jsonb"), optional, _choices(found)


def _members(node: ast.expr) -> Iterator[ast.expr]:
    """The members of a union, Annotated, ClassVar and quotes taken off."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            yield from _members(ast.parse(node.value, mode="eval").body)
        except (SyntaxError, ValueError):
            yield node
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _members(node.left)
        yield from _members(node.right)
    elif isinstance(node, ast.Subscript) and (head := name_of(node.value)) in {
        "Optional",
        "Union",
        "Annotated",
        "Mapped",
    }:
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for each in inner[:1] if head in {"Annotated", "Mapped"} else inner:
            yield from _members(each)
        if head == "Optional":
            yield ast.Constant(None)
    else:
        yield node


def name_of(node: ast.expr) -> str:
    """The last name of `Name`, `module.Name`, `Name(...)`; empty for anything else."""
    if isinstance(node, ast.Call):
        return name_of(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _kind(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript) and name_of(node.value) == "Literal":
        kinds = {type(each.value) for each in _constants(node)}
        return {frozenset({str}): "text", frozenset({int}): "bigint"}.get(frozenset(kinds), "jsonb")
    name = name_of(node)
    if name in _TYPES:
        return _TYPES[name]
    return "text" if name and words(name)[-1:] and words(name)[-1] in _ENUM_ENDINGS and name[:1].isupper() else "jsonb"


def _constants(node: ast.Subscript) -> list[ast.Constant]:
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return [each for each in inner if isinstance(each, ast.Constant)]


def _choices(nodes: list[ast.expr]) -> tuple[str, ...]:
    if len(nodes) != 1 or not isinstance(nodes[0], ast.Subscript) or name_of(nodes[0].value) != "Literal":
        return ()
    values = [each.value for each in _constants(nodes[0])]
    return tuple(str(each) for each in values) if values and all(isinstance(each, str) for each in values) else ()


def _by_name(name: str) -> str:
    """A type for a field without annotation, from its name; jsonb takes whatever it turns out to be."""
    parts = words(name)
    if name.endswith(("_at", "_time")) or name in {"timestamp", "created", "updated"}:
        return "timestamptz"
    if name.lower() in _PLACES:
        return "double precision"
    if parts[:1] and parts[0] in {"is", "has", "can"}:
        return "boolean"
    return "text" if parts and parts[-1] in _TEXT_NAMES else "jsonb"


def _default(source: str | None, kind: str) -> str:
    """The SQL default that a Python default means; empty where it is none or must be made by code."""
    if not source:
        return ""
    try:
        value = ast.literal_eval(source)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return ""
    if isinstance(value, bool):
        return str(value).lower() if kind == "boolean" else ""
    if isinstance(value, int | float):
        fits = kind in {"bigint", "numeric", "double precision"} and abs(value) < 2**63
        return repr(value) if fits and (isinstance(value, int) or kind != "bigint") else ""
    return literal(value) if isinstance(value, str) and kind == "text" and value.isprintable() else ""
