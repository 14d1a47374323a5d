"""Nobody gets at the topics of others by what it calls itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.sources.listen.policy import Policy
from edge_agent.sources.listen.users import hash_key
from tests.edge_agent.listen.conftest import listening
from tests.edge_agent.listen.test_listen_clients import mosquitto
from tests.fakes.ingest import FakeIngest


@pytest.mark.parametrize("name", ["+", "#", "d1/x", "+/x", ""])
def test_an_identity_that_is_not_one_level_of_a_topic_has_no_right_to_any(name: str) -> None:
    policy = Policy(["tg/{device}/#"], ["cmd/{device}/#"])
    for topic in ("tg/d1/up", "tg/d1/x/up", "tg//up"):
        assert not policy.may_publish(name, topic)
    for pattern in ("cmd/d1/x", "cmd/+/x", "cmd/#", "cmd//x"):
        assert not policy.may_hear(name, pattern)


def test_patterns_give_a_device_its_own_topics_and_no_others() -> None:
    policy = Policy(["tg/{device}/up"], ["cmd/{device}/#"])
    assert policy.may_publish("d1", "tg/d1/up")
    assert not policy.may_publish("d1", "tg/d2/up")
    assert not policy.may_publish("d1", "d1/up")
    assert policy.may_hear("d1", "cmd/d1/+")
    assert not policy.may_hear("d1", "cmd/d2/x")
    assert not policy.may_hear("d1", "cmd/+/x")
    assert not policy.may_hear("d1", "#")


@pytest.mark.parametrize("pattern", ["$SYS/d1", "+/d1", "a/#", "d2/x", "#"])
def test_without_patterns_only_what_names_the_client_before_a_wildcard_is_heard(
    pattern: str,
) -> None:
    assert Policy().may_hear("d1", "a/d1/#")
    assert not Policy().may_hear("d1", pattern)


async def test_a_shared_key_and_a_wildcard_as_client_id_speak_for_no_device(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"@all:{hash_key('k')}\n")
    ingest = FakeIngest()
    topics = {"topics": ["tg/{device}/up"], "commands": ["cmd/{device}"]}
    async with listening(ingest, anonymous=False, users_file=str(users), **topics) as source:
        shared = ("-V", "mqttv5", "-u", "@all", "-P", "k", "-q", "1")
        said = (*shared, "-m", "x", "-t", "tg/d1/up")
        assert "ot authori" in (await mosquitto("mosquitto_pub", source, *said, "-i", "+"))[1]
        assert (await mosquitto("mosquitto_pub", source, *said, "-i", "d1"))[1] == ""
        _, told = await mosquitto("mosquitto_sub", source, *shared, "-i", "+", "-t", "cmd/+")
        assert "denied" in told.lower()
    assert ingest.payloads() == [b"x"]
