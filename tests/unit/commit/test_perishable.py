"""Which folders do not outlive their machine or container, by the mount table."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlive.commit import perishable
from outlive.commit.perishable import in_container, why_perishable

HOST = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
22 21 0:20 / /tmp rw shared:2 - tmpfs tmpfs rw
23 21 0:21 / /dev/shm rw - tmpfs shm rw
24 21 8:1 / /srv/my\\040data rw - xfs /dev/sda1 rw
"""
BOX = """\
500 400 0:99 / / rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c
501 500 0:50 / /proc rw - proc proc rw
502 500 8:1 /volumes/x /data rw - ext4 /dev/sda1 rw
503 502 0:51 / /data/scratch rw - tmpfs tmpfs rw
504 500 0:52 / /run rw - ramfs none rw
505 500 8:1 /volumes/y /run rw - ext4 /dev/sda1 rw
"""


@pytest.mark.parametrize(
    ("mountinfo", "folder", "contained", "word"),
    [
        (HOST, "/home/me/app/.outlive", False, None),
        (HOST, "/home/me/app/.outlive", True, None),
        (HOST, "/tmp/home", False, "tmpfs"),
        (HOST, "/tmpx/home", False, None),
        (HOST, "/dev/shm", False, "tmpfs"),
        (HOST, "/srv/my data/home", True, None),
        (BOX, "/app/.outlive", True, "container"),
        (BOX, "/app/.outlive", False, None),
        (BOX, "/data/.outlive", True, None),
        (BOX, "/data/scratch/.outlive", True, "tmpfs"),
        (BOX, "/run/home", True, None),
        ("", "/app", True, None),
        ("nonsense\n1 2 3\n- -\n", "/app", True, None),
    ],
)
def test_the_mount_of_a_folder_decides(mountinfo: str, folder: str, contained: bool, word: str | None) -> None:
    """Memory never lasts, a container's own layers do not, volumes and disks do; the deepest, latest mount counts."""
    reason = why_perishable(Path(folder), mountinfo, contained=contained)
    assert (reason is None) if word is None else word in str(reason)


@pytest.mark.parametrize(
    ("env", "cgroup", "files", "found"),
    [
        ({}, "0::/user.slice", (), False),
        ({"CONTAINER_NAME": "x"}, "", (), False),
        ({"container": "podman"}, "", (), True),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "", (), True),
        ({}, "12:pids:/docker/0a1b", (), True),
        ({}, "0::/kubepods.slice/x", (), True),
        ({}, "", ("/.dockerenv",), True),
        ({}, "", ("/run/.containerenv",), True),
    ],
)
def test_marks_of_a_container(env: dict[str, str], cgroup: str, files: tuple[str, ...], found: bool) -> None:
    """One mark is enough; none means that nothing tells of a container."""
    assert in_container(env, cgroup, files.__contains__) is found


def test_a_folder_of_this_machine_that_is_not_there_yet() -> None:
    """The question can be asked before the folder exists, and of what is no real disk."""
    assert "is on" in str(perishable.look_at(Path("/dev/shm/outlive-none/home")))
