"""outlive makes a service's state outlive its process.

tasks = outlive.mapping("tasks", Task, key="task_id")     # was: dict[str, Task] = {}
outlive.install(app)

The names below are imported at their first use, so that the tools that read code load no database driver.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlive.postgres.options import Index
    from outlive.query.areas import Box, Circle, Polygon
    from outlive.query.language import Ranked
    from outlive.runtime.declare import (
        configure,
        counter,
        flush,
        install,
        is_connected,
        json_file,
        log,
        mapping,
        open,  # noqa: A004
        set,  # noqa: A004
        show_unsettled,
        unit,
    )
    from outlive.runtime.responses import json_response
    from outlive.runtime.service import Service
    from outlive.settings import Settings, load_dotenv
    from outlive.stores.repository import Repository
    from outlive.stores.texts import JsonView
    from outlive.stores.texts import encode_record as encode_json

__version__ = "0.1.0"
__all__ = [
    "Box",
    "Circle",
    "Index",
    "JsonView",
    "Polygon",
    "Ranked",
    "Repository",
    "Service",
    "Settings",
    "configure",
    "counter",
    "encode_json",
    "flush",
    "install",
    "is_connected",
    "json_file",
    "json_response",
    "load_dotenv",
    "log",
    "mapping",
    "open",
    "set",
    "show_unsettled",
    "unit",
]

_HOMES = {
    "Box": "outlive.query.areas",
    "Circle": "outlive.query.areas",
    "encode_json": "outlive.stores.texts",
    "Index": "outlive.postgres.options",
    "JsonView": "outlive.stores.texts",
    "Polygon": "outlive.query.areas",
    "Ranked": "outlive.query.language",
    "Repository": "outlive.stores.repository",
    "Service": "outlive.runtime.service",
    "json_response": "outlive.runtime.responses",
    "Settings": "outlive.settings",
    "load_dotenv": "outlive.settings",
}

_OTHER_NAMES = {"encode_json": "encode_record"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """A public name, from its home. Raises AttributeError."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOMES.get(name, "outlive.runtime.declare")), _OTHER_NAMES.get(name, name))
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
