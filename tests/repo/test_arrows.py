"""The promise: each import contract is kept, and each one breaks when somebody breaks it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")
VERDICT = re.compile(r"^(.*) (KEPT|BROKEN)(?: \(\d+ ignored imports?\))?$", re.MULTILINE)

TRESPASSES = {
    "Arrows point down": ("collector/control.py", "edge_agent.arrival"),
    "Inside the edge agent": ("edge_agent/sources/terms.py", "edge_agent.pipeline"),
    "Inside the collector": ("collector/registry/tables.py", "collector.intake"),
    "The time series behind one protocol": (
        "collector/timeseries/influx1.py",
        "collector.timeseries.influx3",
    ),
    "Sources know nothing": ("edge_agent/sources/coap.py", "edge_agent.sources.mqtt"),
    "The two MQTT links": (
        "edge_agent/sources/mqtt311_link.py",
        "edge_agent.sources.mqtt5_link",
    ),
    "The vocabulary and the decoders": ("gateway_core/model.py", "asyncio"),
    "Only the uplink": ("edge_agent/aggregate.py", "gateway_core.link"),
    "mqtt5:": ("edge_agent/pipeline.py", "mqtt5"),
    "protobuf:": ("device_profiles/codecs/sparkplug.py", "google.protobuf"),
    "paho:": ("edge_agent/pipeline.py", "paho.mqtt"),
    "aiocoap:": ("edge_agent/sources/coap.py", "aiocoap"),
    "OpenCV": ("edge_agent/cameras/judge.py", "cv2"),
    "onvif-zeep-async": ("edge_agent/cameras/patrol.py", "onvif"),
    "lxml": ("edge_agent/cameras/soap.py", "lxml"),
    "influxdb-client": ("collector/query.py", "influxdb_client"),
    "DuckDB": ("collector/query.py", "duckdb"),
    "Arrow:": ("collector/query.py", "pyarrow"),
    "apsw": ("edge_agent/register.py", "apsw"),
    "FastAPI": ("collector/control.py", "fastapi"),
    "uvicorn": ("collector/agent.py", "uvicorn"),
    "SQLAlchemy": ("collector/dedupe.py", "sqlalchemy"),
    "sqlite-utils": ("edge_agent/ledger.py", "sqlite_utils"),
    "YAML": ("device_profiles/document.py", "yaml12"),
    "CBOR, CEL": ("device_profiles/units.py", "cbor2"),
    "cryptography": ("device_profiles/plan.py", "cryptography"),
    "QuickJS": ("device_profiles/js/step.py", "_quickjs"),
    "Compression": ("gateway_core/link.py", "zstandard"),
    "prometheus-client": ("edge_agent/status.py", "prometheus_client"),
    "Spreadsheets": ("collector/dedupe.py", "xlsxwriter"),
    "Terminal libraries": ("collector/init.py", "rich"),
    "No cycles": ("gateway_core/errors.py", "gateway_core.wire"),
}


def _contracts() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return [contract["name"] for contract in settings["contracts"]]


def _verdicts(tree: Path) -> dict[str, str]:
    run = subprocess.run(
        [LINTER, "--no-cache"],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "COLUMNS": "300", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return dict(VERDICT.findall(run.stdout))


@pytest.fixture(scope="module")
def trespassed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what the linter says of a copy of the tree in which every rule is broken once."""
    tree = tmp_path_factory.mktemp("tree")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    leave_out = shutil.ignore_patterns("__pycache__", "static", "vendors")
    for package in settings["root_packages"]:
        shutil.copytree(ROOT / package, tree / package, ignore=leave_out)
    shutil.copy(ROOT / "pyproject.toml", tree)
    for file, module in TRESPASSES.values():
        path = tree / file
        path.write_text(f"{path.read_text()}\nimport {module}\n")
    return _verdicts(tree)


def test_every_contract_has_a_trespass_that_is_tried() -> None:
    starts = tuple(TRESPASSES)
    assert [name for name in _contracts() if not name.startswith(starts)] == []
    assert len(TRESPASSES) == len(_contracts())


@pytest.mark.parametrize("start", TRESPASSES)
def test_a_trespass_breaks_its_contract(start: str, trespassed: dict[str, str]) -> None:
    verdicts = {name: verdict for name, verdict in trespassed.items() if name.startswith(start)}
    assert list(verdicts.values()) == ["BROKEN"]
