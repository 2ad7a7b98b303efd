"""Fails when a file names a package registry's host or an index option: installers decide where packages come from."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

CACHES = {".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__"}
SKIPPED = {".git", ".venv", ".outlive", ".bench"} | CACHES
HOSTS = [
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("npmjs", "org"),
    ("npmjs", "com"),
    ("yarnpkg", "com"),
    ("crates", "io"),
    ("rubygems", "org"),
    ("deb", "debian", "org"),
    ("archive", "ubuntu", "com"),
    ("proxy", "golang", "org"),
    ("anaconda", "org"),
    ("repo", "maven", "apache", "org"),
]
NAMED = re.compile(
    "|".join(re.escape(".".join(parts)) for parts in HOSTS) + r"|--(?:extra-)?index[-]url\b", re.IGNORECASE
)


def text_files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not SKIPPED & set(path.relative_to(root).parts) and path.stat().st_size < 5_000_000:
            yield path


def findings(root: Path) -> Iterator[str]:
    for path in text_files(root):
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
            if found := NAMED.search(line):
                yield f"{path.relative_to(root)}:{number}: names {found.group()}"


def main() -> int:
    found = list(findings(Path(__file__).resolve().parent.parent))
    print("\n".join(found) or "no file names a package registry")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
