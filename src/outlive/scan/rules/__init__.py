"""What the scan looks for, one file a pattern; each says what it finds, why that is lost, and shows an example.

A rule is a function `find(sources)` that yields `Slot`s. Rules only point at candidates: whether one is a store, a
cache or something else is decided afterwards, by what the code does with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from outlive.scan.rules import (
    application_state,
    class_level_container,
    closure_container,
    context_variable,
    default_argument,
    django_memory_cache,
    instance_container,
    memory_database,
    module_level_container,
    rebound_variable,
    rewritten_file,
    shelf_file,
    stateful_lru_cache,
)
from outlive.scan.slots import Slot, Sources

Rule = Callable[[Sources], Iterator[Slot]]

CONTAINERS: tuple[Rule, ...] = (
    module_level_container.find,
    class_level_container.find,
    instance_container.find,
    application_state.find,
    closure_container.find,
    default_argument.find,
    rebound_variable.find,
    context_variable.find,
    shelf_file.find,
    memory_database.find,
)
AFTERWARDS: tuple[Rule, ...] = (rewritten_file.find, stateful_lru_cache.find, django_memory_cache.find)

__all__ = ["AFTERWARDS", "CONTAINERS"]
