"""What the environment says about this service; read when asked for, so that a test can change it."""

from __future__ import annotations

import os
from pathlib import Path

OFF = frozenset({"false", "0", "no", "off"})


def data_folder() -> Path:
    """Folder of expenses.json and incomes.json: HOME_BUDGET_DATA, else `data` in the working directory."""
    return Path(os.environ.get("HOME_BUDGET_DATA") or "data")


def seeds_demo_rows() -> bool:
    """Whether a missing file begins with the demo rows; SEED_DEMO_DATA=false says no."""
    return os.environ.get("SEED_DEMO_DATA", "true").strip().lower() not in OFF


def is_production() -> bool:
    """Whether ENV names production."""
    return os.environ.get("ENV", "").strip().lower() in {"production", "prod"}


def host() -> str:
    """Address to listen on: HOST, else all of them, as in the first version."""
    return os.environ.get("HOST") or "0.0.0.0"


def port() -> int:
    """Port to listen on: PORT, else 8000. Raises ValueError when PORT is no number."""
    return int(os.environ.get("PORT") or "8000")


def log_level() -> str:
    """LOG_LEVEL in lower case, else `warning`."""
    return (os.environ.get("LOG_LEVEL") or "warning").lower()
