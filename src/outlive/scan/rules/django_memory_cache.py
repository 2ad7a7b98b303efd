"""django-memory-cache: `cache.set` used as a store while the cache lives in the process.

Django's default back end is `LocMemCache`: each worker has its own, and a restart empties all. That is fine for what
can be computed again; here nobody computes it again.

    cache.set(f"draft:{draft_id}", body, timeout=None)
"""

from __future__ import annotations

from collections.abc import Iterator

from outlive.scan.slots import Slot, Sources
from outlive.scan.summary import Val

NAME = "django-memory-cache"
_SHARED = ("redis", "memcached", "pymemcache", "db.databasecache", "filebased", "dummy", "diskcache")


def find(sources: Sources) -> Iterator[Slot]:
    """One candidate a file that sets what it never computes, unless the settings name a shared back end."""
    if _shared_backend(sources):
        return
    for path, file in sources.files.items():
        if not any(
            each.module == "django.core.cache" and each.attribute == "cache" for each in file.scopes[""].imports
        ):
            continue
        sets: list[tuple[str, int]] = []
        gets: set[str] = set()
        for qual, scope in file.scopes.items():
            for call in scope.calls:
                if call.path in {"cache.set", "cache.add", "cache.incr", "cache.set_many"}:
                    sets.append((qual, call.line))
                elif call.path in {"cache.get", "cache.get_or_set", "cache.get_many", "cache.has_key"}:
                    gets.add(qual)
        alone = [line for qual, line in sets if qual not in gets]
        if alone and gets:
            slot = Slot((path, "", "cache"), path, alone[0], alone[0], "cache", "django", NAME, "Django LocMemCache")
            slot.facts["sites"] = "\n".join(f"{path}\t{qual}\t{line}\t1" for qual, line in sets)
            yield slot


def _shared_backend(sources: Sources) -> bool:
    for file in sources.files.values():
        for bind in file.scopes[""].binds:
            if bind.target == "CACHES" and any(each in text.lower() for text in _texts(bind.value) for each in _SHARED):
                return True
    return False


def _texts(value: Val) -> Iterator[str]:
    if value[0] == "l":
        yield str(value[2])
    elif value[0] == "k" and len(value) > 4:
        for _, inner, _ in value[4]:
            yield from _texts(inner)
