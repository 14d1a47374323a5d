"""The overview shows what the collector knows, in Chinese and English, and asks nobody else."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_core.model import Alarm
from tests.collector.api.test_api import NOW, records, upload
from tests.e2e.city import City, http, wait_for
from tests.fakes.desk import PLAIN

WORDLESS = Alarm("sim-edge-01", "sim-cam-0001", "camera", "silence", "minor", "raised", NOW, {})
STATIC = Path(__file__).parents[3] / "collector" / "console" / "static"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    city = City(tmp_path_factory.mktemp("city"))
    try:
        city.centre().start()
        said = records()
        upload(city, 1, said, **{"Tidegate-Backlog": "7", "Tidegate-Residual": "0"})
        upload(
            city,
            len(said) + 1,
            [WORDLESS],
            **{
                "Tidegate-Backlog": "7",
                "Tidegate-Residual": "0",
                "Tidegate-Clock": str(time.time_ns() + 3 * 3600 * 10**9),
            },
        )
        wait_for(
            "the registry",
            lambda: len(http("GET", f"{city.api}/api/v1/devices")["items"]) == 30,
        )
        yield city
    finally:
        city.close()


def browse(url: str, folder: Path) -> tuple[str, set[str]]:
    """Return the page's DOM after some seconds and the hosts that the browser asked."""
    log = folder / "net.json"
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={log}",
        "--virtual-time-budget=5000",
        "--dump-dom",
        url,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    asked = set()
    for line in log.read_text(errors="replace").splitlines():
        # what the browser asks on its own account has no site of ours behind it
        found = re.search(r'"url":"(\w+://[^/"]+)', line)
        if found and "SiteForCookies: {site=http://127.0.0.1" in line:
            asked.add(found[1])
    return done.stdout, {host for host in asked if host.startswith(("http", "ws"))}


def text(dom: str, element: str) -> str:
    """Return the words inside the element of that id."""
    start = dom.index(f'id="{element}"')
    after = dom[start : start + 6000].split(">", 1)[1]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", after)).strip()


@pytest.mark.slow
def test_the_overview_shows_what_is_known_and_asks_nobody_else(city: City, tmp_path: Path) -> None:
    dom, asked = browse(city.api + "/", tmp_path)
    assert text(dom, "tile-devices").startswith("设备 30 / 30")
    assert text(dom, "tile-feeds").startswith("视频 20 / 30")
    assert text(dom, "tile-residual").startswith("账目差额 0")
    assert "全部 30 66.67 % 66.67 % 100.00 % 100.00 % 0 0" in text(dom, "feed-figures")
    assert text(dom, "edges").startswith("边缘节点 数据时间")
    assert "sim-edge-01 模拟 ● 已连接 时钟快 3 h" in text(dom, "edges")
    assert "紧急 温度过高 sim-env-00002 · sim-edge-01 模拟" in text(dom, "alarms")
    assert "次要 设备无消息 sim-cam-0001 · sim-edge-01 模拟" in text(dom, "alarms")
    assert re.search(
        r"sim-env-000\d\d 模拟 sim-edge-01 seq \d+ temperature 2\d", text(dom, "latest")
    )
    assert asked == {city.api}


@pytest.mark.slow
def test_the_same_page_speaks_english(city: City, tmp_path: Path) -> None:
    dom, _ = browse(city.api + "/?lang=en", tmp_path)
    assert '<html lang="en">' in dom
    assert text(dom, "tile-devices").startswith("Devices 30 / 30")
    assert "sim-edge-01 simulated ● connected Clock ahead by 3 h" in text(dom, "edges")
    assert "critical Too hot sim-env-00002 · sim-edge-01 simulated" in text(dom, "alarms")


@pytest.mark.slow
def test_the_life_of_profiles_shows_what_waits_and_how_far_a_roll_out_is(
    city: City, tmp_path: Path
) -> None:
    profile = f"{city.api}/api/v1/profiles/acme/room"
    for version in ("1.0.0", "1.1.0"):
        body = PLAIN.replace("version: 1.0.0", f"version: {version}").encode()
        kind = {"Content-Type": "application/yaml"}
        urllib.request.urlopen(urllib.request.Request(profile, body, kind, method="PUT")).close()
    http("POST", f"{profile}/versions/1.0.0/approve", {"actor": "operations"})
    plan = f"http://{city.at(city.intake_port)}/v1/profiles/plan"
    ask = urllib.request.Request(plan, headers={"Tidegate-Edge": "sim-edge-01"})
    urllib.request.urlopen(ask).close()
    http("POST", f"{profile}/rollout", {"actor": "operations", "version": "1.0.0", "hold": "1h"})
    dom, asked = browse(city.api + "/", tmp_path)
    shown = text(dom, "profiles")
    assert "▲ 待人工审批: acme/room@1.1.0 未签名" in shown
    assert "acme/room 1.0.0 ◇ 先行节点 0 / 1 sim-edge-01 — → 1.0.0" in shown
    assert asked == {city.api}


@pytest.mark.slow
def test_no_data_is_a_dash_and_never_zero(tmp_path: Path) -> None:
    city = City(tmp_path)
    try:
        city.centre().start()
        upload(city, 1, records()[:1])
        dom, _ = browse(city.api + "/", tmp_path)
    finally:
        city.close()
    row = text(dom, "edges").split("已连接")[1]
    assert row.startswith(" — — — ")


def test_names_from_outside_are_text(city: City) -> None:
    with urllib.request.urlopen(city.api + "/") as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for file in STATIC.glob("*.js"):
        assert "innerHTML" not in file.read_text()


def test_both_languages_have_every_word() -> None:
    source = (STATIC / "words.js").read_text()
    chinese, english = source.split("  en: {")
    keys = [set(re.findall(r"^    (\w+):", part, re.MULTILINE)) for part in (chinese, english)]
    assert keys[0] == keys[1]
    used = set()
    for file in STATIC.glob("*.js"):
        used |= set(re.findall(r'\bt\("(\w+)"\)', file.read_text()))
    assert used <= keys[0]


def test_vendored_files_are_the_ones_that_were_reviewed() -> None:
    manifest = json.loads((STATIC / "vendor" / "manifest.json").read_text())
    files = {p.name for p in (STATIC / "vendor").iterdir() if p.suffix in {".js", ".css"}}
    assert files == manifest.keys()
    for name, facts in manifest.items():
        digest = hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest()
        assert digest == facts["sha256"], name
