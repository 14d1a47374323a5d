"""What everyday systems publish is read or left aside: a site may subscribe to all and sees no noise."""

from __future__ import annotations

from pathlib import Path

from device_profiles.catalogue import load_catalogue
from tests.fakes.edge import Edge, arrival, open_edge

CATALOGUE = load_catalogue([], strict=False)


async def hear(edge: Edge, *messages: tuple[str, str]) -> list[str | None]:
    """Let messages come in; return their verdicts."""
    return list(await edge.pipeline.ingest([arrival(topic, text) for topic, text in messages]))


async def test_zigbee2mqtt_s_own_topics_are_no_refusals(tmp_path: Path) -> None:
    async with open_edge(tmp_path, catalogue=CATALOGUE) as edge:
        verdicts = await hear(
            edge,
            ("zigbee2mqtt/bridge/state", '{"state": "online"}'),
            ("zigbee2mqtt/bridge/logging", '{"level": "info", "message": "x"}'),
            ("zigbee2mqtt/bridge/devices", "[]"),
            ("zigbee2mqtt/contact/hall/set", '{"x": 1}'),
            ("zigbee2mqtt/contact/hall", '{"contact": false, "battery": 90}'),
            ("zigbee2mqtt/contact/hall/availability", "offline"),
        )
        assert verdicts == [None] * 6
        assert [(each.device, each.fields) for each in await edge.readings()] == [
            ("contact-hall", {"closed": False, "battery": 90})
        ]
        assert edge.registry.devices["contact-hall"].online is False
        assert list(edge.registry.devices) == ["contact-hall"]


async def test_a_new_tasmota_sensor_is_one_whichever_of_its_topics_comes_first(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path, catalogue=CATALOGUE) as edge:
        verdicts = await hear(
            edge,
            ("tele/climate/hall/LWT", "Online"),
            ("tele/climate/hall/INFO1", '{"Info1": {}}'),
            ("tele/climate/hall/STATE", '{"Wifi": {"Signal": -60}}'),
            ("tele/climate/hall/SENSOR", '{"AM2301": {"Temperature": 22.5}, "TempUnit": "C"}'),
        )
        assert verdicts == [None] * 4
        assert edge.registry.devices["climate-hall"].profile == "tasmota/climate-sensor"
        fields = [each.fields for each in await edge.readings()]
        assert fields == [{"rssi": -60}, {"temperature": 22.5}]


async def test_a_first_generation_shelly_is_read_topic_by_topic(tmp_path: Path) -> None:
    async with open_edge(tmp_path, catalogue=CATALOGUE) as edge:
        plug = "shellies/shellyplug-s-7A12BC"
        verdicts = await hear(
            edge,
            (f"{plug}/relay/0", "on"),
            (f"{plug}/relay/0/power", "12.5"),
            (f"{plug}/info", "{}"),
            ("shellies/announce", "{}"),
            (f"{plug}/relay/0/power", "NaN"),
        )
        assert verdicts == [None, None, None, None, "not_json"]
        assert [each.fields for each in await edge.readings()] == [{"on": True}, {"power": 12.5}]


async def test_lwm2m_over_coap_is_told_apart_by_its_content_format(tmp_path: Path) -> None:
    async with open_edge(tmp_path, catalogue=CATALOGUE) as edge:
        tlv = bytes.fromhex("e4164441accccd")
        pack = b'[{"bn": "/3304/0/", "n": "5700", "u": "%RH", "v": 41}]'
        verdicts = await edge.pipeline.ingest(
            [
                arrival("lwm2m/node-7/3303/0", tlv, source="coap", content_format=11542),
                arrival("lwm2m/node-7/dp", pack, source="coap", content_format=110),
                arrival("lwm2m/node-7/dp", pack, source="coap", content_format=50),
            ]
        )
        assert verdicts == [None, None, "no_match"]
        fields = [each.fields for each in await edge.readings()]
        assert fields == [{"temperature": 21.6}, {"humidity": 41.0}]
