"""What other units that are not settled take over from one that is undone.

Units that write one record stack their before-values: the later one's are the earlier one's values. When the earlier
one goes first, the later one inherits what it would have restored. A unit that built on what was undone fails with it
(design.md, section 5, "Nothing unsettled leaves").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlive.commit.unit import ABSENT, WHOLE, Change
from outlive.errors import Conflict
from outlive.records import MISSING, key_text

if TYPE_CHECKING:
    from outlive.stores.store import Store


def hand_over(store: Store, undone: Change, others: list[Change]) -> None:
    """Leave the other changes of the record as if `undone` had never been made; doom those that built on it."""
    for other in others:
        if other.unit.root() is not undone.unit.root() and _built_on(other, undone):
            reason = "it holds changes of a write that was undone"
            other.unit.root().doomed = Conflict(store=store.name, key=key_text(other.key), reason=reason)
    if undone.whole:
        _whole(undone, others)
    else:
        _fields(store, undone, others)


def _built_on(other: Change, undone: Change) -> bool:
    if other.unit.ended:
        return undone.unit.root() in other.unit.depends and other.overlaps(undone)
    if other.whole:
        return False
    if undone.whole:
        return max(other.stamps.values()) > undone.stamps[WHOLE]
    return any(other.stamps.get(field, 0) > stamp for field, stamp in undone.stamps.items())


def _whole(undone: Change, others: list[Change]) -> None:
    put = undone.stamps[WHOLE]
    for other in others:
        if other.whole and other.stamps[WHOLE] > put and other.before_record is not undone.before_record:
            other.before_record, other.before_position = undone.before_record, undone.before_position
            other.before_values = dict(undone.before_values)
            return
        if not other.whole:
            other.before_values = {
                field: value for field, value in other.before_values.items() if other.stamps[field] < put
            }


def _fields(store: Store, undone: Change, others: list[Change]) -> None:
    for field, value in undone.before_values.items():
        heirs = [c for c in others if field in c.before_values and c.first(field) > undone.first(field)]
        if heirs:
            min(heirs, key=lambda c: c.first(field)).before_values[field] = value
    replaced = [c for c in others if c.whole and c.before_record is not ABSENT]
    for other in replaced:
        if store.record_type.kind == "value" or other.before_record is store.image_get(undone.key):
            continue
        for field, value in undone.before_values.items():
            if field not in other.before_values:
                store.record_type.update(other.before_record, {} if value is MISSING else {field: value}, (field,))
