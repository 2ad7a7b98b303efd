"""A password that is asked for anew with each connection, because it does not last: a token of a cloud's directory."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable

from outlive.errors import BadSetting

VARIABLE = "POSTGRES_PASSWORD_COMMAND"
LIMIT_S = 30.0


def from_command(command: str) -> Callable[[], str]:
    """What asks a program, without a shell, for what it prints; the line's end is no part of it.

    Raises BadSetting for quotes that do not close. The function raises OSError, which names the program alone, where
    the program is missing, fails, prints nothing or takes longer than LIMIT_S.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        raise BadSetting(name=VARIABLE, value="…", reason="has a quote that does not close") from None

    def ask() -> str:
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=LIMIT_S, text=True, check=False
            )
        except subprocess.TimeoutExpired:
            raise OSError(f"{VARIABLE}: {words[0]} takes longer than {LIMIT_S:g} s") from None
        except (OSError, ValueError) as failure:
            raise OSError(f"{VARIABLE}: {words[0]} cannot be run ({type(failure).__name__})") from None
        password = done.stdout.rstrip("\r\n")
        if done.returncode != 0 or not password:
            what = f"ended with status {done.returncode}" if done.returncode else "printed nothing"
            raise OSError(f"{VARIABLE}: {words[0]} {what}")
        return password

    return ask
