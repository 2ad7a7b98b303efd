"""What the committer's actions are performed on: connections, this start's journal, and the stores' JSON files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from outlive.commit.journal import Journal
from outlive.errors import Unreachable
from outlive.stores.json_file import JsonFileStore

if TYPE_CHECKING:
    from outlive.runtime.service import Service


class Resources:
    """The journal is opened at its first frame; journals of dead processes are read through the same door."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.journal: Journal | None = None
        self.orphans: list[Journal] = []
        self.count = 0

    def connect(self) -> psycopg.Connection[Any]:
        if self.service.database is None:
            raise Unreachable(address="?", reason="no address")
        return self.service.database.connect()

    async def connect_async(self) -> psycopg.AsyncConnection[Any]:
        if self.service.database is None:
            raise Unreachable(address="?", reason="no address")
        return await self.service.database.connect_async()

    # -- the journal -------------------------------------------------------------------------------------------

    def claim(self) -> None:
        """Take over the journals of dead processes of this service on this machine."""
        self.orphans += Journal.orphans(self.service.settings.home, self.service.service)
        self._recount()

    def append(self, payloads: list[bytes]) -> None:
        if self.journal is None:
            service = self.service
            self.journal = Journal.open(service.settings.home, service.service, service.started)
        self.journal.append_many(payloads)
        self._recount()

    def journal_units(self) -> int:
        """Frames that have not drained, ours and claimed ones."""
        return self.count

    def _recount(self) -> None:
        own = self.journal.pending() if self.journal is not None else 0
        self.count = own + sum(orphan.pending() for orphan in self.orphans)

    def _first(self) -> Journal | None:
        while self.orphans:
            if self.orphans[0].pending():
                return self.orphans[0]
            self.orphans.pop(0).close(remove=True)
        return self.journal

    def read_frames(self, limit: int) -> list[tuple[int, bytes]]:
        journal = self._first()
        frames = []
        if journal is not None:
            for frame in journal.read():
                frames.append(frame)
                if len(frames) >= limit:
                    break
        if not frames:
            self._recount()
        return frames

    def all_frames(self) -> list[bytes]:
        """Every frame that has not drained, in order, without draining it."""
        journals = [*self.orphans, *([self.journal] if self.journal is not None else [])]
        return [payload for journal in journals for _, payload in journal.read()]

    def mark_drained(self, upto: int) -> None:
        journal = self._first()
        if journal is not None:
            journal.mark_drained(upto)
        self._recount()

    def close(self, *, remove_if_empty: bool = False) -> None:
        if self.journal is not None:
            self.journal.close(remove_if_empty=remove_if_empty)
        for orphan in self.orphans:
            orphan.close(remove_if_empty=True)

    def abandon(self) -> None:
        """Give the journals up as a dead process does: folders stay, locks go."""
        self.close()

    # -- files -------------------------------------------------------------------------------------------------

    def write_files(self, stores: list[JsonFileStore]) -> None:
        for store in stores:
            store.write_file()
