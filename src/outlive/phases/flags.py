"""Which phase a store is in for this process: environment, then row, then declared default.

Pure functions of a mapping of environment variables; the two booleans of the requirements are a view of the one
ordered phase and are never stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from outlive.phases.machine import Phase, parse_phase
from outlive.settings import boolean

USE_DATABASE_STORAGE = "FF_USE_DATABASE_STORAGE"
DUAL_WRITE_ENABLED = "FF_DUAL_WRITE_ENABLED"
USE_DATABASE = "USE_DATABASE"
PHASE_VARIABLE = "OUTLIVE_PHASE"

_BY_FLAGS: dict[tuple[bool, bool], Phase] = {
    (False, False): "legacy",
    (False, True): "dual_write",
    (True, True): "dual_read",
    (True, False): "database",
}
_FLAGS_OF: dict[Phase, tuple[bool, bool]] = {phase: pair for pair, phase in _BY_FLAGS.items()}


@dataclass(frozen=True, slots=True)
class Resolved:
    """The phase in force and who said so; `pin_name` is the environment variable that decided, if one did."""

    phase: Phase
    source: Literal["environment", "row", "default"]
    pin_name: str | None = None


@dataclass(frozen=True, slots=True)
class Flags:
    """The two booleans of the requirements, as a view of a phase."""

    use_database_storage: bool
    dual_write_enabled: bool


def resolve(
    env: Mapping[str, str],
    store: str,
    row_phase: Phase | None,
    default: Phase = "legacy",
    *,
    pins_overridden: bool = False,
) -> Resolved:
    """The phase of `store` from environment, row, default, in this order.

    With `pins_overridden` (the operator's word in the row) a row wins over the environment. Raises BadSetting when
    an OUTLIVE_PHASE variable names no phase.
    """
    pinned = None if pins_overridden and row_phase is not None else pin(env, store)
    if pinned is not None:
        return Resolved(pinned[1], "environment", pinned[0])
    if row_phase is not None:
        return Resolved(row_phase, "row")
    return Resolved(default, "default")


def pin(env: Mapping[str, str], store: str) -> tuple[str, Phase] | None:
    """(variable name, phase) that the environment pins `store` to, or None. Raises BadSetting for a wrong phase."""
    for name in (phase_variable(store), PHASE_VARIABLE):
        if env.get(name, "").strip():
            return name, parse_phase(env[name], name)
    return _pin_of_pair(env) or _pin_of_use_database(env)


def phase_variable(store: str) -> str:
    """OUTLIVE_PHASE_<STORE>: upper case, what is no letter or digit becomes `_`."""
    return f"{PHASE_VARIABLE}_{re.sub(r'[^A-Z0-9]', '_', store.upper())}"


def parse_flag(text: str | None) -> bool | None:
    """True for true/1/yes/on, False for false/0/no/off (any case); anything else counts as not set."""
    return boolean(text or "")


def flags_of(phase: Phase) -> Flags:
    """The two booleans that mean `phase`."""
    return Flags(*_FLAGS_OF[phase])


def phase_of(flags: Flags) -> Phase:
    """The phase that the two booleans mean."""
    return _BY_FLAGS[flags.use_database_storage, flags.dual_write_enabled]


def _pin_of_pair(env: Mapping[str, str]) -> tuple[str, Phase] | None:
    database, dual = parse_flag(env.get(USE_DATABASE_STORAGE)), parse_flag(env.get(DUAL_WRITE_ENABLED))
    if database is None and dual is None:
        return None
    name = USE_DATABASE_STORAGE if database is not None else DUAL_WRITE_ENABLED
    return name, _BY_FLAGS[bool(database), bool(dual)]


def _pin_of_use_database(env: Mapping[str, str]) -> tuple[str, Phase] | None:
    flag = parse_flag(env.get(USE_DATABASE))
    return None if flag is None else (USE_DATABASE, "dual_read" if flag else "legacy")
