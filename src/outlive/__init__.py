"""outlive makes a service's state outlive its process.

tasks = outlive.mapping("tasks", Task, key="task_id")     # was: dict[str, Task] = {}
outlive.install(app)
"""

from outlive.runtime.declare import (
    configure,
    counter,
    flush,
    install,
    json_file,
    log,
    mapping,
    open,  # noqa: A004
    set,  # noqa: A004
    unit,
)
from outlive.runtime.service import Service
from outlive.settings import Settings, load_dotenv

__version__ = "0.1.0"
__all__ = [
    "Service",
    "Settings",
    "configure",
    "counter",
    "flush",
    "install",
    "json_file",
    "load_dotenv",
    "log",
    "mapping",
    "open",
    "set",
    "unit",
]
