"""What the environment says about this service; read when asked for, so that a test can change it."""

from __future__ import annotations

import functools
import os
import re
from typing import NamedTuple

from outlive.errors import BadSetting
from services.farm.common.settings import switched

RATE_LIMIT = "VALIDATE_RATE_LIMIT"
_RATE = re.compile(
    r"\s*([1-9]\d{0,8})\s*(?:/|per)\s*([1-9]\d{0,4})?\s*(second|minute|hour|day)s?\s*", re.IGNORECASE | re.ASCII
)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class Rate(NamedTuple):
    """So many requests in so long."""

    times: int
    periods: int
    period: str

    @property
    def seconds(self) -> int:
        """The length of all periods."""
        return self.periods * _SECONDS[self.period]

    def __str__(self) -> str:
        return f"{self.times} per {self.periods} {self.period}"


def api_key() -> str:
    """API_KEY, empty where there is none."""
    return os.environ.get("API_KEY", "")


def is_open() -> bool:
    """Whether requests need no key where none is configured: ALLOW_OPEN_ACCESS."""
    return switched("ALLOW_OPEN_ACCESS")


def validate_rate() -> Rate:
    """VALIDATE_RATE_LIMIT, such as `60/minute` (the default) or `10 per 30 seconds`. Raises BadSetting."""
    return _rate(os.environ.get(RATE_LIMIT, "").strip() or "60/minute")


@functools.lru_cache(maxsize=16)
def _rate(text: str) -> Rate:
    found = _RATE.fullmatch(text)
    if found is None:
        raise BadSetting(name=RATE_LIMIT, value=text, reason="is no rate such as 60/minute")
    return Rate(int(found[1]), int(found[2] or 1), found[3].lower())
