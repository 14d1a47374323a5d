"""The promise: what docker/ starts is small in rights, has no default password, and is configured right.

Checked by what can be checked without a Docker engine.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from collector.config import load_collector_config
from edge_agent.config import load_edge_config
from gateway_core.yaml_document import read_yaml
from tidegate import cli

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE = sorted(DOCKER.rglob("compose.yaml"))
DOCKERFILES = sorted(DOCKER.rglob("*Dockerfile"))
SERVICES = [
    pytest.param(compose, name, service, id=f"{compose.parent.name}-{name}")
    for compose in COMPOSE
    for name, service in read_yaml(compose).data["services"].items()
]


def _lines(dockerfile: Path, keyword: str) -> list[str]:
    text = dockerfile.read_text().replace("\\\n", " ")
    return re.findall(rf"^{keyword} (.*)$", text, re.MULTILINE)


def test_there_is_one_of_each() -> None:
    assert [path.parent.name for path in COMPOSE] == ["centre", "city", "site"]
    assert [path.name for path in DOCKERFILES] == [
        "city.Dockerfile",
        "collector.Dockerfile",
        "edge.Dockerfile",
    ]


@pytest.mark.parametrize(("compose", "name", "service"), SERVICES)
def test_a_service_has_few_rights(compose: Path, name: str, service: dict[str, Any]) -> None:
    user = service["user"].partition(":")[0]
    assert user.isdigit()
    assert int(user) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "network_mode" not in service


@pytest.mark.parametrize(("compose", "name", "service"), SERVICES)
def test_a_password_is_a_secret_and_has_no_default(
    compose: Path, name: str, service: dict[str, Any]
) -> None:
    secret = [key for key in service.get("environment", {}) if re.search("PASSWORD|TOKEN", key)]
    assert [key for key in secret if not key.endswith("_FILE")] == []
    held = read_yaml(compose).data.get("secrets", {})
    for name in service.get("secrets", []):
        file = compose.parent / held[name]["file"]
        assert not file.exists(), f"{file} must not be in the repository"


@pytest.mark.parametrize(("compose", "name", "service"), SERVICES)
def test_what_a_service_is_given_exists(compose: Path, name: str, service: dict[str, Any]) -> None:
    if build := service.get("build"):
        context = (compose.parent / build["context"]).resolve()
        assert context == ROOT
        assert (context / build["dockerfile"]).is_file()
    volumes = read_yaml(compose).data.get("volumes", {})
    for volume in service.get("volumes", []):
        source = volume.partition(":")[0]
        assert (compose.parent / source).exists() if source.startswith(".") else source in volumes
    for other in service.get("depends_on", []):
        assert other in read_yaml(compose).data["services"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_runs_as_the_user_of_its_service(dockerfile: Path) -> None:
    assert _lines(dockerfile, "USER") == ["10001:10001"]
    assert "--uid 10001" in " ".join(_lines(dockerfile, "RUN"))


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_takes_nothing_from_the_context_but_what_is_there(dockerfile: Path) -> None:
    for copied in _lines(dockerfile, "COPY"):
        words = shlex.split(copied)
        if not words[0].startswith("--from="):
            assert all((ROOT / source).exists() for source in words[:-1])
    assert ".venv" in (ROOT / ".dockerignore").read_text()
    assert ".git" in (ROOT / ".dockerignore").read_text()


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_what_an_image_starts_is_a_command_of_ours(dockerfile: Path) -> None:
    (entry,) = _lines(dockerfile, "ENTRYPOINT")
    (more,) = _lines(dockerfile, "CMD")
    words = [*_list(entry), *_list(more)]
    if words[1] == "-m":
        assert words[2] in {"edge_agent", "collector"}
        assert words[3] == "--config"
        return
    assert words[0].endswith("/tidegate")
    cli.app.parse_args(words[1:], exit_on_error=False, print_error=False)


def _list(text: str) -> list[str]:
    found: list[str] = read_yaml(text.strip()).data
    return found


def test_the_health_checks_ask_commands_that_exist() -> None:
    checks = [
        re.search(r"CMD (\[.*\])$", line)[1]  # type: ignore[index]
        for dockerfile in DOCKERFILES
        for line in _lines(dockerfile, "HEALTHCHECK")
    ]
    assert len(checks) == 2
    for check in checks:
        cli.app.parse_args(_list(check)[1:], exit_on_error=False, print_error=False)


def test_the_site_is_configured_with_what_its_containers_mount() -> None:
    config = load_edge_config(DOCKER / "site" / "edge.yaml")
    assert str(config.edge.data_dir) == "/var/lib/tidegate"
    assert [broker.url for broker in config.mqtt] == ["mqtt://mosquitto:1883"]


def test_the_centre_is_configured_with_what_its_containers_mount() -> None:
    config = load_collector_config(DOCKER / "centre" / "collector.yaml")
    assert str(config.collector.data_dir) == "/var/lib/tidegate"
    assert config.timeseries.kind == "influxdb2"
    assert str(config.timeseries.token_file) == "/run/secrets/influx_token"
    assert config.registry_url == "sqlite:////var/lib/tidegate/registry.db"


def test_the_broker_keeps_what_the_agent_has_not_acknowledged() -> None:
    settings = dict(
        line.split(maxsplit=1)
        for line in (DOCKER / "site" / "mosquitto.conf").read_text().splitlines()
        if line and not line.startswith("#")
    )
    config = load_edge_config(DOCKER / "site" / "edge.yaml")
    assert settings["persistence"] == "true"
    assert settings["max_queued_messages"] == "0"
    assert int(settings["max_inflight_messages"]) >= config.mqtt[0].receive_maximum
    assert int(settings["max_packet_size"]) >= config.edge.max_payload
