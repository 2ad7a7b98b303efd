"""What a server can do and how careful it is, read once a process."""

from __future__ import annotations

from dataclasses import dataclass

from outlive.postgres.drive import Ask, Step


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Facts of one server and of the role that is connected."""

    server_version: int
    postgis: str | None
    is_superuser: bool
    bypasses_rls: bool
    may_create: bool
    pooler: bool
    max_connections: int
    connections_in_use: int
    synchronous_commit: str
    fsync: bool
    encoding: str


def read_capabilities(pooler: bool) -> Step[Capabilities]:
    """The capabilities; `server_version` is PostgreSQL's number (180004 for 18.4), `postgis` its installed version."""
    rows = yield Ask(
        "SELECT current_setting('server_version_num')::int,"
        " (SELECT extversion FROM pg_extension WHERE extname = 'postgis'),"
        " r.rolsuper, r.rolsuper OR r.rolbypassrls,"
        " has_database_privilege(current_database(), 'CREATE'),"
        " current_setting('max_connections')::int,"
        " (SELECT coalesce(sum(numbackends), 0)::int FROM pg_stat_database),"
        " current_setting('synchronous_commit'), current_setting('fsync')::bool, current_setting('server_encoding')"
        " FROM pg_roles AS r WHERE r.rolname = current_user"
    )
    version, postgis, superuser, bypass, create, limit, used, commit, fsync, encoding = rows[0]
    return Capabilities(
        server_version=version,
        postgis=postgis,
        is_superuser=superuser,
        bypasses_rls=bypass,
        may_create=create,
        pooler=pooler,
        max_connections=limit,
        connections_in_use=used,
        synchronous_commit=commit,
        fsync=fsync,
        encoding=encoding,
    )
