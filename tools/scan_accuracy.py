"""Precision and recall of `outlive scan` on real packages, against labels made by hand.

Run: tools/scan_accuracy.py [--corpus FOLDER] [--set NAME] [--package NAME] [--show] [--page]

The packages of tests/cases/scan-accuracy/labels.json are fetched by pip with their pinned versions and hashes, unpacked
and scanned, each alone. A store found and labelled is right; found and not labelled is a false alarm, unless the labels
call it disputed: then it counts neither way. `--show` prints every miss and false alarm; `--page` writes the table and
the lists into docs/scan-accuracy.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LABELS = ROOT / "tests" / "cases" / "scan-accuracy" / "labels.json"
PAGE = ROOT / "docs" / "scan-accuracy.md"
BEGIN, END = "<!-- written by tools/scan_accuracy.py --page -->", "<!-- end -->"
sys.path.insert(0, str(ROOT / "src"))

from outlive.scan.catalogue import Finding  # noqa: E402
from outlive.scan.engine import scan  # noqa: E402

Package = dict[str, Any]


@dataclass
class Score:
    """What a scan of one package got right, raised falsely, and missed; disputed findings beside them."""

    right: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    disputed: list[str] = field(default_factory=list)

    def add(self, other: Score) -> None:
        """Count `other` in."""
        for name in ("right", "false", "missed", "disputed"):
            getattr(self, name).extend(getattr(other, name))

    @property
    def precision(self) -> str:
        """Right among what was reported, as text; a dash when nothing was."""
        return _ratio(len(self.right), len(self.right) + len(self.false))

    @property
    def recall(self) -> str:
        """Right among what is there, as text; a dash when nothing is."""
        return _ratio(len(self.right), len(self.right) + len(self.missed))


def main() -> int:
    arguments = _arguments()
    packages = [each for each in json.loads(LABELS.read_text(encoding="utf-8"))["packages"] if _chosen(each, arguments)]
    fetch(packages, arguments.corpus)
    scores = [(package, score(package, unpacked(package, arguments.corpus))) for package in packages]
    for line in table(scores):
        print(line)
    if arguments.show:
        for package, each in scores:
            for kind in ("missed", "false", "disputed"):
                for text in getattr(each, kind):
                    print(f"{kind:9} {package['name']}: {text}")
    if arguments.page:
        write_page(scores)
    return 0


def write_page(scores: list[tuple[Package, Score]]) -> None:
    """Put the table, the misses, the false alarms and the disputed labels between the page's marks."""
    lines = ["", *table(scores)]
    for kind, title in (("missed", "Missed"), ("false", "False alarms")):
        found = [(package["name"], text) for package, each in scores for text in getattr(each, kind)]
        lines += ["", f"### {title}", ""]
        lines += [f"* {name}: `{text.split('  (')[0]}`" for name, text in found] or ["None."]
    lines += ["", "### Disputed", ""]
    for package, _ in scores:
        lines += [
            f"* {package['name']}: `{one['path']}` `{one['symbol']}`: {one['why']}" for one in package["disputed"]
        ]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=Path(tempfile.gettempdir()) / "outlive-scan-corpus")
    parser.add_argument("--set")
    parser.add_argument("--package")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--page", action="store_true")
    return parser.parse_args()


def _chosen(package: Package, arguments: argparse.Namespace) -> bool:
    return arguments.set in {None, package["set"]} and arguments.package in {None, package["name"]}


def fetch(packages: Iterable[Package], corpus: Path) -> None:
    """Download what is not there yet. Raises CalledProcessError where pip fails or a hash differs."""
    archives = corpus / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    missing = [each for each in packages if not (archives / each["archive"]).exists()]
    if not missing:
        return
    pins = archives / "pins.txt"
    lines = [f"{each['name']}=={each['version']} --hash=sha256:{each['sha256']}" for each in missing]
    pins.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*command, "--dest", str(archives), "--requirement", str(pins)], check=True)


def unpacked(package: Package, corpus: Path) -> Path:
    """The folder that holds a package's files, unpacked on the first call."""
    archive = corpus / "archives" / package["archive"]
    folder = corpus / "unpacked" / f"{package['name']}-{package['version']}"
    if not folder.exists():
        folder.mkdir(parents=True)
        wheel = archive.suffix == ".whl"
        shutil.unpack_archive(archive, folder, format="zip" if wheel else None, filter=None if wheel else "data")
    inner = [each for each in folder.iterdir() if each.is_dir()]
    return inner[0] if archive.suffix != ".whl" and len(inner) == 1 else folder


def score(package: Package, folder: Path) -> Score:
    """Compare the stores that a scan finds below `folder` with the labels."""
    only = tuple(package.get("only", ()))
    catalogue = scan([folder / part for part in only] if only else [folder])
    stores = [each for each in catalogue.stores() if not _is_test(each.path)]
    result, left = Score(), list(package["stores"])
    for found in stores:
        named = sorted((each for each in left if _names(each, found)), key=lambda each: each["path"] != found.path)
        label = next(iter(named), None)
        if label is not None:
            left.remove(label)
            result.right.append(_text(found))
        elif any(_names(each, found) for each in package["stores"]):
            continue
        else:
            disputed = any(_covers(each, found) for each in package["disputed"])
            (result.disputed if disputed else result.false).append(_text(found))
    result.missed = [f"{each['path']}:{each['line']}  {each['symbol']}" for each in left]
    return result


def _is_test(path: str) -> bool:
    return bool({"tests", "test"} & set(path.split("/")[:-1])) or path.rpartition("/")[2].startswith("test_")


def _same_file(path: str, pattern: str) -> bool:
    # a scan of several folders may give paths from their common parent
    return fnmatchcase(path, pattern) or fnmatchcase(pattern, f"*/{path}")


def _names(label: dict[str, Any], found: Finding) -> bool:
    if not _same_file(found.path, label["path"]):
        return False
    return found.symbol in {label["symbol"], *label.get("also", ())} or found.line == label["line"]


def _covers(label: dict[str, Any], found: Finding) -> bool:
    return _same_file(found.path, label["path"]) and fnmatchcase(found.symbol, label["symbol"])


def _text(found: Finding) -> str:
    return f"{found.path}:{found.line}  {found.symbol}  {found.container}  ({'; '.join(found.reasons)})"


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "-"


def table(scores: list[tuple[Package, Score]]) -> Iterator[str]:
    """The scores as a Markdown table: a row a package, then one for each set."""
    yield "| package | version | set | stores | right | false | missed | disputed | precision | recall |"
    yield "|---|---|---|---:|---:|---:|---:|---:|---:|---:|"
    sums: dict[str, Score] = {}
    for package, each in scores:
        sums.setdefault(package["set"], Score()).add(each)
        if package["kind"] == "library":
            sums.setdefault(f"libraries, {package['set']}", Score()).add(each)
        yield _row(package["name"], package["version"], package["set"], each)
    for name, each in sums.items():
        yield _row(f"**{name}**", "", "", each)


def _row(name: str, version: str, where: str, each: Score) -> str:
    stores = len(each.right) + len(each.missed)
    cells = (name, version, where, stores, len(each.right), len(each.false), len(each.missed), len(each.disputed))
    return f"| {' | '.join(str(cell) for cell in cells)} | {each.precision} | {each.recall} |"


if __name__ == "__main__":
    sys.exit(main())
