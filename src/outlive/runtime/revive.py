"""The embedded server that died while it was in use: whoever uses it starts it again. One that was stopped stays so."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from outlive.errors import Unreachable

if TYPE_CHECKING:
    from outlive.runtime.service import Service

log = logging.getLogger("outlive")
RETRY_S = 5.0


class Reviver:
    """Looks after the process's own embedded server; does nothing for a server that has an address of its own."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._due: float | None = None

    def look(self) -> bool:
        """Start the server again if it has been dead for long enough; True if that was done now."""
        database = self.service.database
        server = database.server if database is not None else None
        if server is None or not server.died():
            self._due = None
            return False
        now = time.monotonic()
        if self._due is None:
            self._due = now + self.service.settings.revive_s
        if now < self._due:
            return False
        self._due = now + RETRY_S
        try:
            revived = server.revive()
        except Unreachable as error:
            log.error("outlive: the embedded server has died and does not start: %s", error)
            return False
        if revived:
            log.warning("outlive: the embedded server had died and was started again")
        return revived
