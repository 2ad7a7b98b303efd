"""Which stores a command works on: those that the service declares, else those that an earlier load deduced.

A service's declarations are known by importing its module (`--app` or OUTLIVE_APP); declaring does no I/O.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from outlive.errors import BadSetting, UnknownStore
from outlive.postgres.relations import relate
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType
from outlive.settings import Settings
from outlive.transfer import deduce, joining
from outlive.transfer.load import Target

if TYPE_CHECKING:
    from outlive.runtime.service import Service
    from outlive.stores.store import Store

VARIABLE = "OUTLIVE_APP"


def find_service(app: str | None) -> Service | None:
    """The service that MODULE or MODULE:ATTRIBUTE declares; None without a name. Raises BadSetting."""
    name = app or os.environ.get(VARIABLE, "")
    if not name.strip():
        return None
    from outlive.runtime.service import Service  # the runtime takes a moment to import

    module_name, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as failure:
        raise BadSetting(name="--app", value=name, reason=f"cannot be imported: {failure}") from failure
    given = getattr(module, attribute, None) if attribute else None
    if attribute and given is None:
        raise BadSetting(name="--app", value=name, reason=f"{module_name} has no {attribute}")
    found = given if isinstance(given, Service) else _service_in(module)
    if not found.everything():
        raise BadSetting(name="--app", value=name, reason="declares no store")
    return found


def _service_in(module: Any) -> Service:
    from outlive.runtime.declare import default_service
    from outlive.runtime.service import Service

    services = {value for value in vars(module).values() if isinstance(value, Service) and value.everything()}
    return services.pop() if len(services) == 1 else default_service


def declared(service: Service, name: str) -> Target:
    """The store of a service, as a target. Raises UnknownStore, SchemaMismatch."""
    own = name.rpartition("/")[2]
    store = service.stores.get(own)
    if store is None or name not in (own, f"{service.service}/{own}"):
        raise UnknownStore(name=name, known=", ".join(sorted(service.stores)) or "none")
    phase = "dual_write" if store.default_phase == "legacy" else store.default_phase
    return Target(
        service.service, store.name, _tables(service)[own], store.key_field, store.kind, phase, store.model is not None
    )


def _tables(service: Service) -> dict[str, StoreTable]:
    found = {name: _table(service, store) for name, store in service.stores.items()}
    relate(found)
    return found


def parents_first(service: Service | None, files: list[Path]) -> list[Path]:
    """Files named after stores, in an order in which no record comes before one that it refers to."""
    if service is None or len(files) < 2:
        return files
    tables = _tables(service)
    return sorted(files, key=lambda file: (tables[file.stem].rank if file.stem in tables else 0, str(file)))


def _table(service: Service, store: Store) -> StoreTable:
    given = (service.service, store.name, store.record_type, store.key_field)
    if store.model is None:
        return StoreTable.derive(*given, store.options)
    return StoreTable.from_model(*given, store.model, store.options)


def deduced(service: str, store: str, kinds: deduce.Kinds, key: str | None) -> Target:
    """The target of a store that nobody declares: its columns as a load found them in the data."""
    record_type: RecordType = deduce.record_type(kinds)
    table = StoreTable.derive(service, store, record_type, key)
    return Target(service, store, table, key, kinds=kinds)


def loaded(conn: psycopg.Connection[Any], service: str, store: str) -> Target | None:
    """The target that an earlier load deduced; None where there was none, or a service declared the store."""
    args = joining.remembered(conn, service, store)
    if args is None or args["kinds"] is None:
        return None
    return deduced(service, store, args["kinds"], args["key"])


def own_name(settings: Settings, given: str) -> str:
    """The service's name: given with the store, OUTLIVE_SERVICE, or the folder's, as a service names itself."""
    return given or settings.service or Path.cwd().name or "service"
