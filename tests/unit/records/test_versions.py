"""Versions order all changes."""

from __future__ import annotations

import threading

from outlive.records import VersionClock, digest
from outlive.records.versions import EPOCH_MS, time_ms


class Hand:
    """A clock moved by hand, in Unix milliseconds."""

    def __init__(self) -> None:
        self.ms = EPOCH_MS + 1_000_000

    def __call__(self) -> int:
        """Now."""
        return self.ms


def test_versions_rise_while_the_clock_stands_or_goes_back() -> None:
    """Each version is above the last, also past 4096 in one millisecond and when the clock jumps back."""
    hand = Hand()
    clock = VersionClock(5, hand)
    drawn = [clock.next() for _ in range(10_000)]
    hand.ms -= 500_000
    drawn += [clock.next() for _ in range(10)]
    assert drawn == sorted(set(drawn))
    assert all(version & 1023 == 5 for version in drawn)
    assert time_ms(drawn[0]) == EPOCH_MS + 1_000_000


def test_versions_fit_a_bigint() -> None:
    """The last millisecond of the layout is below 2**63; before 2020 counts as 2020."""
    hand = Hand()
    hand.ms = EPOCH_MS + (1 << 41) - 1
    assert VersionClock(1023, hand).next() < 2**63
    hand.ms = 0
    assert VersionClock(1, hand).next() > 0


def test_observed_versions_are_passed() -> None:
    """After a version was observed, the next one is above it; one far ahead counts as 60 s ahead and is counted."""
    hand = Hand()
    ahead, clock = VersionClock(2, hand), VersionClock(1, hand)
    ahead.set_offset_ms(59_000)
    seen = ahead.next()
    clock.observe(seen)
    assert clock.next() > seen
    assert clock.clamped == 0
    ahead.set_offset_ms(3_600_000)
    clock.observe(ahead.next())
    assert clock.clamped == 1
    assert time_ms(clock.next()) <= hand.ms + 60_000
    clock.observe(1)
    assert clock.next() > seen


def test_members_take_turns() -> None:
    """Members with different numbers never draw the same version, and a renamed clock goes on above itself."""
    hand = Hand()
    one, two = VersionClock(1, hand), VersionClock(1026, hand)
    assert {one.next() for _ in range(50)}.isdisjoint({two.next() for _ in range(50)})
    last = one.next()
    one.rename(7)
    assert one.next() > last
    assert one.next() & 1023 == 7
    assert one.wall_ms() == hand.ms


def test_threads_share_a_clock() -> None:
    """Threads that draw at once never draw the same version."""
    clock = VersionClock(1, Hand())
    drawn: list[int] = []
    threads = [threading.Thread(target=lambda: drawn.extend(clock.next() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 2000


def test_digests() -> None:
    """A digest has 16 bytes and tells data apart."""
    assert len(digest(b"a")) == 16
    assert digest(b"a") != digest(b"b")
