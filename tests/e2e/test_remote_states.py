"""A state in a bucket that a team shares: the real engine on a real S3 server."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Mapping

import pytest

from tests.e2e.faults import assert_nothing_left, held
from tests.e2e.project import SPEC, UserProject
from tests.e2e.test_secrets import SECRET, SPEC_WITH_KEY
from tests.s3 import SECRET_KEY, Bucket, client

PASSPHRASE = "correct horse battery staple"
CANARIES = (SECRET, SECRET_KEY, PASSPHRASE)
SALT_FILE = "stacks/serving/Pulumi.local.yaml"


def with_state(bucket: Bucket, spec: str = SPEC, **state: str) -> str:
    kept = json.dumps({"backend": bucket.url, **state})
    return f"{spec}environments:\n  local: {{target: local, state: {kept}}}\n"


@pytest.fixture
def make_user(make_project: Callable[..., UserProject], bucket: Bucket) -> Callable[..., UserProject]:
    """Makes projects of users who may use the bucket and know the passphrase."""

    def make(folder: str = "flights", spec: str | None = None) -> UserProject:
        project = make_project(folder, spec or with_state(bucket))
        for name in [name for name in project.environment if name.startswith(("AWS_", "PULUMI_"))]:
            del project.environment[name]
        project.environment.update(bucket.environment, PULUMI_CONFIG_PASSPHRASE=PASSPHRASE, DELAY_KEY=SECRET)
        return project

    return make


@pytest.fixture
def user(make_user: Callable[..., UserProject]) -> UserProject:
    return make_user()


def clone(project: UserProject, other: UserProject, *, without: str = "Pulumi.local.yaml") -> UserProject:
    """What version control gives somebody else."""
    shutil.rmtree(other.root)
    shutil.copytree(project.root, other.root, ignore=shutil.ignore_patterns(".bedplate", without))
    return other


def resources(bucket: Bucket) -> list[str]:
    """The names of the resources in all states of the bucket; there are no operations that were cut off."""
    found = []
    for key, content in bucket.objects(".pulumi/stacks/").items():
        if key.endswith("/local.json"):
            latest: Mapping[str, list[Mapping[str, str]]] = json.loads(content)["checkpoint"]["latest"]
            assert not latest.get("pending_operations")
            found += [r["urn"].rpartition("::")[2] for r in latest.get("resources", []) if r.get("custom")]
    return sorted(name for name in found if not name.startswith("default"))


def places_that_hold(canaries: tuple[str, ...], bucket: Bucket, *projects: UserProject) -> list[str]:
    texts = {text[:80]: text for project in projects for text in project.said}
    texts |= {key: content.decode(errors="replace") for key, content in bucket.objects().items()}
    for project in projects:
        files = [path for path in project.root.rglob("*") if path.is_file()]
        texts |= {str(path): path.read_text(errors="replace") for path in files}
    return [place for place, text in texts.items() if any(canary in text for canary in canaries)]


def test_a_team_shares_a_state(make_user: Callable[..., UserProject], bucket: Bucket) -> None:
    user = make_user(spec=with_state(bucket, SPEC_WITH_KEY))
    user.ok("up", "--yes")
    assert user.ask(headers={"X-API-Key": SECRET}) == 6.0
    assert "no changes" in user.ok("up", "--yes").out
    assert user.run("plan", "--exit-code").code == 0
    assert user.ok("status", "--json").data["services"][0]["state"] == "running"
    assert not (user.root / ".bedplate/state/.pulumi").exists()
    assert resources(bucket) == ["delay", "delay", "supervisor"]

    other = clone(user, make_user("clone"))
    assert "no changes" in other.ok("up", "--yes").out
    assert other.pulumi("serving", "preview", "--stack", "local", "--expect-no-changes").code == 0
    assert (other.root / SALT_FILE).read_text() == (user.root / SALT_FILE).read_text()
    third = clone(user, make_user("third"), without="no such file")
    assert third.run("plan", "--exit-code").code == 0

    stranger = clone(user, make_user("stranger"))
    stranger.environment["PULUMI_CONFIG_PASSPHRASE"] = "another"
    refused = stranger.run("up", "--yes")
    assert refused.code == 4
    assert "the passphrase is wrong" in refused.err
    assert "export the PULUMI_CONFIG_PASSPHRASE that it was made with" in refused.err
    del stranger.environment["PULUMI_CONFIG_PASSPHRASE"]
    refused = stranger.run("plan")
    assert refused.code == 4
    assert "export PULUMI_CONFIG_PASSPHRASE=" in refused.err

    user.ok("destroy", "--yes")
    assert_nothing_left(user)
    assert resources(bucket) == []
    assert bucket.locks() == []
    assert places_that_hold(CANARIES, bucket, user, other, third, stranger) == []


def test_the_state_of_another_project_of_that_name_is_refused(
    make_user: Callable[..., UserProject], bucket: Bucket
) -> None:
    make_user().ok("up", "--yes")
    before = bucket.objects()
    stranger = make_user("stranger")
    for words in (["plan"], ["up", "--yes"]):
        refused = stranger.run(*words)
        assert refused.code == 5
        assert "bedplate.lock" in refused.err
    (stranger.root / "bedplate.lock").write_text("version: 1\nidentity: 0123456789abcdef0123456789abcdef\n")
    refused = stranger.run("up", "--yes")
    assert refused.code == 5
    assert "belongs to another project" in refused.err
    assert bucket.objects() == before


@pytest.mark.parametrize(
    ("changes", "spoil", "told", "cure"),
    [
        ({}, ("states-", "no-such-"), "its bucket does not exist", "make the bucket"),
        ({}, ("127.0.0.1:", "127.0.0.1:1/?was="), "nothing listens there", "mend state.backend"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, ("", ""), "no credentials for it were found", "AWS_PROFILE"),
    ],
    ids=["no bucket", "no server", "no credentials"],
)
def test_a_backend_that_cannot_be_used_says_why(
    user: UserProject, changes: Mapping[str, str], spoil: tuple[str, str], told: str, cure: str
) -> None:
    spec = (user.root / "bedplate.yaml").read_text()
    user.write(spec.replace(*spoil) if spoil[0] else spec)
    user.environment.update(changes)
    for words in (["up", "--yes"], ["recover"]):
        refused = user.run(*words)
        assert refused.code == 4
        assert told in refused.err
        assert cure in refused.err
        assert "Traceback" not in refused.text
        assert SECRET_KEY not in refused.text


def test_an_engine_that_was_killed_is_recovered_from(user: UserProject, bucket: Bucket) -> None:
    with held(user, "provider:create:Service:held", "up", "--yes") as (command, _until):
        [lock] = bucket.locks()
        assert lock["hostname"] == socket.gethostname()
        os.kill(lock["pid"], signal.SIGKILL)
        told = user.finish(command)
    assert told.code == 4
    assert "the engine was killed by signal 9" in told.err
    assert "bedplate recover" in told.err
    for words in (["plan"], ["up", "--yes"]):
        refused = user.run(*words)
        assert refused.code == 5
        assert "in the middle of creating serving.delay" in refused.err
        assert f"pid {lock['pid']}, since {lock['timestamp'][:10]}" in refused.err
        assert "was killed" in refused.err
        assert "bedplate recover" in refused.err
    recovered = user.ok("recover")
    assert "removed the engine's lock" in recovered.out
    assert f"pid {lock['pid']}" in recovered.out
    assert bucket.locks() == []
    assert "nothing to recover" in user.ok("recover").out
    user.ok("up", "--yes")
    assert user.ask() == 6.0
    assert resources(bucket) == ["delay", "delay", "supervisor"]
    user.ok("destroy", "--yes")
    assert_nothing_left(user)


def test_a_team_mate_is_told_who_works_and_recover_waits_for_an_engine(
    make_user: Callable[..., UserProject], bucket: Bucket
) -> None:
    user = make_user()
    with held(user, "provider:create:Service:held", "up", "--yes") as (command, until):
        other = clone(user, make_user("clone"))
        refused = other.run("up", "--yes")
        assert refused.code == 5
        assert f"is locked by an engine of {getpass.getuser()}@" in refused.err
        assert f"pid {bucket.locks()[0]['pid']}" in refused.err
        command.kill()
        user.finish(command)
        recovering = user.start("recover")
        assert recovering.stdout is not None
        said = iter(recovering.stdout)
        assert any("waiting for an engine" in line for line in said)
        assert len(bucket.locks()) == 1
        until.unlink()
        assert any("recovered" in line for line in said)
        assert user.finish(recovering).code == 0
    user.ok("up", "--yes")
    assert user.ask() == 6.0


def test_the_lock_of_an_engine_that_nobody_sees_is_broken_by_force_only(
    user: UserProject, bucket: Bucket
) -> None:
    """Its host has the name of this machine, which other machines have too."""
    user.ok("up", "--yes")
    user.model(factor=3.0)
    bucket.write_lock("flights-models", "local", hostname=socket.gethostname(), pid=2**22)
    holder = f"an engine of ada@{socket.gethostname()}, pid {2**22}, since 2026-01-01T00:00:00Z"
    refused = user.run("up", "--yes")
    assert refused.code == 5
    assert f"stack models of local is locked by {holder}" in refused.err
    assert "run `bedplate recover`" in refused.err
    refused = user.run("recover", "--json")
    assert refused.code == 5
    assert holder in refused.data["error"]["message"]
    assert "bedplate recover --force" in refused.data["error"]["hint"]
    assert len(bucket.locks()) == 1
    assert holder in user.ok("recover", "--force").out
    assert bucket.locks() == []
    user.ok("up", "--yes")
    assert user.ask() == 9.0


def test_the_lock_of_an_engine_that_was_killed_while_it_made_a_stack_names_its_file(
    user: UserProject, bucket: Bucket
) -> None:
    """The engine's own cancel wants a stack."""
    bucket.write_lock("flights-models", "local")
    refused = user.run("up", "--yes")
    assert refused.code == 5
    assert "an engine of ada@elsewhere, pid 77" in refused.err
    assert (
        f"delete s3://{bucket.name}/.pulumi/locks/organization/flights-models/local/one.json" in refused.err
    )


