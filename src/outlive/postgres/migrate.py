"""Brings schemas up to date, one process at a time.

`upgrade_control` runs the migrations of the schema `outlive`, which ship with the package; `migrate_service` runs a
service's own. Both look first and lock only when something is due, so that a start behind a pooler needs no direct
address once the schema fits.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import sql

from outlive.errors import MigrationFailed
from outlive.postgres.connect import Connection, Database
from outlive.postgres.lock import migration_session

CONTROL = Path(__file__).resolve().parent / "control"
CONTROL_TABLE = "schema_version"
CONTROL_SCHEMA = "outlive"
_ALEMBIC_IS_NOT_THREAD_SAFE = threading.Lock()


def upgrade_control(db: Database, revision: str = "head") -> bool:
    """True when this call brought the schema `outlive` to `revision`, False when it was there already.

    Of several processes one migrates and the rest wait. Raises MigrationFailed (also when the schema is newer than
    this package), Unavailable, Unreachable, BadSetting.
    """
    return migrate_service(db, CONTROL, CONTROL_TABLE, revision, schema=CONTROL_SCHEMA)


def downgrade_control(db: Database, revision: str = "base") -> None:
    """Takes the schema `outlive` back to `revision`. Raises as `upgrade_control`."""
    downgrade_service(db, CONTROL, CONTROL_TABLE, revision, schema=CONTROL_SCHEMA)


def control_revision(db: Database) -> str | None:
    """The revision that the schema `outlive` stands at, None before the first. Raises Unreachable."""
    with db.session() as conn:
        found = _current(conn, CONTROL_TABLE, CONTROL_SCHEMA)
    return next(iter(found), None)


def migrate_service(
    db: Database,
    script_location: Path | str,
    version_table: str,
    revision: str = "head",
    *,
    schema: str | None = None,
) -> bool:
    """True when this call brought a service's own tables to `revision`, under the same lock as `upgrade_control`.

    `script_location` is the folder of its env.py, `schema` where its version table lives (None: the search path).
    Raises as `upgrade_control`.
    """
    config = _config(script_location)
    what = _name(script_location, schema)
    if _at(db, config, version_table, schema, revision):
        return False
    before = _run(db, config, what, version_table, schema, lambda: command.upgrade(config, revision))
    with db.session() as conn:
        return before != _current(conn, version_table, schema)


def downgrade_service(
    db: Database, script_location: Path | str, version_table: str, revision: str, *, schema: str | None = None
) -> None:
    """Takes a service's own tables back to `revision`: "-1", "base" or a name. Raises as `upgrade_control`."""
    config = _config(script_location)
    what = _name(script_location, schema)
    _run(db, config, what, version_table, schema, lambda: command.downgrade(config, revision))


def migration_sql(script_location: Path | str = CONTROL, revision: str = "head") -> str:
    """The SQL of all migrations from nothing up to `revision`; connects to nothing. Raises MigrationFailed."""
    config = _config(script_location)
    config.output_buffer = io.StringIO()
    with _ALEMBIC_IS_NOT_THREAD_SAFE:
        try:
            command.upgrade(config, revision, sql=True)
        except CommandError as failure:
            raise MigrationFailed(what=_name(script_location, None), reason=str(failure)) from failure
    return config.output_buffer.getvalue()


def _config(script_location: Path | str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(script_location).resolve()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _name(script_location: Path | str, schema: str | None) -> str:
    return schema or Path(script_location).resolve().parent.name


def _at(db: Database, config: Config, version_table: str, schema: str | None, revision: str) -> bool:
    """True when the database stands at `revision` already, known without a lock."""
    with db.session() as conn:
        current = _current(conn, version_table, schema)
    if revision not in ("head", "heads"):
        return current == {revision}
    return bool(current) and current == set(ScriptDirectory.from_config(config).get_heads())


def _current(conn: Connection, version_table: str, schema: str | None) -> set[str]:
    table = sql.Identifier(schema, version_table) if schema else sql.Identifier(version_table)
    found = conn.execute("SELECT to_regclass(%s)", [table.as_string(conn)]).fetchone()
    if found is None or found[0] is None:
        return set()
    return {row[0] for row in conn.execute(sql.SQL("SELECT version_num FROM {}").format(table))}


def _run(
    db: Database, config: Config, what: str, version_table: str, schema: str | None, go: Callable[[], Any]
) -> set[str]:
    """The revisions before `go` ran under the migration lock."""
    with _ALEMBIC_IS_NOT_THREAD_SAFE, migration_session(db) as connection:
        raw: Any = connection.connection.driver_connection
        before = _current(raw, version_table, schema)
        connection.commit()
        raw.rollback()
        config.attributes["connection"] = connection
        try:
            go()
        except (CommandError, sqlalchemy.exc.SQLAlchemyError, psycopg.Error) as failure:
            raise MigrationFailed(what=what, reason=_reason(db, failure)) from failure
        return before


def _reason(db: Database, failure: Exception) -> str:
    if isinstance(failure, CommandError) and "Can't locate revision" in str(failure):
        return f"the schema is newer than this program ({failure})"
    cause = getattr(failure, "orig", None) or failure
    return db.address.scrub("; ".join(line.strip() for line in str(cause).splitlines() if line.strip()))
