"""The clients, in a process of their own: as little as it takes to ask over kept connections and to note the time.

`python -m benchmarks.services.load` reads a JSON line for each round from standard input, `{"port", "clients",
"seconds", "requests"}` with the requests as texts, and answers with a line `{"calls", "seconds", "waits_ms", "wrong"}`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

END, LENGTH = b"\r\n\r\n", b"content-length: "


class Client(asyncio.Protocol):
    """One connection, with one request under way at a time."""

    def __init__(self, requests: Iterator[bytes], until: float, waits: list[float], wrong: list[str]) -> None:
        self.requests = requests
        self.until = until
        self.waits = waits
        self.wrong = wrong
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.held = b""
        self.size = -1  # of the whole answer, once its head has come

    def connection_made(self, transport: Any) -> None:
        """Begins."""
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        """Notes a whole answer and asks again."""
        held = self.held = self.held + data if self.held else data
        if self.size < 0:
            end = held.find(END)
            if end < 0:
                return
            at = held.lower().find(LENGTH, 0, end) + len(LENGTH)
            self.size = end + 4 + int(held[at : held.index(b"\r", at)])
        if len(held) < self.size:
            return
        now = time.perf_counter()
        self.waits.append((now - self.began) * 1000)
        if held[9:10] != b"2":
            self.wrong.append(held[:500].decode(errors="replace"))
        self.held, self.size = b"", -1
        if now < self.until:
            self._ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends, however that came."""
        if error is not None:
            self.wrong.append(repr(error))
        if not self.done.done():
            self.done.set_result(None)


async def one_round(port: int, clients: int, seconds: float, requests: list[str]) -> dict[str, Any]:
    """What one round of that many clients did."""
    loop = asyncio.get_running_loop()
    given = itertools.cycle([each.encode() for each in requests])
    waits: list[float] = []
    wrong: list[str] = []
    began = time.perf_counter()
    made = [
        await loop.create_connection(lambda: Client(given, began + seconds, waits, wrong), "127.0.0.1", port)
        for _ in range(clients)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    return {
        "calls": len(waits),
        "seconds": time.perf_counter() - began,
        "waits_ms": [round(each, 3) for each in waits],
        "wrong": wrong[:3],
    }


class Clients:
    """The process that asks."""

    async def start(self) -> None:
        """Starts it."""
        command = [sys.executable, "-m", "benchmarks.services.load"]
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=2**28)

    async def round(self, port: int, clients: int, seconds: float, asked: list[str]) -> dict[str, Any]:
        """What one round of so many clients brought. Raises AssertionError for an answer that is no 2xx."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        told = {"port": port, "clients": clients, "seconds": seconds, "requests": asked}
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        found: dict[str, Any] = json.loads(await self.process.stdout.readline())
        assert not found["wrong"], found["wrong"]
        return found

    async def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        await self.process.wait()


def main() -> None:
    """A round for each line."""
    run: Any = importlib.import_module("uvloop" if importlib.util.find_spec("uvloop") else "asyncio").run
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run(one_round(**json.loads(line)))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
