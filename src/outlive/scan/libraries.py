"""Which files belong to a library: a package that others import, and that runs no application of its own.

A library's objects live as long as its users' programs want, so what they hold counts only where the class says that it
is a storage or a server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from outlive.scan.catalogue import Entry
from outlive.scan.door_tables import APPLICATIONS
from outlive.scan.entries import OUTSIDE, TEST_FILES, runs
from outlive.scan.hints import EXAMPLE_PATHS, INNER, OWN_DOORS
from outlive.scan.resolve import At
from outlive.scan.summary import Summary

# a module's function of that name is what servers look for
_GATEWAYS = frozenset({"wsgi", "asgi"})
_APPLICATION = frozenset({"application", "app"})
MANY_FILES = 15
FEW_DOORS = 3
MANY_DOORS = 10


def libraries(files: Mapping[str, Summary], entries: Mapping[At, Entry], started: set[At]) -> set[str]:
    """The paths of all files in packages that are libraries."""
    packages: dict[str, list[str]] = defaultdict(list)
    for path in files:
        top = _package(files, path)
        if not TEST_FILES.search(path):
            packages[top or path].append(path)
    doors: dict[str, int] = defaultdict(int)
    for at, entry in entries.items():
        if entry.kind in OUTSIDE and entry.framework not in INNER | OWN_DOORS and not EXAMPLE_PATHS.search(at[0]):
            doors[at[0]] += 1
    offered = {at[0] for at, entry in entries.items() if entry.framework in _GATEWAYS and at[1] in _APPLICATION}
    found: set[str] = set()
    for top, paths in packages.items():
        first = top if top in files else "__init__.py" if top == "." else f"{top}/__init__.py"
        if not _is_published(files[first], paths):
            continue
        met = sum(doors[each] for each in paths)
        begins = any(_begins(files[each], started) for each in paths) or any(each in offered for each in paths)
        mains = any(files[each].main_line and (doors[each] or each.endswith("__main__.py")) for each in paths)
        if not (begins or (mains and met >= FEW_DOORS) or met >= MANY_DOORS):
            found.update(paths)
    return found


def _package(files: Mapping[str, Summary], path: str) -> str:
    """The outermost folder above a file that is a package, empty where none is."""
    if "__init__.py" in files:
        return "."
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        folder = "/".join(parts[:count])
        if f"{folder}/__init__.py" in files:
            return folder
    return ""


def _is_published(top: Summary, paths: list[str]) -> bool:
    """Whether a package is large, or says itself what it offers to others."""
    names = {bind.target for bind in top.scopes[""].binds} | {each.local for each in top.scopes[""].imports}
    return len(paths) > MANY_FILES or bool(names & {"__version__", "__all__"})


def _begins(file: Summary, started: set[At]) -> bool:
    """Whether a file makes an application as it is imported, or runs one from its start."""
    if EXAMPLE_PATHS.search(file.path):
        return False
    if any(call.path.rsplit(".", 1)[-1] in APPLICATIONS - {"Client"} for call in file.scopes[""].calls):
        return True
    return any(
        runs(call.path) and ((file.path, qual) in started or not qual)
        for qual, scope in file.scopes.items()
        for call in scope.calls
    )
