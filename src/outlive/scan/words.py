"""Names taken apart into words, which is what ranking and proposals read meaning from."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")


def word_set(text: str) -> frozenset[str]:
    """The blank-separated words of a text."""
    return frozenset(text.split())


_SAME_IN_PLURAL = word_set("equipment news series status evidence feedback media data history")
_NO_PLURAL = ("ss", "us", "is")
# what a name says about the container rather than about what it holds
HOLDER_WORDS = word_set("""
    db dict map mapping store storage list memory mem mock fake in by id all table repo repository file path json the my
    demo global cache index lookup""")
VAGUE_WORDS = word_set("data item items record records entry entries state history objects values")
_ROLES = word_set("service manager handler controller app state client engine generator function self")


def words(name: str) -> tuple[str, ...]:
    """The words of an identifier, path or type in lower case: `usageRecords_db` gives usage, records, db."""
    return tuple(word.lower() for word in _WORD.findall(name))


def singular(word: str) -> str:
    """An English noun's singular, by its ending; words that have none stay as they are."""
    if word in _SAME_IN_PLURAL or len(word) < 4 or word.endswith(_NO_PLURAL):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("noses", "lyses", "theses", "crises")):
        return word[:-2] + "is"
    if word.endswith(("xes", "ches", "shes", "sses", "tuses")):
        return word[:-2]
    return word.removesuffix("s")


def plural(word: str) -> str:
    """An English noun's plural, by its ending; a plural stays as it is."""
    if word in _SAME_IN_PLURAL or not word.isascii() or singular(word) != word:
        return word
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    if word.endswith("sis"):
        return word[:-2] + "es"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def stems(names: Iterable[str]) -> frozenset[str]:
    """The words of all `names`, each in the singular."""
    return frozenset(singular(word) for name in names for word in words(name))


def held(symbol: str, record: str) -> tuple[str, ...]:
    """The words for what a container holds, the last one in the plural: `usage`, `records`.

    The symbol names it best; where that says only `data` or `store`, the record type does, then the owning class.
    """
    owner, _, name = symbol.rpartition(".")
    own = [word for word in words(name) if word not in HOLDER_WORDS]
    kept = [word for word in words(record.rpartition(".")[2]) if word not in {"model", "schema", "dict", "any", "str"}]
    if own and not set(own) <= VAGUE_WORDS:
        chosen = kept if kept[: len(own)] == own else own
    elif kept:
        chosen = kept
    else:
        outer = [word for word in words(owner.rpartition(".")[2]) if word not in _ROLES | HOLDER_WORDS]
        chosen = outer + (own or ["records"])
    return (*chosen[:-1], plural(chosen[-1]))
