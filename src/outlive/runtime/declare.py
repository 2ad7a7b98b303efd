"""The public functions: declare stores, open, group writes into units, install into an application."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from outlive.commit.unit import current
from outlive.commit.units import UnitBlock
from outlive.postgres.partitions import Every
from outlive.runtime import health
from outlive.runtime.asgi import OutliveMiddleware
from outlive.runtime.service import Service
from outlive.runtime.wsgi import OutliveWsgi
from outlive.settings import Settings
from outlive.stores.counter import Counter
from outlive.stores.files import Format
from outlive.stores.json_file import JsonFile, JsonFileStore
from outlive.stores.log import Log, LogStore
from outlive.stores.mapping import Mapping, MappingStore
from outlive.stores.repository import Repository
from outlive.stores.set import Set, SetStore
from outlive.stores.store import Phase

Away = Literal["journal", "refuse"]
default_service = Service()


def configure(
    *, service: str | None = None, settings: Settings | None = None, migrations: Path | str | None = None,
    version_table: str | None = None, accept_stale: bool | None = None,
) -> None:  # fmt: skip
    """Name the service and its Alembic migrations; call it before the service opens. Raises BadSetting afterwards."""
    default_service.configure(
        service=service, settings=settings, migrations=migrations, version_table=version_table,
        accept_stale=accept_stale,
    )  # fmt: skip


def mapping(
    name: str, type: Any = dict, *, key: str | None = None, tenant: str | None = None, model: Any = None,
    place: tuple[str, str] | None = None, indexes: Iterable[Any] = (), unique: Iterable[Any] = (),
    references: dict[str, Any] | None = None, partition_by: tuple[str, Every] | None = None,
    repository: builtins.type[Repository] | None = None, when_away: Away | None = None,
    journal_may_be_lost: bool = False, phase: Phase = "legacy", service: Service | None = None,
) -> Mapping:  # fmt: skip
    """A dict whose records outlive the process. `key` names the record's field that holds its key.

    `tenant` names the field that tells whose a record is: the repository then answers only through `for_tenant` or
    `across_tenants`. `place` names the fields of latitude and longitude. `indexes` and `unique`: fields, tuples of
    fields ("-field" descends) or `outlive.Index`, by which lists are often filtered and ordered. `references`: fields
    whose values are keys of another store, each with that store (or its name). `partition_by`: a date or time field,
    and "day", "month", "quarter" or "year". `repository`: a subclass of `outlive.Repository` with methods of your own.
    """
    at = service or default_service
    store = MappingStore(
        at, name, type, key=key, tenant=tenant, model=model, place=place, indexes=indexes, unique=unique,
        references=references, partition_by=partition_by, repository=repository, when_away=when_away,
        journal_may_be_lost=journal_may_be_lost, default_phase=phase,
    )  # fmt: skip
    proxy: Mapping = at.add(store)
    return proxy


def log(
    name: str, type: Any = dict, *, tenant: str | None = None, model: Any = None,
    place: tuple[str, str] | None = None, indexes: Iterable[Any] = (), unique: Iterable[Any] = (),
    references: dict[str, Any] | None = None, partition_by: tuple[str, Every] | None = None,
    repository: builtins.type[Repository] | None = None, when_away: Away | None = None,
    journal_may_be_lost: bool = False, phase: Phase = "legacy", service: Service | None = None,
) -> Log:  # fmt: skip
    """A list whose records outlive the process. Options as in `mapping`."""
    at = service or default_service
    store = LogStore(
        at, name, type, tenant=tenant, model=model, place=place, indexes=indexes, unique=unique,
        references=references, partition_by=partition_by, repository=repository, when_away=when_away,
        journal_may_be_lost=journal_may_be_lost, default_phase=phase,
    )  # fmt: skip
    proxy: Log = at.add(store)
    return proxy


def set(
    name: str, type: Any = str, *, when_away: Away | None = None, journal_may_be_lost: bool = False,
    phase: Phase = "legacy", service: Service | None = None,
) -> Set:  # fmt: skip
    """A set whose elements outlive the process."""
    at = service or default_service
    store = SetStore(
        at, name, type, when_away=when_away, journal_may_be_lost=journal_may_be_lost, default_phase=phase
    )  # fmt: skip
    proxy: Set = at.add(store)
    return proxy


def counter(
    name: str, start: int = 1, *, when_away: Away | None = None, phase: Phase = "legacy", service: Service | None = None
) -> Counter:
    """Numbers that are drawn once: `next_id()`, `next(next_id)`, and `next_id.take()` without gaps."""
    at = service or default_service
    made = Counter(at, name, start, when_away=when_away, default_phase=phase)
    at.counters[name] = made
    return made


def json_file(
    path: Path | str, *, key: str = "id", type: Any = dict, model: Any = None, name: str | None = None,
    default: Callable[[], list[Any]] | list[Any] | None = None, indent: int | str | None = 2, ascii: bool = False,
    newline: bool = False, tenant: str | None = None, place: tuple[str, str] | None = None,
    indexes: Iterable[Any] = (), unique: Iterable[Any] = (), references: dict[str, Any] | None = None,
    partition_by: tuple[str, Every] | None = None, repository: builtins.type[Repository] | None = None,
    when_away: Away | None = None, journal_may_be_lost: bool = False, phase: Phase = "legacy",
    service: Service | None = None,
) -> JsonFile:  # fmt: skip
    """The records of a JSON file, with `load()`, `save(rows)` and `with store as rows:`.

    `default` gives the records where there is no file; `indent`, `ascii` and `newline` its format, until a file shows
    its own. The store is named after the file. Other options as in `mapping`.
    """
    at = service or default_service
    file = Path(path)
    store = JsonFileStore(
        at, name or file.stem, type, path=file, default=default, format=Format(indent, ascii, newline), key=key,
        model=model, tenant=tenant, place=place, indexes=indexes, unique=unique, references=references,
        partition_by=partition_by, repository=repository, when_away=when_away,
        journal_may_be_lost=journal_may_be_lost, default_phase=phase,
    )  # fmt: skip
    proxy: JsonFile = at.add(store)
    return proxy


class _Open:
    """`with outlive.open():` and `async with outlive.open():`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __enter__(self) -> Service:
        self._service.start()
        return self._service

    def __exit__(self, *error: object) -> None:
        self._service.close()

    async def __aenter__(self) -> Service:
        await self._service.start_async()
        return self._service

    async def __aexit__(self, *error: object) -> None:
        await self._service.close_async()


