"""`make cluster` and `make cluster-stop`: a control plane to try things on, until it is stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import psutil

from bedplate.engine.install import cache_folder
from tests.cluster.control_plane import CONTEXT, start

FOLDER = cache_folder().parent / "cluster" / "running"
PROCESSES = FOLDER / "processes.json"
WITHIN_S = 10


def main(words: list[str]) -> int:
    match words:
        case ["start"]:
            return _start()
        case ["stop"]:
            return _stop()
    print("python -m tests.cluster start|stop", file=sys.stderr)
    return 2


def _start() -> int:
    if any(process.is_running() for process in _running()):
        print(f"it runs already: export KUBECONFIG={FOLDER / 'kubeconfig'}")
        return 0
    shutil.rmtree(FOLDER, ignore_errors=True)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        cluster = start(FOLDER, processes)
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    seen = [psutil.Process(process.pid) for process in processes]
    PROCESSES.write_text(json.dumps([[process.pid, process.create_time()] for process in seen]))
    print(f"a control plane without machines, at {cluster.url}, context {CONTEXT}")
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _stop() -> int:
    processes = _running()
    for process in reversed(processes):
        process.terminate()
    _, left = psutil.wait_procs(processes, timeout=WITHIN_S)
    for process in left:
        process.kill()
    shutil.rmtree(FOLDER, ignore_errors=True)
    print(f"ended {len(processes)} processes" if processes else "nothing runs")
    return 0


def _running() -> list[psutil.Process]:
    """The processes of an earlier start that still are those."""
    found = []
    for pid, created in json.loads(PROCESSES.read_text()) if PROCESSES.exists() else ():
        try:
            process = psutil.Process(pid)
            if process.create_time() == created:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
