"""Ports: stable, different for different folders, never one that is taken."""

from __future__ import annotations

import socket
from pathlib import Path

from bedplate.engine.world import ports
from bedplate.local_ports import FIRST, LAST


def test_the_preference_depends_on_folder_environment_and_name() -> None:
    one = ports.preferred(Path("/p"), "local", "delay")
    assert one == ports.preferred(Path("/p"), "local", "delay")
    others = [
        ports.preferred(Path("/q"), "local", "delay"),
        ports.preferred(Path("/p"), "prod", "delay"),
        ports.preferred(Path("/p"), "local", "other"),
    ]
    assert all(other != one for other in others)
    assert all(FIRST <= port <= LAST for port in [one, *others])


def test_the_choice_goes_around_the_range() -> None:
    assert ports.choose(20005, (), lambda port: True) == 20005
    assert ports.choose(20005, (20005, 20006), lambda port: True) == 20007
    assert ports.choose(LAST, (LAST,), lambda port: True) == FIRST
    assert ports.choose(20005, (), lambda port: False) is None


def test_a_listener_on_any_address_takes_the_port() -> None:
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((address, 0))
            taken.listen(1)
            port = taken.getsockname()[1]
            assert not ports.is_free(port)
        assert ports.is_free(port)
