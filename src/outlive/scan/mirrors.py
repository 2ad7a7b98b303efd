"""Which containers in memory are the image of a data file: loaded from it at start, dumped to it on change."""

from __future__ import annotations

from outlive.scan.classify import file_sites
from outlive.scan.likeness import World
from outlive.scan.resolve import At
from outlive.scan.slots import Key, Slot


def mirrors(world: World, slots: dict[Key, Slot]) -> dict[Key, list[Key]]:
    """The containers behind each rewritten file."""
    by_scope: dict[At, list[Slot]] = {}
    for key, uses in world.uses.items():
        slot = slots.get(key)
        if (
            slot is None
            or slot.rule in {"rewritten-file", "memory-database"}
            or slot.container in {"int", "str", "float", "bool"}
        ):
            continue
        for at in {use.at for use in uses}:
            by_scope.setdefault(at, []).append(slot)
    found: dict[Key, list[Key]] = {}
    for key, slot in slots.items():
        if slot.rule != "rewritten-file":
            continue
        behind = {
            each.key: None
            for at, _, writes in file_sites(slot)
            if writes
            for each in by_scope.get(at, ())
            if _changes(world, each)
        }
        if behind:
            found[key] = list(behind)
    return found


def _changes(world: World, slot: Slot) -> bool:
    """Whether the container changes after it was made, as an image does and a default does not."""
    return any(
        use.write and world.files[use.at[0]].scopes[use.at[1]].kind == "function" for use in world.uses[slot.key]
    )
