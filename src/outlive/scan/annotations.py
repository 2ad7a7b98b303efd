"""Annotations as text: what an outermost type is, what a container holds, which kind of container is meant."""

from __future__ import annotations

import re
from functools import lru_cache

KINDS = {
    "dict": "dict",
    "Dict": "dict",
    "MutableMapping": "dict",
    "Mapping": "dict",
    "list": "list",
    "List": "list",
    "MutableSequence": "list",
    "Sequence": "list",
    "set": "set",
    "Set": "set",
    "MutableSet": "set",
    "DefaultDict": "defaultdict",
    "defaultdict": "defaultdict",
    "OrderedDict": "OrderedDict",
    "Counter": "Counter",
    "Deque": "deque",
    "deque": "deque",
    "ChainMap": "ChainMap",
    "array": "array",
    "ContextVar": "ContextVar",
    "WeakValueDictionary": "WeakValueDictionary",
    "WeakKeyDictionary": "WeakKeyDictionary",
    "WeakSet": "WeakSet",
    "UserDict": "dict",
    "UserList": "list",
}
_WRAPPERS = frozenset({"Optional", "Final", "ClassVar", "Annotated", "Required", "NotRequired", "ReadOnly", "InitVar"})
_ARGUMENT = frozenset(
    {"Awaitable", "Coroutine", "AsyncGenerator", "Generator", "AsyncIterator", "Iterator", "type", "Type"}
)


@lru_cache(maxsize=20_000)
def parts(annotation: str) -> tuple[str, tuple[str, ...]]:
    """A type's name without module, and its arguments; wrappers, quotes and `| None` are taken off."""
    text = annotation.strip().strip("\"'").strip()
    union = [each for each in split(text, "|") if each.strip() not in {"None", ""}]
    if len(union) > 1:
        return ("Union", tuple(each.strip() for each in union))
    text = union[0].strip() if union else text
    head, _, inner = text.partition("[")
    name = head.strip().rsplit(".", 1)[-1]
    arguments = tuple(each.strip() for each in split(inner.rstrip()[:-1], ",")) if inner else ()
    if name in _WRAPPERS and arguments:
        return parts(arguments[0])
    if name == "Union" and arguments:
        kept = tuple(each for each in arguments if each != "None")
        return parts(kept[0]) if len(kept) == 1 else ("Union", kept)
    return (name, arguments)


def split(text: str, mark: str) -> list[str]:
    """Parts of a text at a mark that stands outside of brackets."""
    depth, start, found = 0, 0, []
    for at, char in enumerate(text):
        if char in "[(":
            depth += 1
        elif char in "])":
            depth -= 1
        elif char == mark and depth == 0:
            found.append(text[start:at])
            start = at + 1
    found.append(text[start:])
    return found


def kind_of(annotation: str) -> str:
    """The kind of container that an annotation means, empty for other types."""
    name, arguments = parts(annotation)
    if name == "Union":
        return next((found for found in map(kind_of, arguments) if found), "")
    return KINDS.get(name, "")


def key_of(annotation: str) -> str:
    """The key type of a mapping's annotation, empty for others."""
    name, arguments = parts(annotation)
    if KINDS.get(name, "") in {"dict", "defaultdict", "OrderedDict", "Counter", "WeakValueDictionary"} and arguments:
        return arguments[0].strip("\"'")
    return ""


def element_of(annotation: str) -> str:
    """The type of what a container's annotation holds, the innermost one: `Task` of `dict[str, list[Task]]`."""
    name, arguments = parts(annotation)
    kind = KINDS.get(name, "")
    if name == "Union":
        return next((found for found in map(element_of, arguments) if found), "")
    if not kind or not arguments:
        return ""
    if kind == "Counter":
        return "int"
    last = arguments[-1].strip().strip("\"'")
    if kind_of(last):
        return element_of(last) or last
    return _bare(last)


def _bare(text: str) -> str:
    """A type without `None` and wrappers."""
    kept = [each.strip() for each in split(text, "|") if each.strip() != "None"]
    if len(kept) == 1 and kept[0].startswith("Optional["):
        return kept[0][len("Optional[") : -1]
    return " | ".join(kept)


@lru_cache(maxsize=20_000)
def classes_in(annotation: str) -> tuple[str, ...]:
    """Dotted names of the classes that an annotation means at its outside: `a.B` of `Optional[a.B]`."""
    text = annotation.strip().strip("\"'").strip()
    found: list[str] = []
    for each in split(text, "|"):
        bare = each.strip().strip("\"'")
        head, _, inner = bare.partition("[")
        name = head.rsplit(".", 1)[-1]
        if (name in _WRAPPERS or name == "Union" or name in _ARGUMENT) and inner:
            for one in split(inner[:-1], ","):
                found.extend(classes_in(one))
                if name == "Annotated":
                    break
        elif re.fullmatch(r"[A-Za-z_][\w.]*", head) and head != "None":
            found.append(head)
    return tuple(found)
