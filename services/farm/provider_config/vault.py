"""Keys of providers: encrypted where they are stored, masked where they are shown to people.

PROVIDER_CONFIG_KEY holds the Fernet keys, the newest first, with commas between: the first encrypts, all decrypt.
Where it is not set, a key is made once and kept in `provider_config.key` in outlive's folder, for its owner alone.
"""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from fastapi import HTTPException

VARIABLE = "PROVIDER_CONFIG_KEY"
SHOWN, LONG_ENOUGH = 4, 12  # characters at the end that are shown of a key of at least this length
log = logging.getLogger(__name__)


def encrypted(key: str | None) -> str | None:
    """A key as it is stored. Raises 503 when PROVIDER_CONFIG_KEY holds no Fernet key."""
    return None if key is None else _fernet().encrypt(key.encode()).decode()


def decrypted(stored: str | None) -> str | None:
    """A stored key as it was given. Raises 503 when none of the Fernet keys reads it."""
    try:
        return None if stored is None else _fernet().decrypt(stored).decode()
    except InvalidToken:
        raise HTTPException(503, f"{VARIABLE} does not hold the key that API keys were encrypted with") from None


def masked(key: str | None) -> str | None:
    """A key as people may see it: four stars, and the last four characters of a long one."""
    if key is None:
        return None
    return "****" + (key[-SHOWN:] if len(key) >= LONG_ENOUGH else "")


def _fernet() -> MultiFernet:
    given = os.environ.get(VARIABLE, "").strip() or _local(os.environ.get("OUTLIVE_HOME") or ".outlive")
    try:
        return MultiFernet([Fernet(each.strip()) for each in given.split(",")])
    except ValueError:
        raise HTTPException(503, f"{VARIABLE} is no Fernet key: 32 bytes in URL-safe base64") from None


@functools.cache
def _local(home: str) -> str:
    """The key of this machine, made when it is first asked for."""
    path = Path(home) / "provider_config.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    if not path.exists():
        log.warning("%s is not set: a key for API keys is made in %s", VARIABLE, path)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # of several processes one makes the key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