def test_a_key_service_encrypts_what_a_passphrase_does_not(
    make_user: Callable[..., UserProject], bucket: Bucket
) -> None:
    key = client("kms", bucket.endpoint).create_key()
    provider = f"awskms://{key['KeyMetadata']['KeyId']}?region=us-east-1&endpoint=http://{bucket.endpoint}"
    user = make_user(spec=with_state(bucket, secrets_provider=provider))
    del user.environment["PULUMI_CONFIG_PASSPHRASE"]
    user.ok("up", "--yes")
    other = clone(user, make_user("clone"))
    del other.environment["PULUMI_CONFIG_PASSPHRASE"]
    assert "no changes" in other.ok("up", "--yes").out
    other.write(with_state(bucket))
    other.environment["PULUMI_CONFIG_PASSPHRASE"] = PASSPHRASE
    refused = other.run("up", "--yes")
    assert refused.code == 4
    assert "is encrypted with awskms:" in refused.err
    assert "change-secrets-provider" in refused.err


def test_a_section_is_divided_in_a_bucket(make_user: Callable[..., UserProject], bucket: Bucket) -> None:
    user = make_user()
    user.ok("up", "--yes")
    before = resources(bucket)
    other = clone(user, make_user("other"))
    user.ok("shards", "models=2", "--yes")
    assert resources(bucket) == before
    assert "no changes" in user.ok("up", "--yes").out
    shutil.rmtree(other.root / "stacks")
    refused = other.run("plan")
    assert refused.code == 4
    assert "pull bedplate.lock" in refused.err
    user.ok("destroy", "--yes")
    assert resources(bucket) == []
