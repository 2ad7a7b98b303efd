"""The process under test, and the nursery that forks it.

    python -m tests.faults.worker          the nursery: has everything imported, starts workers on request

A worker is a process of its own with its own environment (OUTLIVE_FAILPOINT among it). It opens a service, tells what
it found, and carries out units until SIGUSR1: in threads of its own (thread driver), or as a Starlette application
under uvicorn (loop driver), where the units come by HTTP. It then waits until everything has settled, tells what it
holds, and closes in order. Lines go through a named pipe that the parent reads, so a kill takes none back.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import random
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import outlive
from outlive.commit import failpoints
from outlive.errors import OutliveError
from tests.faults.workload import Aborted, Maker, Shelves, SqlShelves

PATIENCE_S = 15.0


class Worker:
    """One process start. `spec` is the parent's order."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.pipe = os.open(spec["pipe"], os.O_WRONLY)
        self.sql = spec["phase"] == "database"
        self.shelves = (SqlShelves if self.sql else Shelves)(
            Path(spec["folder"]) / "rows.json", spec["service"], spec["second"], spec["phase"], spec["away"],
            mapping=spec["mapping"],
        )  # fmt: skip
        self.service = self.shelves.service
        self.numbers = outlive.counter("numbers", service=self.service, phase=spec["phase"])
        self.bills = outlive.counter("bills", service=self.service, phase=spec["phase"])
        self.stop = threading.Event()
        self.told = threading.Lock()

    def tell(self, kind: str, **facts: Any) -> None:
        """Write one line for the parent."""
        data = memoryview(json.dumps({"kind": kind, **facts}).encode() + b"\n")
        with self.told:
            while data:
                data = data[os.write(self.pipe, data) :]

    def run(self) -> None:
        """The process's life."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        threading.Thread(target=self._wait_for_the_end, daemon=True).start()
        if self.spec["driver"] == "loop":
            asyncio.run(self._serve())
            return
        self.service.start()
        self.shelves.seed()
        self.tell("image", at="start", image=self.shelves.image())
        self.fill_disk()
        threads = [threading.Thread(target=self._owner, args=(f"t{n}",)) for n in range(1, self.spec["owners"] + 1)]
        for thread in threads:
            thread.start()
        while not self.stop.wait(0.1):
            pass
        for thread in threads:
            thread.join()
        self.settle()
        self.tell("image", at="end", image=self.shelves.image())
        self.service.close()
        self.tell("closed")

    def _wait_for_the_end(self) -> None:
        """A thread's work, not a signal handler's: a handler that sets an Event can meet its own thread holding it."""
        signal.sigwait({signal.SIGUSR1})
        self.stop.set()

    def fill_disk(self) -> None:
        """From now on no file grows beyond the limit, as on a full disk."""
        limit = self.spec["file_limit"]
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def settle(self) -> None:
        """Until nothing is on its way any more: journal drained, records read again, PostgreSQL there."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if self.spec["phase"] == "legacy" and not self.service.committer.wanted:
            return
        ends, calm = time.monotonic() + PATIENCE_S, 0
        while calm < 3:  # what a reconnection wants read again is asked for a moment after it
            calm = calm + 1 if self._settled() else 0
            if time.monotonic() > ends:
                self.tell("stuck", why=f"journal {self.service.journal_units()}, {self.service.reachable=}")
                return
            time.sleep(0.01)

    def _settled(self) -> bool:
        service = self.service
        with service.watcher._lock:
            waits = service.journal_units() or service.committer.pending() or service.landing.reread
        return service.reachable and not waits

    # -- units of threads --------------------------------------------------------------------------------------

    def _owner(self, owner: str) -> None:
        rng = random.Random(f"{self.spec['seed']} {self.spec['life']} {owner}")
        maker = Maker(
            rng, owner, self.spec["second"], self.shelves.part(owner),
            only_second=not self.spec["mapping"], telling=self.sql,
        )  # fmt: skip
        try:
            while not self.stop.is_set() and self._one(maker, rng):
                pass
            self.tell("idle" + owner)
        except Exception:
            self.tell("crash", why=traceback.format_exc()[-3000:])

    def _one(self, maker: Maker, rng: random.Random) -> bool:
        """False if the outcome is unknown: what the owner has is then not known until the next look at the image."""
        ops = maker.unit()
        number = f"{self.spec['life']}.{maker.owner}.{maker.serial}"
        abort = rng.randrange(len(ops)) if self.spec["aborts"] and rng.random() < 0.08 else None
        self.tell("intent", id=number, owner=maker.owner, ops=ops)
        try:
            if rng.random() < 0.3:
                self.tell("drawn", number=self.numbers())
            if len(ops) == 1 and abort is None:
                self._ask(ops[0])
            else:
                with self.service.unit():
                    if self.spec["phase"] != "legacy" and rng.random() < 0.2:
                        self.tell("taking", id=number, number=self.bills.take())
                    for place, op in enumerate(ops):
                        self._ask(op)
                        if place == abort:
                            raise Aborted
        except (OutliveError, Aborted) as refused:
            if "unknown" in str(refused):
                self.tell("unknown", id=number, why=str(refused))
                return False
            self.tell("refused", id=number, why=str(refused))
            if not self.sql:  # what a refused unit leaves is in the ledger; without an image it may not be readable now
                maker.state = self.shelves.part(maker.owner)
            time.sleep(0.005)
        else:
            self.tell("ack", id=number)
            maker.done(ops)
        return True

    def _ask(self, op: list[Any]) -> None:
        if (answer := self.shelves.perform(op)) is not None:
            with self.shelves.turn:
                answer.result()

    # -- units of requests -------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        import uvicorn

        listener = socket.create_server(("127.0.0.1", 0))
        self.tell("port", port=listener.getsockname()[1])
        config = uvicorn.Config(self._app(), log_level="warning", lifespan="on", timeout_graceful_shutdown=10)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        serving.add_done_callback(lambda _: self.stop.set())
        await asyncio.to_thread(self.stop.wait)
        server.should_exit = True
        await serving
        self.tell("closed")

    def _app(self) -> Any:
        from starlette.applications import Starlette
        from starlette.routing import Route

        app = Starlette(routes=[
            Route("/unit", self._unit, methods=["POST"]), Route("/seed", self._seed, methods=["POST"]),
            Route("/image", self._image),
        ])  # fmt: skip
        return outlive.install(app, service=self.service)

    async def _unit(self, request: Any) -> Any:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        order = await request.json()
        try:
            async with self.service.unit():
                for place, op in enumerate(order["ops"]):
                    if order["threads"]:
                        await run_in_threadpool(self._ask, op)
                    elif (answer := self.shelves.perform(op)) is not None:
                        with self.shelves.turn:
                            await answer
                    await asyncio.sleep(0)
                    if place == order["abort"]:
                        raise Aborted
        except Aborted:
            return JSONResponse({"detail": "aborted"}, 400)
        except OutliveError as error:
            return JSONResponse({"detail": str(error)}, 503)
        return JSONResponse({"detail": "done"})

    async def _seed(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        await asyncio.to_thread(self.shelves.seed)
        return JSONResponse({})

    async def _image(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        await asyncio.to_thread(self.settle)
        image = await asyncio.to_thread(self.shelves.image)
        if request.query_params.get("limit"):
            self.fill_disk()
        return JSONResponse(image)


class Nursery:
    """Starts workers by fork, so that a start costs milliseconds; reports how they ended."""

    def run(self) -> None:
        """Obey one JSON line after another until the input ends."""
        self._prepare()
        for line in sys.stdin:
            order = json.loads(line)
            if "wait" in order:
                _, status = os.waitpid(order["wait"], 0)
                print(os.waitstatus_to_exitcode(status), flush=True)
            else:
                print(self._fork(order), flush=True)

    def _prepare(self) -> None:
        import alembic.command
        import starlette.applications
        import starlette.concurrency
        import starlette.routing
        import uvicorn.lifespan.on
        import uvicorn.protocols.http.auto
        import uvicorn.protocols.websockets.auto

        import outlive.postgres.migrate
        import outlive.runtime.opening

        assert alembic.command
        assert starlette.applications
        assert uvicorn.lifespan.on
        assert outlive.runtime.opening

    def _fork(self, order: dict[str, Any]) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            _become(order)
            Worker(order["spec"]).run()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)


def _become(order: dict[str, Any]) -> None:
    """A fresh process: its own session, output, environment and fail points."""
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["spec"]["folder"])
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    failpoints.arm_from(os.environ.get(failpoints.VARIABLE, ""))


if __name__ == "__main__":
    Nursery().run()
