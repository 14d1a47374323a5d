"""The promise: profiles are found by words, and vectors run again when their file changes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

from device_profiles.catalogue import load_catalogue
from device_profiles.search import search
from tests.fakes.clean_profile import JSON

SHIPPED = list(load_catalogue([]).profiles.values())


def ids(*words, **wanted):
    return [profile.id for profile in search(SHIPPED, words, **wanted)]


def test_words_are_looked_for_in_id_title_of_any_language_and_fields():
    assert "eastron/sdm120-dtu" in ids("Eastron")
    assert "eastron/sdm120-dtu" in ids("电表", "single-phase")
    assert "heiman/hs1sa-z2m" in ids("SMOKE")
    assert ids("smoke", "no such word") == []


def test_filters_narrow_what_is_found():
    assert set(ids(vendor="milesight")) == set(ids(vendor="Milesight"))
    assert all(p.measurement == "water" for p in search(SHIPPED, measurement="water"))
    assert ids(via="coap", measurement="power") == ["ietf/senml-meter"]


def test_the_command_lists_what_suits():
    typed = [
        sys.executable,
        "-m",
        "tidegate",
        "profiles",
        "list",
        "senml",
        "--via",
        "coap",
        "--json",
    ]
    told = subprocess.run(typed, capture_output=True, text=True, check=True).stdout
    assert [row["id"] for row in json.loads(told)] == ["ietf/senml-meter"]


def test_vectors_run_again_when_their_file_changes(tmp_path):
    path = tmp_path / "hall.yaml"
    path.write_text(JSON, encoding="utf-8")
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tidegate", "profiles", "test", str(path), "--watch"],
            stdout=out,
        )
    try:
        _wait_for(log, "4 of 4 vectors passed")
        path.write_text(
            JSON.replace('people: 3, mode: "off"}', 'people: 4, mode: "off"}'), encoding="utf-8"
        )
        _wait_for(log, "3 of 4 vectors passed")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 1
    finally:
        process.kill()
        process.wait(10)


def _wait_for(log, words):
    end = time.monotonic() + 60
    while words not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)
