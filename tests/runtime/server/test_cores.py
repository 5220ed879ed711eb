"""Cores from the texts of cgroups' files, as kernels and container engines write them."""

from __future__ import annotations

import json
from math import inf

import pytest

from bedplate.runtime.server import config, cores
from tests.runtime.server import served

V1 = "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"
ALONE, ABOVE = "cpu,cpuacct/docker/abc/cpu.cfs_", "cpu,cpuacct/cpu.cfs_"


@pytest.mark.parametrize(
    ("groups", "files", "found"),
    [
        # v2, in a cgroup namespace of its own
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, inf),
        ("0::/\n", {}, inf),
        # v2, where a group above is the tighter one, as a pod's is to its container's
        ("0::/pod/one\n", {"pod/one/cpu.max": "max 100000", "pod/cpu.max": "150000 100000"}, 1.5),
        ("0::/pod/one\n", {"pod/one/cpu.max": "100000 50000", "pod/cpu.max": "max 100000"}, 2.0),
        # v1
        (V1, {f"{ALONE}quota_us": "300000\n", f"{ALONE}period_us": "100000\n"}, 3.0),
        (V1, {f"{ALONE}quota_us": "-1\n", f"{ALONE}period_us": "100000\n"}, inf),
        # v1 in a container, which has its own group mounted as the root
        (V1, {f"{ABOVE}quota_us": "25000\n", f"{ABOVE}period_us": "50000\n"}, 0.5),
        # both at once, where only one has the controller
        (f"{V1}0::/init\n", {f"{ALONE}quota_us": "100000", f"{ALONE}period_us": "100000"}, 1.0),
        # what a colon in a name, a kernel without cgroups, and a file that is none are
        ("0::/a:b\n", {"a:b/cpu.max": "200000 100000"}, 2.0),
        ("", {"cpu.max": "200000 100000"}, inf),
        ("0::/\n", {"cpu.max": "100000 0"}, inf),
        ("0::/\n", {"cpu.max": "nonsense"}, inf),
    ],
)
def test_the_tightest_quota_is_found(groups: str, files: dict[str, str], found: float) -> None:
    assert cores.quota(groups, lambda path: files.get(path, "")) == found


@pytest.mark.parametrize(
    ("quota", "workers", "threads"), [(0.5, 1, 1), (2.9, 1, 2), (4.0, 2, 2), (1.0, 4, 1)]
)
def test_threads_follow_it_where_the_configuration_names_none(
    monkeypatch: pytest.MonkeyPatch, quota: float, workers: int, threads: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(64)))
    monkeypatch.setattr(cores, "quota", lambda groups, read: quota)
    model = {"name": "a", "version": "1", "path": "/a", "sha256": "0"}
    told = served.config([model], workers=workers)
    assert config.parse(json.dumps({**told, "threads": 7})).threads == 7
    del told["threads"]
    assert config.parse(json.dumps(told)).threads == threads


def test_there_are_no_more_than_it_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3, 5})
    monkeypatch.setattr(cores, "quota", lambda groups, read: inf)
    assert cores.available() == 2
