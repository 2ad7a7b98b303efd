"""The Typer application and the one place where errors become exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

import outlive
from outlive.cli import commands, output
from outlive.errors import NoControl, OutliveError, Unreachable

app = typer.Typer(
    name="outlive",
    cls=commands.Group,
    help="Take a service's state to PostgreSQL in phases, and back.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"outlive {outlive.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and end.")
    ] = False,
) -> None:
    """Take a service's state to PostgreSQL in phases, and back."""


def run(arguments: Sequence[str]) -> int:
    """Exit status of the command line `arguments`; every expected error is shown as a sentence with a next command."""
    as_json = "--json" in arguments
    try:
        status = app(args=list(arguments), prog_name="outlive", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except OutliveError as failure:
        output.fail(failure, as_json)
        return failure.exit_code
    except BrokenPipeError:
        sys.stdout = None  # nobody reads on; the final flush must not complain
        return 1
    except Exception as failure:
        if _is_database_error(failure):
            return _database_failed(failure, as_json)
        if not hasattr(failure, "format_message"):
            raise
        return _usage(failure, as_json)


def _is_database_error(failure: Exception) -> bool:
    """Whether psycopg raised it; a command that never imported the driver cannot have met one of its errors."""
    driver = sys.modules.get("psycopg")
    return driver is not None and isinstance(failure, driver.Error)


def _database_failed(failure: Any, as_json: bool) -> int:
    import psycopg

    reason = " ".join(str(failure).split()) or type(failure).__name__
    known: OutliveError
    if isinstance(failure, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        known = NoControl(address="this database")
    elif isinstance(failure, psycopg.OperationalError) and (failure.sqlstate or "08").startswith(("08", "57P")):
        known = Unreachable(address="the address in use", reason=reason)
    else:
        output.fail_with(type(failure).__name__, reason, "outlive doctor", {"sqlstate": failure.sqlstate}, as_json)
        return 1
    output.fail(known, as_json)
    return known.exit_code


def _usage(failure: Any, as_json: bool) -> int:
    """2; Typer's complaints about arguments, in our form."""
    context = getattr(failure, "ctx", None)
    path = context.command_path if context is not None else "outlive"
    output.fail_with("Usage", failure.format_message(), f"{path} --help", {}, as_json)
    return int(getattr(failure, "exit_code", 2))
