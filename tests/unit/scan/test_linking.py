"""What linking takes over from the files: summaries by bytes, and the names under which a thing may be met."""

from __future__ import annotations

import os

from outlive.scan.aliases import Aliases
from outlive.scan.catalogue import Skipped
from outlive.scan.extract import summarise
from outlive.scan.names import Names
from outlive.scan.resolve import Resolver
from outlive.scan.rules import module_level_container
from outlive.scan.slots import Sources
from outlive.scan.summary import Summary
from outlive.scan.together import together
from outlive.scan.wire import pack, unpack

SOURCE = b"""
from kept import Carts as Baskets
rows: dict[str, list[int]] = {"a": [1]}

class Carts:
    def __init__(self, first=None, *rest):
        self.items = {}

def maker():
    return Carts

@cached("x", size=3)
async def change(name, make=maker()):
    global rows
    other = make
    rows[name] = other(lambda: 1)  # outlive: store
    for each in rows:
        del rows[each]
"""


SHOP = b"""
rows = []

def get_rows():
    return rows

def keep(row, kept=rows):
    kept.append(row)
"""


def _read() -> Summary:
    return _summary(SOURCE)


def _summary(source: bytes) -> Summary:
    found = summarise("shop.py", source)
    assert isinstance(found, Summary)
    return found


def test_a_summary_comes_back_from_its_bytes_as_it_was() -> None:
    """Packing and unpacking lose nothing of a file, and nothing of why one was skipped."""
    assert unpack(pack(_read())) == _read()
    for skipped in (Skipped("old.py", 3, "Python 2"), Skipped("huge.py", None, "too large")):
        assert unpack(pack(skipped)) == skipped


def test_a_class_is_met_under_every_name_that_leads_to_it() -> None:
    """Imports, results of functions, defaults and variables carry a class on; what never holds one is left out."""
    found = Aliases({"shop.py": _read()}).classes()
    assert {"Carts", "Baskets", "maker()", "make", "other"} <= found
    assert found.isdisjoint({"rows", "name", "change", "maker", "items"})


def test_names_follow_only_what_was_asked() -> None:
    """Names that take nothing from the asked one are not among the answers."""
    assert Aliases({"shop.py": _read()}).of({"rows"}) == {"rows"}


def test_names_that_may_hold_a_slot_are_known_scope_by_scope() -> None:
    """A container's name, what takes it over and what returns it may lead to it; other functions' names do not."""
    files = {"shop.py": _summary(SHOP), "till.py": _summary(b"from shop import get_rows as fetch\nfound = fetch()\n")}
    resolver = Resolver(files, {})
    for slot in module_level_container.find(Sources(files, resolver, {})):
        resolver.hold(slot)
    names = Names(files, resolver)
    assert "rows" in names.of("shop.py", "")[0]
    assert "kept" in names.of("shop.py", "keep")[1]
    assert "kept" not in set().union(*names.of("shop.py", "get_rows"))
    assert {"fetch", "found"} <= names.of("till.py", "")[0]
    assert names.split("rows['a'].b") == ("rows", ("a", "b"))


def test_two_halves_of_a_work_come_together() -> None:
    """What the child works out arrives, and changes nothing here."""
    done: list[str] = []
    assert together(lambda: "here", lambda: done.append("there") or ["there", (1, None)]) == (  # type: ignore[func-returns-value]
        "here",
        ["there", (1, None)],
    )
    assert done == []


def test_work_of_a_child_that_dies_is_done_here() -> None:
    """A child that ends without a result costs time, not the result."""
    parent = os.getpid()
    assert together(lambda: 1, lambda: 2 if os.getpid() == parent else os._exit(3)) == (1, 2)
