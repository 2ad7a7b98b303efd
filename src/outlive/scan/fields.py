"""The record type of what a candidate holds, and its fields, resolved across modules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from outlive.scan.annotations import element_of, kind_of
from outlive.scan.catalogue import FieldInfo
from outlive.scan.likeness import World
from outlive.scan.resolve import At
from outlive.scan.slots import Slot
from outlive.scan.summary import OTHER, Val
from outlive.scan.uses import INSERTS, Use
from outlive.scan.words import word_set

_BUILT = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "len": "int",
    "round": "float",
    "list": "list",
    "dict": "dict",
    "sorted": "list",
    "set": "set",
    "sum": "float",
    "bytes": "bytes",
    "Decimal": "Decimal",
    "uuid4": "UUID",
    "UUID": "UUID",
    "now": "datetime",
    "utcnow": "datetime",
    "today": "date",
    "time": "float",
    "isoformat": "str",
    "strftime": "str",
    "hexdigest": "str",
    "timestamp": "float",
    "date": "date",
    "datetime": "datetime",
    "token_hex": "str",
    "strip": "str",
    "lower": "str",
    "upper": "str",
    "join": "str",
    "title": "str",
    "fromisoformat": "datetime",
    "strptime": "datetime",
    "token_urlsafe": "str",
    "format": "str",
    "get_json": "dict",
    "model_dump": "dict",
}
_DUMPS = word_set("""
    model_dump dict asdict dataclasses.asdict to_dict model_copy copy model_validate parse_obj vars""")


def describe(world: World, slot: Slot, uses: list[Use]) -> tuple[str, tuple[FieldInfo, ...]]:
    """The record's type as text and its fields; empty when nothing says what is held."""
    stated = element_of(slot.annotation)
    for owner in slot.records:
        fields = class_fields(world, owner)
        if fields:
            return owner[1].rsplit(".", 1)[-1], fields
    inserted = [(use.at, use.value) for use in uses if use.write and use.how in INSERTS and use.depth <= 1]
    inserted += [(at, value) for at, each in slot.values for value in _held(each)]
    for at, value in inserted:
        for owner in classes_of(world, at, value):
            fields = class_fields(world, owner)
            if fields:
                return owner[1].rsplit(".", 1)[-1], fields
    merged: dict[str, FieldInfo] = {}
    for at, value in inserted:
        for found in literal_fields(world, at, value):
            known = merged.get(found.name)
            if known is None or (not known.annotation and found.annotation):
                merged[found.name] = found
    for use in uses:
        if (
            use.write
            and use.depth >= 1
            and use.field
            and use.field not in merged
            and merged
            and use.how in {"set item", "change record"}
        ):
            merged[use.field] = FieldInfo(
                use.field, guess(world, use.at, use.value), True, None, f"{use.at[0]}:{use.line}"
            )
    record = stated or ("dict" if merged else _scalar(world, inserted))
    return record, tuple(merged.values())


def _held(value: Val) -> list[Val]:
    """The elements of a literal; a dict whose keys are fixed texts holds its values."""
    if value[0] == "u":
        return [one for each in value[1] for one in _held(each)]
    if value[0] != "k" or len(value) < 5:
        return []
    return [inner for name, inner, _ in value[4] if name != "**"]


def _scalar(world: World, inserted: list[tuple[At, Val]]) -> str:
    for at, value in inserted:
        found = guess(world, at, value)
        if found:
            return found
    return ""


def classes_of(world: World, at: At, value: Val, depth: int = 0) -> Iterator[At]:
    """The scanned classes that an inserted value is an instance of."""
    if depth > 3:
        return
    inner = _wrapped(value)
    if inner is not None:
        for each in inner:
            yield from classes_of(world, at, each, depth + 1)
        return
    for ref in world.resolver.value(at, value):
        if ref.kind == "inst":
            yield (ref.key[0], ref.key[1])
        elif ref.kind == "slot" and ref.depth:
            slot = world.resolver.slots.get((ref.key[0], ref.key[1], ref.key[2]))
            if slot is not None:
                yield from slot.records


