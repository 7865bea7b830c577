"""The CPUs that a process may use, from what the kernel says of its cgroups."""

import os

import pytest

from collector.settings.cpus import cpus_within_quota, usable_cpus

_V2_MOUNT = "31 23 0:28 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
_V1_MOUNT = "33 31 0:30 {root} /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct\n"
_OTHER_MOUNTS = (
    "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
)
_V1_CGROUP = "12:cpuset:/other\n4:cpu,cpuacct:{path}\n1:name=systemd:/user.slice\n"
_V2, _V1 = "/sys/fs/cgroup", "/sys/fs/cgroup/cpu,cpuacct"


def _v2(path: str, quotas: dict[str, str], root: str = "/") -> dict[str, str]:
    """The files of a process in the cgroup `path` of version 2; `quotas` by folder."""
    files = {f"{_V2}{folder}/cpu.max": f"{text}\n" for folder, text in quotas.items()}
    mounts = _OTHER_MOUNTS + _V2_MOUNT.format(root=root)
    return files | {"/proc/self/cgroup": f"0::{path}\n", "/proc/self/mountinfo": mounts}


def _v1(path: str, quota: str, folder: str, root: str = "/") -> dict[str, str]:
    """The files of a process in the cgroup `path` of version 1; `folder` has a quota for each period of 0.1 s."""
    return {
        "/proc/self/cgroup": _V1_CGROUP.format(path=path),
        "/proc/self/mountinfo": _OTHER_MOUNTS + _V1_MOUNT.format(root=root),
        f"{_V1}{folder}/cpu.cfs_quota_us": f"{quota}\n",
        f"{_V1}{folder}/cpu.cfs_period_us": "100000\n",
    }


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        (_v2("/a/b", {"/a/b": "200000 100000"}), 2),
        (_v2("/a/b", {"/a/b": "max 100000"}), 8),
        (_v2("/a/b", {"/a/b": "max 100000", "/a": "300000 100000"}), 3),
        (_v2("/a/b", {"/a/b": "400000 100000", "/a": "300000 100000"}), 3),
        (_v2("/a", {"/a": "150000 100000"}), 1),
        (_v2("/a", {"/a": "10000 100000"}), 1),
        (_v2("/a", {"/a": "6400000 100000"}), 8),
        (_v2("/", {"": "200000 100000"}), 2),
        (_v2("/docker/c", {"": "200000 100000"}, root="/docker/c"), 2),
        (_v1("/a/b", "200000", "/a/b"), 2),
        (_v1("/a/b", "200000", "/a"), 2),
        (_v1("/a/b", "-1", "/a/b"), 8),
        (_v1("/docker/c", "200000", "", root="/docker/c"), 2),
        (_v1("/docker/c", "200000", "", root="/docker/c2"), 2),
        ({}, 8),
        ({"/proc/self/cgroup": "0::/\nwhat is this", "/proc/self/mountinfo": "nothing - cgroup2\n"}, 8),
    ],
)
def test_the_smallest_quota_of_a_cgroup_and_those_above_it_bounds_the_cpus(files: dict[str, str], cpus: int) -> None:
    assert cpus_within_quota(8, files.get) == cpus


def test_a_process_may_use_no_more_cpus_than_its_affinity_lists() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)
