"""shelf-file: records in `shelve` or `dbm`, which one process can hold and nobody can query.

db = shelve.open("notes")
db[note_id] = note
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.slots import SHELVES, Slot, Sources
from outlive.scan.summary import OTHER, Bind, Val

NAME = "shelf-file"


def find(sources: Sources) -> Iterator[Slot]:
    """The first place in a file that opens each shelf; module-level names and attributes keep their own."""
    for path, file in sources.files.items():
        if not any(each.module.split(".")[0] in {"shelve", "dbm", "sqlitedict"} for each in file.scopes[""].imports):
            continue
        seen: set[str] = set()
        for qual, scope in file.scopes.items():
            for bind in scope.binds:
                if bind.value[0] != "c":
                    continue
                refs = sources.resolver.resolve((path, qual), bind.value[1])
                if not any(ref.kind == "ext" and ref.key[0] in SHELVES for ref in refs):
                    continue
                slot = _slot(path, qual, scope.kind, bind)
                where = repr(bind.value[2][:1])
                argument: Val = bind.value[2][0] if bind.value[2] else OTHER
                aside = bool(seen) and argument[0] == "p" and "." not in argument[1]
                if (where not in seen and not aside) or scope.kind != "function":
                    yield slot
                seen.add(where)


def _slot(path: str, qual: str, kind: str, bind: Bind) -> Slot:
    container = "dbm" if "dbm" in bind.value[1] else "sqlitedict" if "SqliteDict" in bind.value[1] else "shelve"
    argument: Val = bind.value[2][0] if bind.value[2] else OTHER
    name = str(argument[2]) if argument[0] == "l" else str(argument[1]) if argument[0] == "p" else bind.target
    symbol = bind.target if kind == "module" else name
    if bind.target.startswith("self."):
        symbol = f"{qual.rpartition('.')[0]}.{bind.target.removeprefix('self.')}"
    slot = Slot((path, qual, bind.target), path, bind.line, bind.line, symbol, "file", NAME, container)
    slot.facts["file"] = name
    return slot
