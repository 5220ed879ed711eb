"""The registry: every kind stands under its own token and says what the provider needs of it."""

from __future__ import annotations

from bedplate.engine.provider.kinds import KINDS


def test_every_kind_stands_under_its_own_token() -> None:
    assert sorted(KINDS) == ["bedplate:local:Artifact", "bedplate:local:Service", "bedplate:local:Supervisor"]
    assert all(token == kind.TOKEN for token, kind in KINDS.items())


def test_what_has_one_name_in_the_world_is_deleted_before_it_is_replaced() -> None:
    assert all(kind.DELETE_FIRST for kind in KINDS.values())
    assert all(kind.PROPERTIES["environment"].replaces for kind in KINDS.values())
    assert KINDS["bedplate:local:Service"].PROPERTIES["port"].replaces
