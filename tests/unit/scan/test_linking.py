"""What linking takes over from the files: summaries by bytes, and the names under which a thing may be met."""

from __future__ import annotations

from outlive.scan.aliases import Aliases
from outlive.scan.catalogue import Skipped
from outlive.scan.extract import summarise
from outlive.scan.summary import Summary
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


def _read() -> Summary:
    found = summarise("shop.py", SOURCE)
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
