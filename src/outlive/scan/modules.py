"""Which file an import means: relative ones by folder, absolute ones from the importer's folder upwards and `src`."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from outlive.scan.summary import Import, Summary

ROOTS = ("", "src/", "lib/", "app/", "python/")


class Modules:
    """Finds files by dotted names among the scanned ones; what is not found is external."""

    def __init__(self, files: Mapping[str, Summary], root: str = "") -> None:
        self.files = files
        parts = [each for each in root.split("/") if each][-4:]
        self.above = [".".join(parts[at:]) for at in range(len(parts))]
        self.folders = {folder for path in files for folder in _folders(path)}
        self._found: dict[tuple[str, str], str | None] = {}

    def of(self, importer: str, found: Import) -> str | None:
        """The file (or package folder, ending in `/`) that an import names, None for what lies outside."""
        folder = importer.rpartition("/")[0]
        if found.level:
            for _ in range(found.level - 1):
                folder = folder.rpartition("/")[0]
            return self._at(f"{folder}/" if folder else "", found.module)
        return self.absolute(folder, found.module)

    def absolute(self, folder: str, dotted: str) -> str | None:
        """The file of an absolute name as seen from a folder: nearest root first."""
        key = (folder, dotted)
        if key not in self._found:
            self._found[key] = self._search(folder, dotted)
        return self._found[key]

    def _search(self, folder: str, dotted: str) -> str | None:
        here = folder
        if dotted.partition(".")[0] in sys.stdlib_module_names and f"{folder}/__init__.py" in self.files:
            return None  # inside a package `import csv` means the standard library's, whatever stands beside it
        while True:
            base = f"{here}/" if here else ""
            for root in ROOTS:
                found = self._at(base + root, dotted)
                if found is not None:
                    return found
            if not here:
                return self._inside(dotted)
            here = here.rpartition("/")[0]

    def _inside(self, dotted: str) -> str | None:
        """A name that begins with packages above the scanned root."""
        for each in self.above:
            if dotted == each or dotted.startswith(f"{each}."):
                return self._at("", dotted[len(each) + 1 :])
        return None

    def _at(self, base: str, dotted: str) -> str | None:
        path = base + dotted.replace(".", "/") if dotted else base.rstrip("/")
        for each in (f"{path}.py", f"{path}/__init__.py" if path else "__init__.py"):
            if each in self.files:
                return each
        return f"{path}/" if path in self.folders else None

    def child(self, module: str, name: str) -> str | None:
        """The module `name` inside the package that `module` is."""
        if module.endswith("/"):
            return self._at(module, name)
        if module.endswith("__init__.py"):
            return self._at(module[: -len("__init__.py")], name)
        return None


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
