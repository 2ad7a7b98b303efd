"""The garbage collector while services are open."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from outlive.runtime import collector


@pytest.fixture
def plain() -> Iterator[tuple[int, int, int]]:
    """Python's own thresholds, with no service open; whatever was there comes back."""
    before, opened, remembered = gc.get_threshold(), set(collector._open), collector._before
    collector._open.clear()
    gc.set_threshold(700, 10, 10)
    yield 700, 10, 10
    collector._open.clear()
    collector._open.update(opened)
    collector._before = remembered
    gc.set_threshold(*before)


def test_the_last_service_to_close_leaves_it_as_it_was(plain: tuple[int, int, int]) -> None:
    """What was there is set aside and young objects wait longer, until nobody is open any more."""
    one, two = object(), object()
    collector.relax(one)
    collector.relax(two)
    assert gc.get_threshold() == (collector.YOUNG, 10, 10)
    assert gc.get_freeze_count() > 0
    collector.tighten(one)
    collector.tighten(one)
    assert gc.get_freeze_count() > 0
    collector.tighten(two)
    assert gc.get_threshold() == plain
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("given", [(0, 10, 10), (50_000, 5, 5)])
def test_what_somebody_has_set_stays(plain: tuple[int, int, int], given: tuple[int, int, int]) -> None:
    """A collector that is off or rarer already is left alone."""
    gc.set_threshold(*given)
    service = object()
    collector.relax(service)
    assert gc.get_threshold() == given
    collector.tighten(service)
    assert gc.get_threshold() == given
    gc.set_threshold(*plain)


def test_thresholds_that_changed_meanwhile_stay(plain: tuple[int, int, int]) -> None:
    """Whoever set others while a service was open keeps them."""
    service = object()
    collector.relax(service)
    gc.set_threshold(1234, 10, 10)
    collector.tighten(service)
    assert gc.get_threshold() == (1234, 10, 10)
