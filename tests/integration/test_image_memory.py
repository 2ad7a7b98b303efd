"""An image is measured, and refused where it needs more memory than it may take."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import outlive
from outlive.errors import ImageTooLarge
from outlive.postgres.address import Address
from outlive.runtime import member
from outlive.runtime.switching import record_classes
from outlive.stores import tracking
from outlive.stores.memory import deep_bytes
from tests.stage import Stage, Task
from tests.unit.stores.test_store import Desk


@pytest.fixture
def stage(database_address: Address, tmp_path: Path) -> Iterator[Stage]:
    """A stage on a fresh database."""
    stage = Stage("thread", database_address, tmp_path)
    yield stage
    stage.close()


class Visit(BaseModel):
    name: str
    tags: list[str] = []
    inner: dict[str, int] = {}


@dataclasses.dataclass
class Spot:
    name: str
    tags: list[str] = dataclasses.field(default_factory=list)


def made(kind: type, number: int) -> Any:
    """One record whose parts are its own."""
    if kind is dict:
        return {"name": f"name of number {number}", "tags": [f"tag {number}"], "inner": {"n": number + 1000}}
    if kind is Visit:
        return Visit(name=f"name of number {number}", tags=[f"tag {number}"], inner={"n": number + 1000})
    return Spot(f"name of number {number}", [f"tag {number}"])


@pytest.mark.parametrize("kind", [dict, Visit, Spot])
def test_an_image_is_measured_as_it_is(kind: type) -> None:
    """The figure is within a third of what the allocator says, for 1,000 records of each kind."""
    desk = Desk()
    store = desk.store(kind)
    for cls in record_classes(store):
        tracking.instrument(cls)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(1000):
            unit = desk.begin()
            with desk.inside(unit):
                store.image[number] = made(kind, number)
            desk.land(unit)
        desk.submitted.clear()
        tracking.aliases.end_unit()
        tracking.aliases.prune()
        gc.collect()
        real, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.67 < store.gauge.image_bytes(store) / real < 1.5
    for key in range(1000):
        tracking.release(store.image_get(key), store, key)
    store.image_reset([])
    assert store.gauge.image_bytes(store) == 0
    store.enter("legacy")


def test_shared_parts_count_once() -> None:
    """What several records refer to is measured once; classes and enum members not at all."""
    shared = "x" * 10_000
    assert deep_bytes([[shared], [shared]]) < 10_500
    assert deep_bytes([Task, dict]) == 0


def test_a_start_is_refused_that_would_need_too_much(stage: Stage) -> None:
    """Records that do not fit are refused with the figures before memory is filled; with more room all is there."""
    service, tasks = stage.tasks("dual_read")

    async def fill() -> None:
        async with outlive.unit(service=service):
            for number in range(100):
                tasks[number] = Task(number, "title")

    stage.play(fill, service)
    small = stage.service(OUTLIVE_MAX_IMAGE_BYTES="20K")
    again: Any = outlive.mapping("tasks", Task, key="id", service=small)
    with pytest.raises(ImageTooLarge) as refused:
        small.start()
    assert (refused.value.records, refused.value.limit_bytes) == (100, 20 * 1024)
    assert refused.value.needed_bytes == pytest.approx(100 * refused.value.record_bytes, abs=100)
    assert len(again) == 0
    large = stage.service(OUTLIVE_MAX_IMAGE_BYTES="1M")
    held: Any = outlive.mapping("tasks", Task, key="id", service=large)
    with large.open():
        assert len(held) == 100
        told = member.report(large)["stores"]["tasks"]
        assert told["image_bytes"] == 100 * told["record_bytes"] > 100 * 300


def test_a_phase_change_is_refused_that_would_need_too_much(stage: Stage) -> None:
    """An image too large for what tracking keeps beside it stays in `legacy`, untouched, and says why."""
    service = stage.service(OUTLIVE_MAX_IMAGE_BYTES="10K")
    tasks: Any = outlive.mapping("tasks", Task, key="id", service=service)
    tasks.update({number: Task(number) for number in range(50)})

    async def advance() -> None:
        from outlive.runtime import switching

        assert service.database is not None
        with service.database.connect() as conn, pytest.raises(ImageTooLarge):
            await asyncio.to_thread(switching.switch, service, tasks._store, "dual_write", conn)
        assert (tasks.phase, len(tasks)) == ("legacy", 50)

    service.database = None
    stage.sql("SELECT 1")
    stage.play(advance)
