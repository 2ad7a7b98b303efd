"""Arguments and options that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")]
Store = Annotated[str, typer.Argument(metavar="STORE", help="STORE, or SERVICE/STORE.")]
AnyStore = Annotated[str | None, typer.Argument(metavar="[STORE]", help="STORE or SERVICE/STORE; all without it.")]
Force = Annotated[bool, typer.Option("--force", help="Pass closed gates; needs --reason.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the event log.")]
Wait = Annotated[float, typer.Option("--wait", min=0, metavar="S", help="Longest wait for members, in seconds.")]
Pins = Annotated[
    bool | None,
    typer.Option("--override-pins/--heed-pins", help="Whether the row wins over phases set by environment."),
]
App = Annotated[
    str | None,
    typer.Option("--app", metavar="MODULE[:NAME]", help="The service's module, for its stores; or OUTLIVE_APP."),
]
AppRole = Annotated[
    str | None,
    typer.Option("--app-role", metavar="ROLE", help="Make the application's role, or grant it what is new."),
]
KeyField = Annotated[
    str | None, typer.Option("--key", metavar="FIELD", help="The field that holds the key, where nobody declares it.")
]
FileFormat = Annotated[
    str | None, typer.Option("--format", metavar="KIND", help="list, object, jsonl or csv; default: by the file.")
]
