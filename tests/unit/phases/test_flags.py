"""Flags: environment before row before default, the pair as a view of the phase."""

from __future__ import annotations

import pytest

from outlive.errors import BadSetting
from outlive.phases.flags import Flags, Resolved, flags_of, parse_flag, phase_of, phase_variable, resolve
from outlive.phases.machine import PHASES

PAIR = [
    ({"FF_USE_DATABASE_STORAGE": "false", "FF_DUAL_WRITE_ENABLED": "false"}, "legacy"),
    ({"FF_USE_DATABASE_STORAGE": "false", "FF_DUAL_WRITE_ENABLED": "true"}, "dual_write"),
    ({"FF_USE_DATABASE_STORAGE": "YES", "FF_DUAL_WRITE_ENABLED": "1"}, "dual_read"),
    ({"FF_USE_DATABASE_STORAGE": "On", "FF_DUAL_WRITE_ENABLED": "off"}, "database"),
    ({"FF_USE_DATABASE_STORAGE": "true"}, "database"),
    ({"FF_DUAL_WRITE_ENABLED": "true"}, "dual_write"),
    ({"FF_USE_DATABASE_STORAGE": "0"}, "legacy"),
    ({"FF_USE_DATABASE_STORAGE": "maybe", "FF_DUAL_WRITE_ENABLED": "true"}, "dual_write"),
    ({"USE_DATABASE": "true"}, "dual_read"),
    ({"USE_DATABASE": "false"}, "legacy"),
]


@pytest.mark.parametrize(("env", "phase"), PAIR)
def test_the_pair_means_a_phase(env, phase) -> None:
    """Each combination of the flags pins the phase that the requirements give it."""
    resolved = resolve(env, "tasks", "dual_write", "legacy")
    assert (resolved.phase, resolved.source) == (phase, "environment")
    assert resolved.pin_name in env


def test_order_of_precedence() -> None:
    """The store's own variable beats the general one, that beats the pair, that beats USE_DATABASE, that the row."""
    env = {
        "OUTLIVE_PHASE_TASK_LOG": "database",
        "OUTLIVE_PHASE": "dual_read",
        "FF_DUAL_WRITE_ENABLED": "true",
        "USE_DATABASE": "false",
    }
    seen = []
    for name in list(env):
        resolved = resolve(env, "task-log", "dual_read", "legacy")
        seen.append((resolved.pin_name, resolved.phase))
        del env[name]
    assert seen == [
        ("OUTLIVE_PHASE_TASK_LOG", "database"),
        ("OUTLIVE_PHASE", "dual_read"),
        ("FF_DUAL_WRITE_ENABLED", "dual_write"),
        ("USE_DATABASE", "legacy"),
    ]
    assert resolve(env, "task-log", "dual_read", "legacy") == Resolved("dual_read", "row")
    assert resolve(env, "task-log", None, "dual_write") == Resolved("dual_write", "default")


def test_values_that_mean_nothing_count_as_unset() -> None:
    """An empty or unknown flag value leaves the decision to the row."""
    env = {"OUTLIVE_PHASE": " ", "FF_USE_DATABASE_STORAGE": "", "FF_DUAL_WRITE_ENABLED": "perhaps", "USE_DATABASE": "x"}
    assert resolve(env, "tasks", "dual_read").source == "row"
    assert parse_flag(None) is None


def test_a_wrong_phase_name_is_an_error() -> None:
    """OUTLIVE_PHASE with a typing mistake is refused, naming the variable."""
    with pytest.raises(BadSetting, match="OUTLIVE_PHASE_TASKS"):
        resolve({"OUTLIVE_PHASE_TASKS": "dualwrite"}, "tasks", None)


def test_overridden_pins_give_way_to_the_row_only() -> None:
    """Once the operator overrode pins the row decides; without a row the environment still does."""
    env = {"OUTLIVE_PHASE": "legacy"}
    assert resolve(env, "tasks", "dual_read", pins_overridden=True) == Resolved("dual_read", "row")
    assert resolve(env, "tasks", None, "dual_read", pins_overridden=True).pin_name == "OUTLIVE_PHASE"


@pytest.mark.parametrize("phase", PHASES)
def test_the_view_turns_back(phase) -> None:
    """The two booleans of a phase mean that phase again."""
    assert phase_of(flags_of(phase)) == phase
    assert flags_of("dual_read") == Flags(use_database_storage=True, dual_write_enabled=True)


def test_variable_names_are_shell_safe() -> None:
    """A store name with dots and dashes gives a name that a shell can export."""
    assert phase_variable("a.b-c d") == "OUTLIVE_PHASE_A_B_C_D"