def _wrapped(value: Val) -> list[Val] | None:
    """What stands inside a tuple, a list, `{**record}` or `record.model_dump()`; None for other values."""
    if value[0] == "t":
        return list(value[1])
    if value[0] == "k" and value[1] in {"list", "set"}:
        return [each for _, each, _ in value[4]]
    if value[0] == "k" and value[1] == "dict":
        return [each for name, each, _ in value[4] if name == "**" and value[2] == 1]
    if value[0] == "c":
        base, _, name = value[1].rpartition(".")
        if name in _DUMPS and base:
            return [("p", base)]
        if value[1] in _DUMPS and value[2]:
            return [value[2][0]]
    return None


def class_fields(world: World, owner: At, depth: int = 0) -> tuple[FieldInfo, ...]:
    """The fields of a record class, its bases' first."""
    if depth > 5 or owner[0] not in world.files or owner[1] not in world.files[owner[0]].scopes:
        return ()
    found: dict[str, FieldInfo] = {}
    for base in reversed(world.resolver.bases(owner)[0]):
        found.update({each.name: each for each in class_fields(world, base, depth + 1)})
    scope = world.resolver.scope(owner)
    for bind in scope.binds:
        if (
            bind.annotation
            and not bind.annotation.startswith(("ClassVar", "typing.ClassVar"))
            and "." not in bind.target
        ):
            if bind.target == "model_config":
                continue
            default = _default(bind.value)
            optional = _optional(bind.annotation)
            found[bind.target] = FieldInfo(bind.target, bind.annotation, optional, default, f"{owner[0]}:{bind.line}")
        elif (
            bind.value[0] == "c"
            and re.search(r"(Column|Field|fields\.\w+|attrib|ib)$", bind.value[1])
            and "." not in bind.target
        ):
            found[bind.target] = FieldInfo(bind.target, _column(bind.value), False, None, f"{owner[0]}:{bind.line}")
    if not found and not any(each.endswith(("Enum", "Exception")) for each in world.resolver.bases(owner)[1]):
        found = _from_constructor(world, owner)
    return tuple(found.values())


def _column(value: Val) -> str:
    text = " ".join(str(each[1]) for each in value[2] if each[0] in {"p", "c"}) + value[1]
    for word, annotation in (
        ("Integer", "int"),
        ("Int", "int"),
        ("String", "str"),
        ("Text", "str"),
        ("Char", "str"),
        ("Float", "float"),
        ("Numeric", "Decimal"),
        ("Decimal", "Decimal"),
        ("Boolean", "bool"),
        ("Date", "datetime"),
        ("UUID", "UUID"),
        ("JSON", "dict"),
    ):
        if word in text:
            return annotation
    return ""


def _from_constructor(world: World, owner: At) -> dict[str, FieldInfo]:
    found: dict[str, FieldInfo] = {}
    for name, binds in world.resolver.attributes.get(owner, {}).items():
        qual, bind = binds[0]
        if not qual.endswith("__init__"):
            continue
        at = (owner[0], qual)
        annotation = bind.annotation or guess(world, at, bind.value)
        found[name] = FieldInfo(
            name, annotation, _optional(annotation), _default(bind.value), f"{owner[0]}:{bind.line}"
        )
    return found


def _optional(annotation: str) -> bool:
    return bool(re.search(r"\bOptional\[|\|\s*None\b|\bNone\s*\||\bNotRequired\[", annotation))


def _default(value: Val) -> str | None:
    if value[0] == "l":
        return repr(value[2]) if value[1] == "str" else str(value[2])
    if value[0] == "k":
        return {"dict": "{}", "list": "[]", "set": "set()"}.get(value[1], value[1]) if not value[2] else None
    if value[0] == "c" and value[1].rsplit(".", 1)[-1] in {"Field", "field"}:
        stated: Val = dict(value[3]).get("default") or (value[2][0] if value[2] else OTHER)
        return None if stated[0] == "l" and stated[1] == "ellipsis" else _default(stated)
    return None


def literal_fields(world: World, at: At, value: Val, depth: int = 0) -> Iterator[FieldInfo]:
    """The fields of a dict literal, locals followed, `**spread` included."""
    if depth > 4:
        return
    if value[0] == "p":
        yield from _named_fields(world, at, value[1], depth)
    elif value[0] == "k" and value[1] == "dict":
        yield from _of_dict(world, at, value, depth)
    elif value[0] == "c":
        yield from _returned(world, at, value, depth)
    elif value[0] == "u" or (value[0] == "k" and value[1] in {"list", "set"}):
        for inner in value[1] if value[0] == "u" else [each for _, each, _ in value[4]]:
            yield from literal_fields(world, at, inner, depth + 1)


