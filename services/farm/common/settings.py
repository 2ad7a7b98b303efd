"""What the environment says; read when asked for, so that a test can change it."""

from __future__ import annotations

import os

from outlive.settings import boolean


def seeds_demo_data() -> bool:
    """Whether stores that never held a record begin with the demo records; SEED_DEMO_DATA=false says no."""
    return switched("SEED_DEMO_DATA", default=True)


def switched(name: str, *, default: bool = False) -> bool:
    """A setting that is on or off; an empty or strange text means the default."""
    given = boolean(os.environ.get(name, ""))
    return default if given is None else given


def port(default: int) -> int:
    """Port to listen on: PORT, else the service's own. Raises ValueError when PORT is no number."""
    return int(os.environ.get("PORT") or default)


def host() -> str:
    """Address to listen on: HOST, else all of them."""
    return os.environ.get("HOST") or "0.0.0.0"


def log_level() -> str:
    """LOG_LEVEL in lower case, else `warning`."""
    return (os.environ.get("LOG_LEVEL") or "warning").lower()