def open(service: Service | None = None) -> _Open:
    """Opens the stores for the block: PostgreSQL, journals, images; closes them in order."""
    return _Open(service or default_service)


def unit(name: str = "", *, service: Service | None = None) -> UnitBlock:
    """One unit of work for a `with` or `async with` block: durable as a whole when it is left, undone if it raises."""
    return (service or default_service).unit(name)


async def flush(service: Service | None = None) -> None:
    """Returns once everything written so far is settled."""
    await (service or default_service).flush()


async def is_connected(service: Service | None = None) -> bool:
    """Whether PostgreSQL answers within a second; never raises. For health routes, in every phase."""
    return await health.connected(service or default_service)


def show_unsettled() -> None:
    """Lets the running request answer at once, although from `dual_read` on its answer may then show changes of others
    that are not settled and may still be refused. For routes that must always answer: health, metrics."""
    scope = current.get()
    if scope is not None:
        scope.shows_unsettled = True


def install(app: Any, *, on_error: Literal["commit", "discard"] = "commit", service: Service | None = None) -> Any:
    """Puts units of work around every request of an application, and opens and closes the service with it.

    Returns the application to serve: the same object for FastAPI, Starlette and Flask; a wrapped callable for a plain
    ASGI or WSGI one.
    """
    at = service or default_service
    if hasattr(app, "add_middleware"):
        app.add_middleware(OutliveMiddleware, service=at, on_error=on_error)
        return app
    if hasattr(app, "wsgi_app"):
        app.wsgi_app = OutliveWsgi(app.wsgi_app, at, on_error)
        return app
    call = app if inspect.isfunction(app) else type(app).__call__
    if inspect.iscoroutinefunction(call):
        return OutliveMiddleware(app, at, on_error)
    return OutliveWsgi(app, at, on_error)
