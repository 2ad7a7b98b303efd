"""Which trees define a web, bot or event framework rather than use one.

What writes there waits for code of others: a container counts only where its class is named as a storage.
"""

from __future__ import annotations

from collections.abc import Mapping

from outlive.scan.catalogue import Entry
from outlive.scan.entries import OUTSIDE, TEST_FILES
from outlive.scan.hints import CALLABLE_TYPES, EXAMPLE_PATHS, INNER, OWN_DOORS
from outlive.scan.resolve import At
from outlive.scan.summary import Scope, Summary
from outlive.scan.words import word_set

_VERBS = word_set("""
    route add_route add_url_rule add_api_route add_get add_post add_handler add_handlers add_event_handler event on
    listen listener command add_command message_handler error_handler""")
_CALLABLES = word_set("""
    func fn f function callback handler cb view_func endpoint view listener target""")


def frameworks(files: Mapping[str, Summary], folders: Mapping[str, str], entries: Mapping[At, Entry]) -> set[str]:
    """The services whose classes take handlers from others, and that neither a framework nor an own route drives."""
    defining = {
        folders.get(path, "")
        for path, file in files.items()
        if not TEST_FILES.search(path) and not EXAMPLE_PATHS.search(path)
        for scope in file.scopes.values()
        if scope.name in _VERBS and _of_class(file, scope) and _takes_code(file, scope)
    }
    defining |= {folders.get(at[0], "") for at, entry in entries.items() if entry.framework == "middleware"}
    driven = {folders.get(at[0], "") for at, entry in entries.items() if _drives(at, entry)}
    driven |= {
        folders.get(path, "")
        for path, file in files.items()
        if not TEST_FILES.search(path) and not EXAMPLE_PATHS.search(path)
        for scope in file.scopes.values()
        if not scope.parent
        and any(each.path.rpartition(".")[0] and each.path.rpartition(".")[2] in _VERBS for each in scope.decorators)
    }
    return defining - driven


def _drives(at: At, entry: Entry) -> bool:
    """Whether a door is opened by somebody else's framework, or is a route that the tree gives to its own."""
    if entry.kind not in OUTSIDE or EXAMPLE_PATHS.search(at[0]):
        return False
    routed = entry.framework == "own" and entry.kind == "http" and "/" in entry.name
    return routed or entry.framework not in INNER | OWN_DOORS


def _of_class(file: Summary, scope: Scope) -> bool:
    return scope.kind == "function" and bool(scope.parent) and file.scopes[scope.parent].kind == "class"


def _takes_code(file: Summary, scope: Scope) -> bool:
    """Whether a method, or the decorator that it returns, is given a function."""
    inner = [each for each in file.scopes.values() if each.parent == scope.qual and each.kind == "function"]
    return any(_callable(one.name, one.annotation) for each in (scope, *inner) for one in each.params)


def _callable(name: str, annotation: str) -> bool:
    return bool(CALLABLE_TYPES.search(annotation)) or name in _CALLABLES
