"""One module a command."""

from __future__ import annotations

import typer

from outlive.cli.commands import advance, doctor, events, migrate, rollback, status, unlanded, verify, write_off


def register(app: typer.Typer) -> None:
    """Adds every command to `app`, in the order in which help shows them."""
    for module in (status, migrate, doctor, advance, rollback, verify, events, unlanded, write_off):
        app.command(module.NAME)(module.command)
