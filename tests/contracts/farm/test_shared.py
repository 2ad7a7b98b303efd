"""Answers that are shared by those who ask at the same time."""

from __future__ import annotations

import asyncio

import pytest

from services.farm.common.shared import Shared


def test_who_comes_later_shares_the_next_answer() -> None:
    """Of ten who ask at once the first ones share an answer, the later ones the next; nobody gets an older one."""

    async def run() -> tuple[list[int], list[int], int]:
        shared, calls, gate = Shared(), 0, asyncio.Event()

        async def find() -> int:
            nonlocal calls
            calls += 1
            mine = calls
            await gate.wait()
            return mine

        first = [asyncio.create_task(shared.of("a", find)) for _ in range(5)]
        await asyncio.sleep(0.01)
        later = [asyncio.create_task(shared.of("a", find)) for _ in range(5)]
        await asyncio.sleep(0.01)
        other = asyncio.create_task(shared.of("b", find))
        first[0].cancel()  # the others' answer comes all the same
        await asyncio.sleep(0.01)
        gate.set()
        return await asyncio.gather(*first[1:]), await asyncio.gather(*later), await other

    assert asyncio.run(run()) == ([1] * 4, [3] * 5, 2)


def test_an_error_is_everybodys_and_is_not_kept() -> None:
    """All who shared an answer that failed hear of it; the next one is found anew."""

    async def run() -> list[object]:
        shared = Shared()

        async def fail() -> int:
            raise ValueError("away")

        async def find() -> int:
            return 7

        failed = await asyncio.gather(*(shared.of("a", fail) for _ in range(3)), return_exceptions=True)
        return [*failed, await shared.of("a", find)]

    *failed, found = asyncio.run(run())
    assert found == 7
    for each in failed:
        with pytest.raises(ValueError, match="away"):
            raise each  # type: ignore[misc]
