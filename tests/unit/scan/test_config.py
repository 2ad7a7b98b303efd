"""outlive.toml: what it may say, and how a mistake in it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlive.errors import BadConfig
from outlive.scan import config
from tests.unit.scan.farm import finding

WHOLE = """
[tool.other]
x = 1

[scan]
exclude = ["vendor/*"]
hours_per_day = 7.5

[[scan.override]]
path = "apps/iot/*"
symbol = "REG*"
class = "registry"
reason = "announced again"

[scan.words]
money = ["tariff"]

[scan.points]
money = 60

[scan.effort]
store = 3
"""


def write(folder: Path, text: str) -> Path:
    """A folder with that outlive.toml."""
    (folder / config.FILE).write_text(text, encoding="utf-8")
    return folder


def test_everything_is_read(tmp_path: Path) -> None:
    """Each key of the table `scan` arrives; other tables are other tools' business."""
    found = config.load(write(tmp_path, WHOLE))
    assert found.source == tmp_path / config.FILE
    assert (found.hours_per_day, found.points, found.effort) == (7.5, {"money": 60}, {"store": 3.0})
    assert found.words == {"money": ("tariff",)}
    assert (found.excludes("vendor/a/b.py"), found.excludes("src/vendor.py")) == (True, False)
    hit = finding("iot", 1, "Device.REGISTRY", "dict", path="apps/iot/src/main.py")
    override = found.override(hit)
    assert override is not None
    assert override.cls == "registry"
    assert found.override(finding("iot", 1, "other", "dict", path="apps/iot/src/main.py")) is None


def test_the_nearest_file_counts_up_to_the_repository(tmp_path: Path) -> None:
    """A file above the scanned folder or file is found, one beyond the repository's root is not."""
    write(tmp_path, "[scan]\nhours_per_day = 1\n")
    repository = tmp_path / "repo"
    (repository / ".git").mkdir(parents=True)
    (repository / "src").mkdir()
    assert config.load(repository / "src") == config.ScanConfig()
    write(repository, "[scan]\nhours_per_day = 2\n")
    (repository / "src" / "a.py").write_text("")
    assert config.load(repository / "src" / "a.py").hours_per_day == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[scan", "outlive.toml"),
        ("scan = 1", "scan: must be a table"),
        ("[scan]\nexcluded = []", "scan.excluded: is not known"),
        ("[scan]\nexclude = 'a'", "scan.exclude: must be a list"),
        ("[scan]\nexclude = [1]", "scan.exclude: must be a text"),
        ("[scan]\nhours_per_day = 0", "scan.hours_per_day: must be above 0"),
        ("[scan]\noverride = 1", "[[scan.override]]"),
        ("[[scan.override]]\nclass = 'cache'", "reason: say why"),
        ("[[scan.override]]\nreason = 'x'", "needs a class or a priority"),
        ("[[scan.override]]\nreason = 'x'\nclass = 'cash'", "'cash' is none of store"),
        ("[[scan.override]]\nreason = 'x'\npriority = 'urgent'", "'urgent' is none of critical"),
        ("[scan.words]\nmagic = []", "scan.words.magic: is not known"),
        ("[scan.points]\nmoney = 'much'", "scan.points.money: must be a number"),
        ("[scan.effort]\nstore = true", "scan.effort.store: must be a number"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, told: str) -> None:
    """A key or value that is not understood stops the scan, with file, key and reason."""
    with pytest.raises(BadConfig) as caught:
        config.load(write(tmp_path, text))
    assert told in str(caught.value)
    assert caught.value.exit_code == 2
