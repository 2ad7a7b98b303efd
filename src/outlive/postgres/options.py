"""What a store asks of its table beside columns: indexes, uniqueness, a tenant, a place, references, partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Using = Literal["btree", "gin", "gist", "hash"]


@dataclass(frozen=True)
class Index:
    """An index over fields, in this order; "-field" descends. `where` is SQL over columns that limits it to some rows.

    `using="gin"` over one JSON field serves `has` and, in SQL of your own, containment.
    """

    fields: tuple[str, ...]
    unique: bool = False
    where: str | None = None
    using: Using = "btree"

    def __init__(self, *fields: str, unique: bool = False, where: str | None = None, using: Using = "btree") -> None:
        for name, value in (("fields", fields), ("unique", unique), ("where", where), ("using", using)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class TableOptions:
    """What `mapping`, `log` and `json_file` were told about a store's table."""

    indexes: tuple[Index, ...] = ()
    tenant: str | None = None
    place: tuple[str, str] | None = None
    partition_by: tuple[str, Any] | None = None  # (date or time field, a period of `partitions.EVERY`)
    references: tuple[tuple[str, str], ...] = ()  # (field, the store that its values are keys of)

    @classmethod
    def of(
        cls,
        indexes: Iterable[Index | str | tuple[str, ...]] = (),
        unique: Iterable[Index | str | tuple[str, ...]] = (),
        tenant: str | None = None,
        place: tuple[str, str] | None = None,
        references: Mapping[str, str] | None = None,
        partition_by: tuple[str, Any] | None = None,
    ) -> TableOptions:
        """Options from what users write: an Index, a field's name, or a tuple of names."""
        made = [_index(each, unique=False) for each in indexes] + [_index(each, unique=True) for each in unique]
        return cls(tuple(made), tenant, place, partition_by, tuple((references or {}).items()))


PLAIN = TableOptions()


def _index(given: Index | str | tuple[str, ...], *, unique: bool) -> Index:
    if isinstance(given, Index):
        return Index(*given.fields, unique=unique or given.unique, where=given.where, using=given.using)
    return Index(*((given,) if isinstance(given, str) else given), unique=unique)
