"""The table of moves: neighbours only, every gate known, every way there and back."""

from __future__ import annotations

from itertools import product

import pytest

from outlive.errors import BadSetting, IllegalMove
from outlive.phases.machine import MOVES, PHASES, find_move, next_phase, parse_phase, plan_walk, rank


def test_every_neighbour_pair_is_a_move_and_nothing_else_is() -> None:
    """A move exists exactly where two phases are neighbours, in both directions."""
    neighbours = {(a, b) for a, b in product(PHASES, PHASES) if abs(rank(a) - rank(b)) == 1}
    assert set(MOVES) == neighbours


@pytest.mark.parametrize(("current", "wanted"), list(product(PHASES, PHASES)))
def test_walk_is_a_chain_of_neighbours(current, wanted) -> None:
    """A walk starts where it is, ends where it should, and takes as many steps as the phases are apart."""
    moves = plan_walk(current, wanted)
    stops = [current, *(move.wanted for move in moves)]
    assert stops[-1] == wanted
    assert len(moves) == abs(rank(wanted) - rank(current))
    assert all(move.current == here for move, here in zip(moves, stops, strict=False))
    assert all(move.forward == (rank(wanted) > rank(current)) for move in moves)


def test_a_jump_is_refused_by_name() -> None:
    """A move over a phase is illegal and the error names both ends."""
    with pytest.raises(IllegalMove, match="legacy -> database") as caught:
        find_move("tasks", "legacy", "database")
    assert caught.value.exit_code == 3
    assert str(find_move("tasks", "dual_read", "dual_write")) == "dual_read -> dual_write"


def test_phase_names_are_read_leniently_and_refused_clearly() -> None:
    """Case and dashes do not matter; anything else is a BadSetting that lists the phases."""
    assert parse_phase(" Dual-Write ") == "dual_write"
    with pytest.raises(BadSetting, match="legacy, dual_write"):
        parse_phase("dual", "OUTLIVE_PHASE")


def test_the_way_ends_at_database() -> None:
    """Each phase knows its successor; database has none."""
    assert [next_phase(phase) for phase in PHASES] == ["dual_write", "dual_read", "database", None]
