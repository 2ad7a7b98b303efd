"""rewritten-file: a JSON, CSV, YAML, TOML or pickle file that the code reads and writes again as a whole.

It survives a restart, but not a crash in the middle of a write, a second process, or a question that needs an index.

    def save(tasks):
        with open("tasks.json", "w") as file:
            json.dump(tasks, file)
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.file_access import Access, accesses
from outlive.scan.slots import Slot, Sources

NAME = "rewritten-file"


def find(sources: Sources) -> Iterator[Slot]:
    """One candidate a file that is both loaded and dumped somewhere."""
    groups: dict[tuple[str, str, str], list[Access]] = {}
    for access in accesses(sources):
        groups.setdefault(access.key, []).append(access)
    for key, group in groups.items():
        reads = [each for each in group if not each.writes]
        writes = [each for each in group if each.writes]
        if not reads or not writes:
            continue
        first = min(group, key=lambda each: (each.at[0] != writes[0].at[0], each.at[0], each.line))
        path, line, end, symbol = first.declared or (first.at[0], first.line, first.line, first.symbol)
        form = next((each.form for each in writes if each.form), "")
        slot = Slot(key, path, line, end, symbol, "file", NAME, f"{form or 'json'} file")
        slot.facts["file"] = first.symbol
        slot.facts["sites"] = "\n".join(f"{a.at[0]}\t{a.at[1]}\t{a.line}\t{int(a.writes)}" for a in group)
        yield slot
