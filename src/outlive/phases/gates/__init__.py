"""The gates: one file each, each a pure function of `Figures`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from outlive.phases.figures import Figures
from outlive.phases.gates.backfill import backfill
from outlive.phases.gates.children import children
from outlive.phases.gates.connection_budget import connection_budget
from outlive.phases.gates.error_rate import error_rate
from outlive.phases.gates.gate import Gate, Remedy
from outlive.phases.gates.mapping_unused import mapping_unused
from outlive.phases.gates.members import members
from outlive.phases.gates.parents import parents
from outlive.phases.gates.parity import parity
from outlive.phases.gates.pool_use import pool_use
from outlive.phases.gates.query_p95 import query_p95
from outlive.phases.gates.single_member import single_member
from outlive.phases.gates.unlanded import unlanded
from outlive.phases.gates.unpinned import unpinned
from outlive.phases.gates.way_back import way_back
from outlive.phases.machine import Move

GATES: Mapping[str, Callable[[Figures], Gate]] = {
    "backfill": backfill,
    "members": members,
    "unlanded": unlanded,
    "parity": parity,
    "query_p95": query_p95,
    "pool_use": pool_use,
    "error_rate": error_rate,
    "connection_budget": connection_budget,
    "unpinned": unpinned,
    "way_back": way_back,
    "mapping_unused": mapping_unused,
    "single_member": single_member,
    "parents": parents,
    "children": children,
}

__all__ = ["GATES", "Gate", "Remedy", "closed", "gates_of"]


def gates_of(move: Move, figures: Figures, skip: Collection[str] = ()) -> list[Gate]:
    """What each gate of `move` says about `figures`, in the move's order, without those named in `skip`."""
    return [GATES[name](figures) for name in move.gates if name not in skip]


def closed(gates: list[Gate]) -> list[Gate]:
    """The gates that do not hold."""
    return [gate for gate in gates if not gate.open]
