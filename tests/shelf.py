"""The least store that a repository can stand on: a dict as image, a table, and one open unit."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import psycopg
from psycopg import sql

from outlive.commit.unit import ABSENT
from outlive.postgres.connect import Database
from outlive.postgres.lane import Lane
from outlive.postgres.tables import StoreTable
from outlive.records import RecordType
from outlive.stores.repository import DELETED, Repository


class Shelf:
    """Backing of a repository. `by_sql` says who answers; `changes` are then what the unit has not committed."""

    def __init__(self, table: StoreTable, db: Database, key_of: Callable[[Any], Hashable]) -> None:
        self.name = "shelf"
        self.record_type: RecordType = table.record_type
        self.place = table.place
        self.tenant = table.options.tenant
        self.table: StoreTable | None = table
        self.db = db
        self.key_of = key_of
        self.by_sql = False
        self.tracked = True
        self.image: dict[Hashable, Any] = {}
        self.changes: dict[Hashable, Any] = {}
        self.seconds: list[float] = []
        self.settled = 0
        self.repository = Repository(self)

    def fill(self, records: Iterable[Any], keys: Iterable[Hashable] | None = None) -> None:
        """Make image and table hold exactly these records, in this order."""
        held = list(records)
        self.image = dict(zip(list(keys) if keys is not None else map(self.key_of, held), held, strict=True))
        self.changes = {}
        with self.db.session() as conn:
            conn.execute(sql.SQL("DELETE FROM {}").format(self.relation))
            self._insert(conn, self.image)

    def _insert(self, conn: psycopg.Connection[Any], records: dict[Hashable, Any]) -> None:
        assert self.table is not None
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in self.table.column_names)
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(self.relation, columns)
        with conn.cursor() as cursor, cursor.copy(statement) as copy:
            for place, (key, record) in enumerate(records.items()):
                copy.write_row(self.table.row(key, self.record_type.document(record), 1, place))

    @property
    def relation(self) -> sql.Identifier:
        """The table's name in SQL."""
        assert self.table is not None
        return sql.Identifier(str(self.table.table.schema), self.table.table.name)

    def reads_sql(self) -> bool:
        """Whether SQL answers."""
        return self.by_sql

    def image_get(self, key: Hashable) -> Any:
        """The live record, or ABSENT."""
        return self.image.get(key, ABSENT)

    def image_items(self) -> Iterable[tuple[Hashable, Any]]:
        """Live records in insertion order."""
        return self.image.items()

    def image_size(self) -> int:
        """How many live records there are."""
        return len(self.image)

    def texts(self, items: Any, encode: Any, form: Any) -> list[bytes]:
        """Nothing is kept."""
        return [encode(record) for _, record in items]

    def page(self, query: Any, peek: Any) -> None:
        """No index."""

    def candidates(self, query: Any, peek: Any) -> None:
        """No index."""

    def unit_changes(self) -> dict[Hashable, Any]:
        """What the open unit has not committed."""
        return self.changes

    def unit_put(self, key: Hashable, record: Any, insert: bool) -> None:
        """Adds or replaces a record."""
        (self.changes if self.by_sql else self.image)[key] = record

    def image_position(self, key: Hashable) -> int | None:
        """Where a record stands."""
        return list(self.image).index(key) if self.tracked else None

    def together(self) -> AbstractContextManager[None]:
        """Several writes as one."""
        return nullcontext()

    def writes_image(self) -> bool:
        """Whether writes go to the image; else to `changes`, as in phase database."""
        return not self.by_sql

    def unit_patch(self, key: Hashable, fields: dict[str, Any], base: Any = None) -> None:
        """Sets fields of a record; `base` is its row as read."""
        if self.writes_image():
            for field, value in fields.items():
                setattr(self.image[key], field, value)
            return
        document = self.record_type.document(self.changes[key]) if key in self.changes else base.document
        document.update({field: self.record_type.encode(field, value) for field, value in fields.items()})
        self.changes[key] = self.record_type.record(document)

    def unit_delete(self, key: Hashable) -> None:
        """Removes a record."""
        if self.by_sql:
            self.changes[key] = DELETED
        else:
            del self.image[key]

    def session(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        """A pooled connection."""
        return self.db.session()

    def lane(self) -> Lane:
        """The quick way of the running loop's reads."""
        return self.db.lane()

    def untouched(self) -> bool:
        """Whether SQL answers and the open unit has changed nothing."""
        return self.by_sql and not self.changes

    def observe_query(self, seconds: float) -> None:
        """Notes how long an answer took."""
        self.seconds.append(seconds)

    def settle(self) -> None:
        """Counts the blocking waits."""
        self.settled += 1

    async def asettle(self) -> None:
        """Counts the waits."""
        self.settled += 1
