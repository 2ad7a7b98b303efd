"""`outlive migrate`: the control schema."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from outlive.cli import output, session
from outlive.cli.options import AppRole, AsJson, DryRun
from outlive.postgres.connect import Connection

NAME = "migrate"
_SERVICES = "SELECT DISTINCT service FROM outlive.phase ORDER BY 1"


def command(app_role: AppRole = None, dry_run: DryRun = False, json: AsJson = False) -> None:
    """Bring the schema outlive up to date.

    --dry-run prints the SQL. Of several at once one migrates and the rest wait. With no database address set it
    makes an embedded server in .outlive (OUTLIVE_HOME). --app-role makes a role that may log in and work with the
    tables of all known services, owns nothing and is bound by row-level security; set its password with ALTER ROLE.
    """
    from outlive.postgres.migrate import control_revision, migration_sql, upgrade_control  # slow to import

    if dry_run:
        text = migration_sql() + "".join(f"{each};\n" for each in (_role(app_role, ()) if app_role else ()))
        output.document({"dry_run": True, "sql": text}) if json else print(text, end="")
        return
    with session.opened(control=False, create=True) as opened:
        changed = upgrade_control(opened.database)
        revision = control_revision(opened.database)
        opened.let_services_join()
        if app_role:
            _grant(opened, app_role)
    if json:
        output.document({"dry_run": False, "changed": changed, "revision": revision})
    else:
        print(f"the schema outlive {'is now' if changed else 'was already'} at revision {revision}")


def _role(role: str, services: Iterable[str]) -> list[str]:
    from outlive.postgres.layouts import identifier
    from outlive.postgres.tenancy import role_statements

    return role_statements(role, [identifier(service) for service in services])


def _grant(opened: session.Session, role: str) -> None:
    """The schemas of services that have opened once are there to be granted."""
    with opened.database.connect_direct() as conn:
        services = [service for (service,) in conn.execute(_SERVICES) if _exists(conn, service)]
        with conn.transaction():
            for statement in _role(role, services):
                conn.execute(sql.SQL(statement))


def _exists(conn: Connection, service: str) -> bool:
    from outlive.postgres.layouts import identifier

    found = conn.execute("SELECT to_regnamespace(quote_ident(%s))", [identifier(service)]).fetchone()
    return found is not None and found[0] is not None
