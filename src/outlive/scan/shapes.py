"""A container's shape, read from its text."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from outlive.scan.columns import name_of
from outlive.scan.words import word_set, words

MAPPINGS = word_set("""
    dict Dict defaultdict DefaultDict OrderedDict Mapping MutableMapping ChainMap shelve dbm WeakValueDictionary""")
SEQUENCES = word_set("list List deque Deque Sequence MutableSequence tuple array")
SETS = word_set("set Set frozenset MutableSet")
_ANYTHING = frozenset({"", "Any", "object", "dict", "Dict", "None"})


@dataclass(frozen=True, slots=True)
class Shape:
    """A container's text taken apart: its kind, the annotation of its keys and of its values."""

    head: str
    key: str = ""
    value: str = ""

    @classmethod
    def of(cls, text: str) -> Shape:
        """The shape of `dict[str, list[Task]]` and the like; a text that is no annotation has only a head."""
        try:
            node = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return cls(words(text)[0] if words(text) else "")
        if not isinstance(node, ast.Subscript):
            return cls(name_of(node))
        inner = [ast.unparse(each) for each in (node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice])]
        if name_of(node.value) in {"defaultdict", "DefaultDict"} and len(inner) == 1:
            return cls(name_of(node.value), value=inner[0])
        if name_of(node.value) in MAPPINGS:
            return cls(name_of(node.value), inner[0], inner[1] if len(inner) > 1 else "")
        return cls(name_of(node.value), value=inner[0] if inner else "")

    def holds_containers(self) -> bool:
        """Whether each value is itself a list, set or dict of something known, which makes a row of each member."""
        inner = Shape.of(self.value)
        if inner.head in MAPPINGS:
            return inner.value.partition("[")[0].rpartition(".")[2] not in _ANYTHING and "Any" not in inner.value
        return inner.head in SEQUENCES | SETS and inner.head != "tuple"
