"""One module a command, imported when it is used: `outlive scan` must not wait for a database driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# by name, in the order in which help shows them; the module of `write-off` is `write_off`
NAMES = (
    "scan",
    "check",
    "status",
    "migrate",
    "doctor",
    "advance",
    "rollback",
    "verify",
    "repair",
    "load",
    "export",
    "events",
    "unlanded",
    "write-off",
)
LOOK: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}


class OnDemand(Mapping[str, Any]):
    """Every command by name; a command's module is imported by the first access to it."""

    def __getitem__(self, name: str) -> Any:
        if name not in NAMES:
            raise KeyError(name)
        module = import_module(f"{__name__}.{name.replace('-', '_')}")
        alone = typer.Typer(**LOOK)
        alone.command(module.NAME)(module.command)
        return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


class Group(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = OnDemand()  # type: ignore[assignment]
