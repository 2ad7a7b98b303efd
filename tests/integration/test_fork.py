"""Preloading servers: a parent that has opened the service forks workers, and everybody goes on by itself."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import outlive
from outlive.postgres.address import Address
from tests.stage import Stage, Task


@pytest.fixture
def stage(database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database."""
    stage = Stage("thread", database_address, tmp_path)
    yield stage
    stage.close()


class Worker:
    """A forked child that runs `act` once it is let go, and answers with its result as JSON."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._gate, gate = os.pipe()
        self._answer, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(gate)
            status = 1
            try:
                os.read(self._gate, 1)
                os.write(answer, json.dumps(act()).encode())
                status = 0
            except BaseException as error:
                os.write(answer, json.dumps(repr(error)).encode())
            finally:
                os._exit(status)
        os.close(self._gate)
        os.close(answer)
        self._go = gate

    def result(self) -> Any:
        """Let the child go; what it answered. A child that hangs is killed."""
        os.write(self._go, b"x")
        os.close(self._go)
        previous = signal.signal(signal.SIGALRM, lambda *_: os.kill(self.pid, signal.SIGKILL))
        signal.alarm(30)
        try:
            with os.fdopen(self._answer, "rb") as pipe:
                text = pipe.read()
            _, status = os.waitpid(self.pid, 0)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, previous)
        assert status == 0, text
        return json.loads(text)


def test_two_workers_of_a_preloading_parent(stage: Stage) -> None:
    """Each child takes a member number and connections of its own, sees what was there, and writes; so does the
    parent, whose connections the children's ends leave alone."""
    service, tasks = stage.tasks()
    service.start()
    tasks[1] = Task(1, "first")
    parent = service.committer.member
    assert parent is not None

    def work(number: int) -> Callable[[], Any]:
        def act() -> Any:
            tasks[number] = Task(number, str(os.getpid()))
            member = service.committer.member
            assert member is not None
            service.close()
            return [os.getpid(), member.id, sorted(tasks)]

        return act

    workers = [Worker(work(number)) for number in (2, 3)]
    tasks[4] = Task(4, "parent")
    answers = [worker.result() for worker in workers]
    assert len({parent.id, *(answer[1] for answer in answers)}) == 3
    assert [answer[2] for answer in answers] == [[1, 2, 4], [1, 2, 3, 4]]
    for number, answer in zip((2, 3), answers, strict=True):
        assert stage.row(number) == (str(answer[0]), False, [])
        rows = stage.sql("SELECT pid, applied, left_at IS NOT NULL FROM outlive.member WHERE id = %s", answer[1])
        assert rows == [(answer[0], 1, True)]
    tasks[1].title = "after"
    assert stage.row(1) == ("after", False, [])
    assert service.committer.member is parent
    assert stage.sql("SELECT applied, left_at FROM outlive.member WHERE id = %s", parent.id) == [(3, None)]
    service.close()


def test_a_child_of_a_fork_in_the_middle_of_a_unit(stage: Stage) -> None:
    """A parent's open unit is no part of the child: the child neither commits nor waits for it; the parent does."""
    service, tasks = stage.tasks()
    service.start()
    with service.unit():
        tasks[1] = Task(1, "parent")
        worker = Worker(lambda: _write(service, tasks))
        assert worker.result() == [2]
        assert stage.row(1) is None
    assert stage.row(1) == ("parent", False, [])
    assert stage.row(2) is not None
    service.close()


def _write(service: outlive.Service, tasks: Any) -> list[int]:
    tasks[2] = Task(2)
    service.close()
    return sorted(tasks)


def test_a_child_that_does_nothing(stage: Stage) -> None:
    """A child that never touches its stores opens nothing, and its end disturbs nobody."""
    service, tasks = stage.tasks()
    service.start()
    assert Worker(lambda: service.state).result() == "closed"
    tasks[1] = Task(1)
    assert stage.row(1) is not None
    assert stage.sql("SELECT count(*) FROM outlive.member") == [(1,)]
    service.close()


def test_a_service_that_was_never_opened(stage: Stage) -> None:
    """Declared before the fork, opened in each child: seeds of the parent's memory are seeded once."""
    service, tasks = stage.tasks()
    tasks[1] = Task(1, "seed")

    def act() -> Any:
        service.start()
        tasks[1].tags.append("x")
        service.close()
        return len(tasks[1].tags)

    assert [Worker(act).result() for _ in range(2)] == [1, 2]
    assert stage.row(1) == ("seed", False, ["x", "x"])
