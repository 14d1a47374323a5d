"""The promise: doctor says what about a broker would lose messages, and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.sources.broker_advice import BrokerFacts, advise, ask_broker
from edge_agent.sources.settings import MqttSettings
from edge_agent.sources.terms import Terms
from gateway_core.errors import Unavailable
from tests.fakes.broker import Mosquitto, free_port


def _settings(url: str = "mqtt://127.0.0.1", **more: object) -> MqttSettings:
    return MqttSettings.model_validate({"url": url, **more})


def _keys(facts: BrokerFacts, **more: object) -> list[str]:
    return [each.key for each in advise(_settings(**more), facts)]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_real_mosquitto_tells_its_version(version: str, broker: Mosquitto) -> None:
    facts = await ask_broker(_settings(broker.url, version=version), "bz-edge-01", within_s=1.5)
    assert facts.version.startswith("mosquitto version 2.")
    assert facts.mosquitto
    assert "tidegate-bz-edge-01-site-doctor" in broker.log()


async def test_the_visit_leaves_the_agents_session_alone(broker: Mosquitto, make_source) -> None:
    await ask_broker(_settings(broker.url), "bz-edge-01", within_s=1.5)
    assert "tidegate-bz-edge-01-site " not in broker.log()


async def test_a_broker_that_hides_its_state_still_counts_as_reachable(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic read tg/#\n")
    broker = Mosquitto(tmp_path / "b", f"allow_anonymous true\nacl_file {acl}")
    await broker.start()
    facts = await ask_broker(_settings(broker.url), "e", within_s=1.0)
    await broker.stop()
    assert (facts.version, facts.dropped) == ("", None)


async def test_a_broker_that_is_not_there_is_an_error() -> None:
    with pytest.raises(Unavailable, match="cannot connect"):
        await ask_broker(_settings(f"mqtt://127.0.0.1:{free_port()}"), "e")


def test_lost_messages_are_the_first_thing_said() -> None:
    facts = BrokerFacts(Terms(session_present=False), "mosquitto version 2.0.11", dropped=12)
    first = advise(_settings(), facts)[0]
    assert (first.level, first.key) == ("warning", "dropped")
    assert "thrown away 12 messages" in first.text
    assert "max_queued_messages" in first.text


def test_a_mosquitto_comes_with_notes_on_what_cannot_be_asked() -> None:
    facts = BrokerFacts(Terms(session_present=False), "mosquitto version 2.0.11", dropped=0)
    assert _keys(facts) == ["queue", "packet_size"]
    assert _keys(facts, version="3.1.1") == ["queue", "inflight"]


def test_terms_that_lose_messages_are_warned_of() -> None:
    terms = Terms(session_present=False, session_expiry=60, qos=0, shared=False)
    facts = BrokerFacts(terms, "other")
    assert _keys(facts, shared_group="g") == ["qos", "session_expiry", "shared"]


def test_a_password_in_the_clear_is_warned_of_except_at_home() -> None:
    facts = BrokerFacts(Terms(session_present=False), "other")
    assert _keys(facts, url="mqtt://192.0.2.1", username="u") == ["plain_password"]
    assert _keys(facts, url="mqtts://192.0.2.1", username="u") == []
    assert _keys(facts, url="mqtt://[::1]", username="u") == []
    assert _keys(facts, url="mqtt://localhost", username="u") == []