def _returned(world: World, at: At, value: Val, depth: int) -> Iterator[FieldInfo]:
    for ref in world.resolver.resolve(at, value[1]):
        if ref.kind == "func":
            target = (ref.key[0], ref.key[1])
            for returned, _ in world.resolver.scope(target).returns[:3]:
                yield from literal_fields(world, target, returned, depth + 1)


def _of_dict(world: World, at: At, value: Val, depth: int) -> Iterator[FieldInfo]:
    for name, inner, line in value[4]:
        if name == "**":
            for owner in classes_of(world, at, inner):
                yield from class_fields(world, owner)
            yield from literal_fields(world, at, inner, depth + 1)
        elif name != "*":
            annotation = guess(world, at, inner)
            optional = inner[0] == "l" and inner[1] == "NoneType"
            yield FieldInfo(name, annotation, optional, None, f"{at[0]}:{line}")


def _named_fields(world: World, at: At, name: str, depth: int) -> Iterator[FieldInfo]:
    """Fields of a local that a dict literal was bound to, with the keys set on it afterwards."""
    scope = world.resolver.scope(at)
    known = False
    for bind in scope.binds:
        if bind.target == name and bind.value != ("p", name):
            found = list(literal_fields(world, at, bind.value, depth + 1))
            known = known or bool(found)
            yield from found
    for op in scope.ops:
        if known and op.how == "set item" and op.path == name and op.key[0] == "l" and op.key[1] == "str":
            yield FieldInfo(op.key[2], guess(world, at, op.value), False, None, f"{at[0]}:{op.line}")


def guess(world: World, at: At, value: Val, depth: int = 0) -> str:
    """The type of a value as an annotation, empty when nothing says it."""
    kind = value[0]
    if depth > 3:
        return ""
    if kind == "l":
        return "" if value[1] in {"NoneType", "ellipsis"} else str(value[1])
    if kind == "k":
        return str(value[1])
    if kind == "b":
        return guess(world, at, value[1], depth + 1) or guess(world, at, value[2], depth + 1)
    if kind == "u":
        return next((found for one in value[1] if (found := guess(world, at, one, depth + 1))), "")
    if kind == "d":
        return "list"
    if kind == "t":
        return "tuple"
    if kind == "c":
        found = _BUILT.get(value[1].rsplit(".", 1)[-1], "")
        return found or _class_name(world, at, value)
    return _path_type(world, at, value[1], depth) if kind == "p" else ""


def _class_name(world: World, at: At, value: Val) -> str:
    for ref in world.resolver.value(at, value):
        if ref.kind == "inst":
            return ref.key[1].rsplit(".", 1)[-1]
    return ""


def _path_type(world: World, at: At, path: str, depth: int) -> str:
    base, _, last = path.rpartition(".")
    scope = world.resolver.scope(at)
    if not base:
        for param in scope.params:
            if param.name == path:
                return param.annotation
        for bind in scope.binds:
            if bind.target == path and bind.value != ("p", path):
                return bind.annotation or guess(world, at, bind.value, depth + 1)
        return ""
    for ref in world.resolver.resolve(at, base):
        if ref.kind == "inst" and (found := _attribute_type(world, (ref.key[0], ref.key[1]), last, depth)):
            return found
    return ""


def _attribute_type(world: World, owner: At, name: str, depth: int) -> str:
    """The type of one attribute; of the others nothing is asked, for classes may hold each other in a circle."""
    scope = world.resolver.scope(owner)
    for bind in scope.binds:
        if bind.target == name and bind.annotation:
            return bind.annotation
    for qual, bind in world.resolver.attributes.get(owner, {}).get(name, ())[:1]:
        return bind.annotation or guess(world, (owner[0], qual), bind.value, depth + 1)
    bases = world.resolver.bases(owner)[0] if depth < 4 else ()
    return next((found for base in bases if (found := _attribute_type(world, base, name, depth + 1))), "")


__all__ = ["class_fields", "classes_of", "describe", "guess", "kind_of"]
