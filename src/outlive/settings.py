"""What the environment tells outlive, read once and checked.

A value that cannot be used is refused by name (`BadSetting`). The database variables are kept as given and never
shown; `outlive.postgres.address` understands them.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from outlive.errors import BadSetting

DATABASE_VARIABLES = (
    "DATABASE_URL",
    "POSTGRES_HOST",
    "POSTGRES_PORT",
    "POSTGRES_DB",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "POSTGRES_PASSWORD_COMMAND",
    "POSTGRES_SSL_MODE",
    "POSTGRES_SSL_ROOT_CERT",
)
DIRECT_VARIABLE = "DATABASE_DIRECT_URL"
MAY_BE_LOST_VARIABLE = "OUTLIVE_JOURNAL_MAY_BE_LOST"
TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
FALSE_WORDS = frozenset({"false", "0", "no", "off"})
_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*\Z")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting with its default; `database` holds the address variables and is left out of repr.

    `password` is asked for the password of each connection, where the address has none.
    """

    database: Mapping[str, str] = field(default_factory=dict, repr=False)
    password: Callable[[], str] | None = field(default=None, repr=False)
    service: str | None = None
    home: Path = Path(".outlive")
    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout_s: float = 30.0
    pool_recycle_s: int = 3600
    pre_ping: bool = True
    echo: bool = False
    log_level: str = "INFO"
    connect_timeout_s: int = 5
    statement_timeout_s: float = 30.0
    lock_timeout_s: float = 10.0
    migration_wait_s: float = 120.0
    migration_timeout_s: float = 900.0
    pooler: bool | None = None
    scrub_s: float = 60.0
    relax_collector: bool = True
    open_unit_s: float = 30.0
    revive_s: float = 1.0
    unsettled_wait_s: float = 5.0
    poll_s: float = 0.2
    backfill_pause_s: float = 0.0
    shadow_share: float = 0.01
    max_image_bytes: int | None = None
    prefer: str | None = None
    journal_may_be_lost: bool = False
    keep_days: float = 90.0

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """The settings of `env` (default: the process environment); an empty variable counts as unset.

        Raises BadSetting naming the first variable whose value cannot be used.
        """
        given = {name: value for name, value in (os.environ if env is None else env).items() if value.strip()}
        database = {name: given[name] for name in (*DATABASE_VARIABLES, DIRECT_VARIABLE) if name in given}
        return cls(
            database=database,
            service=given.get("OUTLIVE_SERVICE"),
            home=Path(given.get("OUTLIVE_HOME", ".outlive")).expanduser(),
            pool_size=_read(given, "DATABASE_POOL_SIZE", _whole(1), 5),
            max_overflow=_read(given, "DATABASE_MAX_OVERFLOW", _whole(0), 10),
            pool_timeout_s=_read(given, "DATABASE_POOL_TIMEOUT", _seconds, 30.0),
            pool_recycle_s=_read(given, "DATABASE_POOL_RECYCLE", _whole(1), 3600),
            pre_ping=_read(given, "DATABASE_POOL_PRE_PING", _boolean, True),
            echo=_read(given, "DATABASE_ECHO" if "DATABASE_ECHO" in given else "SQL_ECHO", _boolean, False),
            log_level=_read(given, "LOG_LEVEL", _level, "INFO"),
            connect_timeout_s=_read(given, "DATABASE_CONNECT_TIMEOUT", _whole(1), 5),
            statement_timeout_s=_read(given, "DATABASE_STATEMENT_TIMEOUT", _seconds, 30.0),
            lock_timeout_s=_read(given, "DATABASE_LOCK_TIMEOUT", _seconds, 10.0),
            migration_wait_s=_read(given, "OUTLIVE_MIGRATION_WAIT_S", _seconds, 120.0),
            migration_timeout_s=_read(given, "OUTLIVE_MIGRATION_TIMEOUT_S", _seconds, 900.0),
            pooler=_read(given, "DATABASE_POOLER", _boolean, None),
            unsettled_wait_s=_read(given, "OUTLIVE_UNSETTLED_WAIT_S", _seconds, 5.0),
            revive_s=_read(given, "OUTLIVE_REVIVE_S", _seconds, 1.0),
            open_unit_s=_read(given, "OUTLIVE_OPEN_UNIT_S", _seconds, 30.0),
            relax_collector=_read(given, "OUTLIVE_RELAX_COLLECTOR", _boolean, True),
            scrub_s=_read(given, "OUTLIVE_SCRUB_S", _seconds, 60.0),
            poll_s=_read(given, "OUTLIVE_POLL_S", _seconds, 0.2),
            backfill_pause_s=_read(given, "OUTLIVE_BACKFILL_PAUSE_S", _seconds, 0.0),
            shadow_share=_read(given, "OUTLIVE_SHADOW_SHARE", _share, 0.01),
            max_image_bytes=_read(given, "OUTLIVE_MAX_IMAGE_BYTES", _bytes, None),
            prefer=_read(given, "OUTLIVE_PREFER", _side, None),
            journal_may_be_lost=_read(given, MAY_BE_LOST_VARIABLE, _boolean, False),
            keep_days=_read(given, "OUTLIVE_KEEP_DAYS", _days, 90.0),
        )

    @property
    def embedded(self) -> bool:
        """True when no address variable is set, so that the server of `home` is used."""
        return not any(name in self.database for name in DATABASE_VARIABLES)

    @property
    def connections(self) -> int:
        """The most connections one pool opens."""
        return self.pool_size + self.max_overflow


