"""The command line `outlive`: another door to the same calls as the library."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Ends the process with the command's exit status: 0 ok, 1 error, 2 usage, 3 refused, 4 unreachable."""
    try:
        from outlive.cli.app import run
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"typer", "rich"}:
            raise
        sys.stderr.write(f"outlive: {missing.name} is not installed\n  next: pip install 'outlive[cli]'\n")
        sys.exit(1)
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))
