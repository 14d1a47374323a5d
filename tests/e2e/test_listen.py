"""Devices straight to the agent: readings to a query, commands to the device, its Will to the centre.

No broker runs here: what `mosquitto_pub` and paho speak to is the agent itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import paho.mqtt.client as paho
import pytest

from tests.e2e.city import City, http, tidegate, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PLUG = "shellyplusplugs-a8032abe54dc"


class Plug:
    """A plug that logs in, does what it is told, says so, and reports what it did."""

    def __init__(self, city: City, key: str) -> None:
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=PLUG)
        self.client.username_pw_set(PLUG, key)
        self.client.will_set(f"{PLUG}/online", "false", qos=1)
        self.client.on_connect = self._connected
        self.client.on_message = self._told
        self.orders: list[Any] = []
        self.client.connect(city.host, city.mqtt_port)
        self.client.loop_start()

    def _connected(self, client: paho.Client, *_: object) -> None:
        client.subscribe(f"{PLUG}/rpc", qos=1)
        client.publish(f"{PLUG}/online", "true", qos=1)
        self._report(on=False)

    def _told(self, client: paho.Client, _: object, message: paho.MQTTMessage) -> None:
        order = json.loads(message.payload)
        self.orders.append(order["params"])
        answer = {"id": order["id"], "src": PLUG, "result": {"was_on": False}}
        client.publish(f"{order['src']}/rpc", json.dumps(answer), qos=1)
        self._report(on=order["params"]["on"])

    def _report(self, *, on: bool) -> None:
        said = {"id": 0, "output": on, "apower": 52.5, "voltage": 231.5}
        self.client.publish(f"{PLUG}/status/switch:0", json.dumps(said), qos=1)

    def vanish(self) -> None:
        """Be gone without a word."""
        self.client._sock.close()
        self.client.loop_stop()


@pytest.fixture
def key(city: City) -> str:
    """The plug's key, made as a person would; the agent and the collector run."""
    (city.folder / "edge").mkdir()
    users = str(city.folder / "edge" / "users")
    told = tidegate("edge", "users", "add", PLUG, "--file", users, "--json")
    assert told.returncode == 0, told.stderr
    city.centre().start()
    city.edge(direct="users_file: users, anonymous: true").start()
    city.wait_connected()
    return str(json.loads(told.stdout)["key"])


def test_readings_reach_the_centre_without_a_broker(city: City) -> None:
    city.centre().start()
    city.edge(direct="anonymous: true").start()
    city.wait_connected()
    publish = ["mosquitto_pub", "-h", city.host, "-p", str(city.mqtt_port), "-t", "tg/room-1/up"]
    sent = 0
    for version in ("mqttv311", "mqttv5"):
        for qos in ("0", "1", "2"):
            sent += 1
            text = json.dumps({"temperature": 20.5, "seq": sent})
            subprocess.run([*publish, "-V", version, "-q", qos, "-m", text], check=True)
    wait_for("six readings", lambda: len(city.delivered()) == 6)
    assert sorted(city.delivered()) == [("room-1", n) for n in range(1, 7)]
    assert city.edge_status()["refused"] == {}
    assert city.edge_status()["residual"] == 0


def test_a_command_is_acknowledged_by_a_device_that_is_connected_to_the_agent(
    city: City, key: str
) -> None:
    plug = Plug(city, key)
    wait_for("the plug", lambda: city.edge_status()["devices"]["known"] == 1)
    words = ("edge", "command", PLUG, "switch", "--arg", "on=true", "--wait", "--json")
    told = tidegate(*words, "--url", city.admin)
    assert told.returncode == 0, told.stdout + told.stderr
    assert json.loads(told.stdout)["state"] == "confirmed"
    assert plug.orders == [{"id": 0, "on": True}]
    (listener,) = [s for s in city.edge_status()["sources"] if s["name"] == "mqtt_listen:devices"]
    assert listener["clients"] == {
        "handshake": 0,
        "waiting": 0,
        "connected": 1,
        "held": 0,
        "sessions": 1,
    }
    shown = tidegate("edge", "status", "--url", city.admin).stdout
    assert "handshake" in shown
    assert city.edge_status()["refused"] == {}
    plug.client.disconnect()
    plug.client.loop_stop()


def test_a_device_that_goes_without_a_word_is_offline_at_the_edge_and_at_the_centre(
    city: City, key: str
) -> None:
    plug = Plug(city, key)

    def state() -> str | None:
        found = http("GET", f"{city.api}/api/v1/devices")["items"]
        return found[0]["state"] if found else None

    wait_for("the plug at the centre", lambda: state() == "online")
    plug.vanish()
    wait_for("the plug to be offline", lambda: state() == "offline")
    assert city.edge_status()["devices"]["offline"] == 1
    (gone,) = city.edge_status()["offline"]
    assert (gone["device"], gone["said"]) == (PLUG, "false")
    assert PLUG in tidegate("edge", "status", "--url", city.admin).stdout
    back = Plug(city, key)
    wait_for("the plug to be back", lambda: state() == "online")
    assert city.edge_status()["devices"]["offline"] == 0
    assert city.edge_status()["offline"] == []
    back.client.disconnect()
    back.client.loop_stop()


def test_one_client_is_followed_from_its_connection_to_what_became_of_each_message(
    city: City,
) -> None:
    city.centre().start()
    city.edge(direct="anonymous: true").start()
    city.wait_connected()
    command = [sys.executable, "-m", "tidegate", "edge", "tap", "--client", "room-1"]
    with subprocess.Popen([*command, "--url", city.admin], stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"\n"  # it listens, and nothing happens yet
        publish = ["mosquitto_pub", "-h", city.host, "-p", str(city.mqtt_port), "-q", "1"]
        for topic, text in (("tg/room-1/up", '{"temperature": 21.5}'), ("no/profile", "x")):
            subprocess.run([*publish, "-i", "room-1", "-t", topic, "-m", text], check=True)
        lines = [json.loads(follower.stdout.readline()) for _ in range(6)]
        follower.terminate()
    shown = [(line["kind"], line.get("topic"), line.get("result")) for line in lines]
    assert shown == [
        ("connected", None, None),
        ("message", "tg/room-1/up", "stored"),
        ("disconnected", None, None),
        ("connected", None, None),
        ("message", "no/profile", "refused"),
        ("disconnected", None, None),
    ]
    both = tidegate("edge", "tap", "--client", "a", "--device", "b", "--url", city.admin)
    assert both.returncode == 1
    assert "client goes with no other filter" in both.stderr
