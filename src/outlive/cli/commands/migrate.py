"""`outlive migrate`: the control schema."""

from __future__ import annotations

from outlive.cli import output, session
from outlive.cli.options import AsJson, DryRun

NAME = "migrate"


def command(dry_run: DryRun = False, json: AsJson = False) -> None:
    """Bring the schema outlive up to date.

    --dry-run prints the SQL. Of several at once one migrates and the rest wait. With no database address set it
    makes an embedded server in .outlive (OUTLIVE_HOME).
    """
    from outlive.postgres.migrate import control_revision, migration_sql, upgrade_control  # slow to import

    if dry_run:
        text = migration_sql()
        output.document({"dry_run": True, "sql": text}) if json else print(text, end="")
        return
    with session.opened(control=False, create=True) as opened:
        changed = upgrade_control(opened.database)
        revision = control_revision(opened.database)
        opened.let_services_join()
    if json:
        output.document({"dry_run": False, "changed": changed, "revision": revision})
    else:
        print(f"the schema outlive {'is now' if changed else 'was already'} at revision {revision}")
