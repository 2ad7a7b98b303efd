"""How sides are compared: in one run, in rounds whose order rotates, by the median of the rounds.

A slow minute of the machine hits every side, and nobody always goes first. A side is a coroutine function (its
clients are tasks of one event loop) or a plain function (its clients are threads); called once it does one thing and
returns when that is done.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
ROUND_S = float(os.environ.get("BENCH_ROUND_S", "2"))
Act = Callable[[], Any]


@dataclass
class Measured:
    """What one side did."""

    rates: list[float] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Median rate of the rounds, in calls a second."""
        return statistics.median(self.rates)

    @property
    def p95_ms(self) -> float:
        """95th percentile of the time that a call took."""
        return statistics.quantiles(self.waits_ms, n=20)[18] if len(self.waits_ms) > 1 else 0.0

    @property
    def p99_ms(self) -> float:
        """99th percentile of the time that a call took."""
        return statistics.quantiles(self.waits_ms, n=100)[98] if len(self.waits_ms) > 1 else 0.0


def rotated(names: Sequence[str], number: int) -> list[str]:
    """The names, beginning with another one each round."""
    start = number % len(names)
    return [*names[start:], *names[:start]]


async def one_round(act: Act, clients: int, into: Measured, seconds: float = ROUND_S) -> None:
    """Adds a round of that many concurrent clients to `into`."""
    waits: list[float] = []
    began = time.perf_counter()
    if inspect.iscoroutinefunction(act):
        await asyncio.gather(*(_client(act, began + seconds, waits) for _ in range(clients)))
    else:
        await asyncio.to_thread(_threads, act, clients, began + seconds, waits)
    into.rates.append(len(waits) / (time.perf_counter() - began))
    into.waits_ms += waits


async def _client(act: Act, until: float, waits: list[float]) -> None:
    while (began := time.perf_counter()) < until:
        await act()
        waits.append((time.perf_counter() - began) * 1000)


def _threads(act: Act, clients: int, until: float, waits: list[float]) -> None:
    def client() -> None:
        while (began := time.perf_counter()) < until:
            act()
            waits.append((time.perf_counter() - began) * 1000)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def compare(sides: Mapping[str, Act], clients: int, rounds: int = ROUNDS) -> dict[str, Measured]:
    """Every side's figures at one number of clients, after a short round each that does not count."""
    results = {name: Measured() for name in sides}
    for act in sides.values():
        await one_round(act, clients, Measured(), min(0.5, ROUND_S))
    for number in range(rounds):
        for name in rotated(list(sides), number):
            await one_round(sides[name], clients, results[name])
    return results


def show(title: str, results: Mapping[str, Measured], ours: str, unit: str = "calls/s") -> None:
    """Prints a line a side, with how many times faster `ours` is."""
    print(f"\n{title}")
    mine = results[ours]
    for name, found in results.items():
        ratio = "" if name == ours else f"  {ours}: {mine.rate / found.rate:6.2f}x"
        print(f"  {name:<34} {found.rate:>12,.0f} {unit:<8}  p99 {found.p99_ms:>8.2f} ms{ratio}")


def timed(acts: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of each act, in rounds whose order rotates; an act that returns a float has told its own."""
    taken: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(rounds + 1):
        for name in rotated(list(acts), number):
            began = time.perf_counter()
            told = acts[name]()
            if number:  # the first round warms up
                taken[name].append(told if isinstance(told, float) else time.perf_counter() - began)
    return {name: statistics.median(found) for name, found in taken.items()}


def machine() -> str:
    """What this runs on, in one line."""
    cpu = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        cpu = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), cpu)
    when = time.strftime("%Y-%m-%d")
    load = os.getloadavg()[0]
    return f"{when}, {os.cpu_count()} cores of {cpu}, Python {platform.python_version()}, load {load:.1f} at the start"


def header(what: str) -> None:
    """Prints what is measured, how, and where."""
    print(f"{what}\n{machine()}\nmedians of {ROUNDS} rounds of {ROUND_S:g} s, order rotated", flush=True)
