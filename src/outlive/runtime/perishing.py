"""Whether this process may acknowledge a write that only its journal holds."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from outlive.commit import perishable
from outlive.postgres.address import Address
from outlive.settings import MAY_BE_LOST_VARIABLE, Settings, boolean

if TYPE_CHECKING:
    from outlive.runtime.service import Service

log = logging.getLogger("outlive")


def why_journals_die(settings: Settings, env: Mapping[str, str] = os.environ) -> str | None:
    """Why the journals of this home end before the database does; None if they last as long, or need not.

    The embedded server lies in the same folder and shares its fate. So does a server of the same machine share that
    of a container's root, but not that of a memory file system. `env` is the process's own environment: what is said
    there of the machine holds for a service with an environment of its own too.
    """
    if settings.journal_may_be_lost or boolean(env.get(MAY_BE_LOST_VARIABLE, "")):
        return None
    address = Address.from_settings(settings)
    if address is None:
        return None
    why = perishable.look_at(settings.home)
    return None if why is not None and "container" in why and address.local else why


def judge(service: Service) -> None:
    """Let the stores refuse what they would have journalled, and say so: in the log, and in the event log later."""
    service.journal_dies = why_journals_die(service.settings) or ""
    if not service.journal_dies:
        return
    for store in service.stores.values():
        if store.declared_away != "refuse" and not store.journal_may_be_lost:
            service.watcher.note(store, "journal_dies", {"why": service.journal_dies, "when_away": "refuse"})
    log.warning(
        "outlive: %s; while PostgreSQL is away writes are refused. Put OUTLIVE_HOME on a volume, or say that journals "
        "may be lost: %s=true, or journal_may_be_lost=True",
        service.journal_dies, MAY_BE_LOST_VARIABLE,
    )  # fmt: skip