def load_dotenv(path: Path | str = ".env", env: MutableMapping[str, str] | None = None) -> list[str]:
    """Names that the file at `path` added to `env` (default: the process environment); set ones are left alone.

    Understands `NAME=value`, `export NAME=value`, comments, single quotes (verbatim) and double quotes (with
    backslash escapes). A missing file adds nothing. Raises BadSetting with the line number, never with the line.
    """
    target = os.environ if env is None else env
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        return []
    except (OSError, UnicodeDecodeError) as failure:
        raise BadSetting(name=str(path), value="…", reason=f"cannot be read ({type(failure).__name__})") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, value = _assignment(f"{path}:{number}", line)
            found[name] = value
    added = [name for name in found if name not in target]
    target.update({name: found[name] for name in added})
    return added


def _assignment(where: str, line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadSetting(name=where, value="…", reason="is no NAME=value line")
    value = match["value"]
    if value[:1] in ("'", '"'):
        return match["name"], _quoted(where, value)
    return match["name"], re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()


def _quoted(where: str, value: str) -> str:
    quote, out, index = value[0], [], 1
    while index < len(value) and value[index] != quote:
        if quote == '"' and value[index] == "\\" and index + 1 < len(value):
            index += 1
            out.append(_ESCAPES.get(value[index], "\\" + value[index]))
        else:
            out.append(value[index])
        index += 1
    rest = value[index + 1 :].strip()
    if index >= len(value) or (rest and not rest.startswith("#")):
        raise BadSetting(name=where, value="…", reason="has a quote that does not close the value")
    return "".join(out)


def boolean(text: str) -> bool | None:
    """True for true/1/yes/on, False for false/0/no/off in any case, None for anything else."""
    word = text.strip().lower()
    return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None


def _read(env: Mapping[str, str], name: str, convert: Callable[[str], T], default: T) -> T:
    if name not in env:
        return default
    try:
        return convert(env[name].strip())
    except ValueError as wrong:
        raise BadSetting(name=name, value=env[name], reason=str(wrong)) from None


def _boolean(text: str) -> bool:
    value = boolean(text)
    if value is None:
        raise ValueError("is none of true, false, 1, 0, yes, no, on, off")
    return value


def _whole(least: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
            raise ValueError("is no whole number")
        if int(text) < least:
            raise ValueError(f"is less than {least}")
        return int(text)

    return convert


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("is no number of seconds") from None
    if not math.isfinite(value) or value <= 0:
        raise ValueError("is no positive number of seconds")
    return value


def _days(text: str) -> float:
    try:
        return _seconds(text)
    except ValueError as wrong:
        raise ValueError(str(wrong).replace("seconds", "days")) from None


def _share(text: str) -> float:
    value = _seconds(text) if text.strip("0.") else 0.0
    if value > 1:
        raise ValueError("is no share between 0 and 1")
    return value


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,18})\s*([KMG]i?B?)?", text, re.IGNORECASE)
    if found is None or int(found[1]) == 0:
        raise ValueError("is no number of bytes (such as 500000000, 512M, 2G)")
    power = " KMG".index((found[2] or " ")[0].upper())
    return int(found[1]) << 10 * power


def _side(text: str) -> str:
    if text not in ("memory", "table"):
        raise ValueError("is neither memory nor table")
    return text


def _level(text: str) -> str:
    name = text.upper()
    if name not in logging.getLevelNamesMapping():
        raise ValueError("is no log level (DEBUG, INFO, WARNING, ERROR, CRITICAL)")
    return name
