"""The people's listener takes what usual clients send: HEAD, short names of forms, a body's wrong name."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.collector.api.test_api import records, upload
from tests.e2e.city import City, wait_for

CONTRACT = """\
tidegate_accepted_total tidegate_delivered_total tidegate_buffered tidegate_quarantined_total
tidegate_refused_total tidegate_dropped_total tidegate_residual tidegate_spool_bytes
tidegate_spool_seconds_to_full tidegate_uplink_lag_seconds
"""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    city = City(tmp_path_factory.mktemp("city"), "::1")
    try:
        city.centre().start()
        upload(city, 1, records(), **{"Tidegate-Backlog": "0", "Tidegate-Residual": "0"})
        wait_for("the store", lambda: len(city.delivered()) == 30)
        yield city
    finally:
        city.close()


def test_every_metric_of_the_contract_is_there_before_it_counts(city: City) -> None:
    with urllib.request.urlopen(f"{city.api}/metrics") as answer:
        names = {line.split(b"{")[0].split(b" ")[0].decode() for line in answer}
    assert set(CONTRACT.split()) - names == set()


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("arrow", "application/vnd.apache.arrow.stream"),
        ("application/json, text/csv", "application/json"),
        ("text/html, text/csv;q=0.9", "text/csv; charset=utf-8"),
        ("*/*", "application/json"),
    ],
)
def test_the_first_form_that_is_known_is_answered(city: City, accept: str, answered: str) -> None:
    request = urllib.request.Request(
        f"{city.api}/api/v1/query",
        b'{"measurement": "env", "start": "-1h"}',
        {"Content-Type": "application/json", "Accept": accept},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"] == answered


def test_a_body_that_is_called_a_form_is_told_what_to_call_itself(city: City) -> None:
    request = urllib.request.Request(
        f"{city.api}/api/v1/query",
        b'{"measurement": "env"}',
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    assert caught.value.code == 415
    assert b"send Content-Type: application/json" in caught.value.read()


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/devices", "/", "/metrics"])
def test_head_is_answered_as_get_without_the_body(city: City, path: str) -> None:
    request = urllib.request.Request(f"{city.api}{path}", method="HEAD")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
        assert int(answer.headers.get("Content-Length", 1)) > 0
        assert answer.read() == b""
