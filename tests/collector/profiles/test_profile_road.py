"""From a vendor's shell to an edge's plan over real HTTP: publish, approve, roll out, report, ask for lineage."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_profiles.bundle import decode_bundle
from device_profiles.plan import Report, encode_report, open_plan
from device_profiles.signing import load_public
from gateway_core.model import ProfileUse, Reading
from gateway_core.wire import CONTENT_TYPE, Upload, encode_upload
from tests.e2e.city import City, tidegate, wait_for
from tests.fakes.desk import PLAIN
from tests.fakes.profile_text import PROFILE

T = 1_700_000_000_000_000_000
TOKENS = "e1: a-token-of-edge-one\ne2: a-token-of-edge-two\n"
HOME = {"e1": "a-token-of-edge-one", "e2": "a-token-of-edge-two"}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    made = City(tmp_path_factory.mktemp("city"))
    (made.folder / "tokens.yaml").write_text(TOKENS)
    centre = made.centre()
    config = made.folder / "centre/collector.yaml"
    intake = f"intake: {{listen: '127.0.0.1:{made.intake_port}'"
    text = config.read_text()
    assert intake in text
    config.write_text(text.replace(intake, f"{intake}, tokens_file: ../tokens.yaml"))
    try:
        centre.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def vendor(city: City) -> Path:
    key = city.folder / "vendor.key"
    assert tidegate("profiles", "key", "new", str(key)).returncode == 0
    done = _desk(city, "trust", "acme", f"{key}.pub", "--by", "op")
    assert "may publish profiles of acme" in done
    return key


def _desk(city: City, *words: str, status: int = 0) -> str:
    done = tidegate("collector", "profiles", *words, "--url", city.api)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def _publish(city: City, text: str, *words: str, name: str = "room") -> tuple[int, str]:
    path = city.folder / f"{name}.yaml"
    path.write_text(text)
    done = tidegate("profiles", "publish", str(path), "--url", city.api, *words)
    return done.returncode, done.stdout + done.stderr


def _edge(
    city: City, edge: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    given = {"Tidegate-Edge": edge, "Authorization": f"Bearer {HOME.get(edge, '')}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    url = f"http://{city.at(city.intake_port)}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, given), timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as exc:
        return exc.code, dict(exc.headers), exc.read()


def _put(city: City, text: str, kind: str = "application/yaml") -> tuple[int, dict[str, Any]]:
    url = f"{city.api}/api/v1/profiles/acme/room"
    request = urllib.request.Request(url, text.encode(), {"Content-Type": kind}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as exc:
        return exc.code, json.loads(exc.read())


def _get(city: City, path: str, accept: str = "application/json") -> tuple[dict[str, str], bytes]:
    request = urllib.request.Request(f"{city.api}/api/v1/{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(answer.headers), answer.read()


def test_the_whole_road_of_a_version(city: City, vendor: Path) -> None:
    assert _publish(city, PLAIN, "--key", str(vendor))[0] == 0
    # what is served is what was published, in each form
    _, text = _get(city, "profiles/acme/room?version=1.0.0", "application/yaml")
    assert text.decode() == PLAIN
    _, data = _get(
        city, "profiles/acme/room?version=1.0.0", "application/vnd.tidegate.profile-bundle"
    )
    assert decode_bundle(data).text == PLAIN
    assert json.loads(_get(city, "profiles/acme/room")[1])["id"] == "acme/room"

    # edges ask, and are known from then on
    for edge in ("e1", "e2"):
        assert _edge(city, edge, "/v1/profiles/plan")[0] == 200
    _desk(city, "rollout", "acme/room@1.0.0", "--canary", "e1", "--hold", "0s", "--by", "op")
    (city.folder / "registry.pub").write_text(_desk(city, "keys", "--registry"))
    registry = load_public(city.folder / "registry.pub")
    _, headers, sealed = _edge(city, "e1", "/v1/profiles/plan")
    (entry,) = open_plan(sealed, registry, "e1").entries
    assert (entry.id, entry.version, entry.role) == ("acme/room", "1.0.0", "active")
    assert open_plan(_edge(city, "e2", "/v1/profiles/plan")[2], registry, "e2").entries == ()
    assert _edge(city, "e1", "/v1/profiles/plan", If_None_Match=headers["ETag"])[0] == 304
    status, _, bundle = _edge(city, "e1", f"/v1/profiles/bundles/{entry.sha256}")
    assert (status, bundle) == (200, data)
    load_public(Path(f"{vendor}.pub")).verify("bundle", entry.sha256.encode(), entry.signature)

    # the canary says so, and the other follows
    report = Report("e1", "r1", T, "applied", "acme/room", "1.0.0", entry.sha256)
    for _ in range(2):
        assert _edge(city, "e1", "/v1/profiles/reports", encode_report(report))[0] == 204
    wait_for(
        "the second edge to be told",
        lambda: open_plan(_edge(city, "e2", "/v1/profiles/plan")[2], registry, "e2").entries,
    )
    shown = json.loads(_desk(city, "status", "acme/room", "--json"))
    assert [each["stage"] for each in shown["rollouts"]] == ["rest"]
    assert [(each["edge"], each["active"], each["said"]) for each in shown["edges"]] == [
        ("e1", "1.0.0", "applied"),
        ("e2", "1.0.0", None),
    ]
    assert [each["id"] for each in shown["reports"]] == ["r1"]
    assert "rolled_back" in _desk(city, "rollback", "acme/room", "--reason", "because")
    assert open_plan(_edge(city, "e1", "/v1/profiles/plan")[2], registry, "e1").entries == ()


def test_plain_yaml_waits_for_a_person_and_is_published_by_one(city: City, vendor: Path) -> None:
    text = PLAIN.replace("version: 1.0.0", "version: 3.0.0")
    status, found = _put(city, text)
    assert (status, found["state"], found["questions"][-1]["question"]) == (
        202,
        "pending",
        "unsigned",
    )
    headers, waiting = _get(city, "profiles/acme/room?version=3.0.0", "application/yaml")
    assert (headers["tidegate-state"], waiting.decode()) == ("pending", text)
    assert _put(city, text)[0] == 200
    status, found = _put(city, text.replace("[-40, 85]", "[-40, 84]"))
    assert (status, found["title"]) == (409, "version_exists")
    assert "raise the version" in found["detail"]
    assert "acme/room" in _desk(city, "list", "--state", "pending")
    assert "is published" in _desk(city, "approve", "acme/room@3.0.0", "--by", "operations")
    assert "only pending ones" in _desk(city, "reject", "acme/room@3.0.0", status=1)
    assert "is deprecated" in _desk(city, "deprecate", "acme/room@3.0.0", "--successor", "4.0.0")
    shown = json.loads(_desk(city, "show", "acme/room", "--json"))
    newest = shown["versions"][0]
    assert (newest["version"], newest["state"], newest["decided_by"] != "") == (
        "3.0.0",
        "deprecated",
        True,
    )
    assert ("operations", "approve") in [(row["actor"], row["action"]) for row in shown["history"]]


def test_a_fault_comes_back_with_the_place_in_the_vendors_own_file(
    city: City, vendor: Path
) -> None:
    looser = PLAIN.replace("version: 1.0.0", "version: 1.0.1").replace("every: 5m", "every: 1m")
    assert _publish(city, PLAIN, "--key", str(vendor))[0] == 0
    code, told = _publish(city, looser, "--key", str(vendor))
    assert code == 2
    assert f"{city.folder}/room.yaml:22:1: egress: more leaves the site than in 1.0.0" in told
    status, found = _put(city, looser)
    assert (status, found["title"]) == (422, "not_fit")
    assert [(f["gate"], f["line"], f["col"]) for f in found["faults"]] == [("egress", 22, 1)]
    code, told = _publish(city, PLAIN.replace("unit: Cel", "unit: Celsius"), "--key", str(vendor))
    assert code == 2
    assert "room.yaml:13:" in told
    assert _put(city, PLAIN, "text/plain")[0] == 415
    assert _put(city, "nonsense: [")[0] == 400


def test_a_key_that_nobody_enrolled_is_told_who_can(city: City, tmp_path: Path) -> None:
    tidegate("profiles", "key", "new", str(tmp_path / "own.key"))
    code, told = _publish(city, PROFILE, "--key", str(tmp_path / "own.key"), name="other")
    assert code == 1
    assert "tidegate collector profiles trust acme" in told


def test_an_edge_gets_nothing_without_its_identity(city: City) -> None:
    sha = "a" * 64
    for path in ("/v1/profiles/plan", f"/v1/profiles/bundles/{sha}"):
        assert _edge(city, "", path)[0] == 400
        assert _edge(city, "../x", path)[0] == 400
        assert _edge(city, "e1", path, Authorization="Bearer a-token-of-edge-two")[0] == 401
    assert _edge(city, "e1", f"/v1/profiles/bundles/{sha}")[0] == 404
    foreign = encode_report(Report("e2", "r1", T, "applied", "acme/room", "1.0.0", sha))
    assert _edge(city, "e1", "/v1/profiles/reports", foreign)[0] == 403
    assert _edge(city, "e1", "/v1/profiles/reports", b"\xc1")[0] == 400


def test_lineage_follows_the_edges_own_numbers_also_when_they_arrive_out_of_order(
    city: City,
) -> None:
    def use(version: str, previous: str, at: int) -> ProfileUse:
        return ProfileUse("e2", "acme/room", version, version[0] * 64, T + at, previous, "centre")

    def reading(n: int) -> Reading:
        return Reading("e2", "d1", "acme/room", "env", T + n, T + n, {"temperature": 20.0})

    def send(first: int, records: list[Any]) -> None:
        seqs = list(range(first, first + len(records)))
        body = encode_upload(Upload("e2", "ep", seqs[0], seqs[-1], seqs, records))
        assert _edge(city, "e2", "/v1/batches", body, Content_Type=CONTENT_TYPE)[0] == 200

    send(4, [use("1.1.0", "1.0.0", 4), reading(5)])
    send(1, [use("1.0.0", "", 1), reading(2), reading(3)])
    asked = ("lineage", "--edge", "e2", "--profile", "acme/room", "--json")

    def both() -> list[dict[str, Any]] | None:
        found = json.loads(_desk(city, *asked))
        return found if len(found) == 2 else None

    uses = wait_for("both uses", both)
    assert [(row["version"], row["epoch"], row["seq"]) for row in uses] == [
        ("1.1.0", "ep", 4),
        ("1.0.0", "ep", 1),
    ]
    for seq, version in ((2, "1.0.0"), (3, "1.0.0"), (5, "1.1.0"), (99, "1.1.0")):
        assert json.loads(_desk(city, *asked, "--seq", str(seq)))["version"] == version
    moment = "2023-11-14T22:13:20.000000003Z"
    assert json.loads(_desk(city, *asked, "--received", moment))["version"] == "1.0.0"
    assert "did not say" in _desk(city, *asked[:-1], "--seq", "1", status=1)


def test_the_list_has_what_ships_and_what_was_published_page_by_page(
    city: City, vendor: Path
) -> None:
    assert _publish(city, PLAIN, "--key", str(vendor))[0] == 0
    found, cursor = [], ""
    while True:
        page = json.loads(_get(city, f"profiles?limit=7&cursor={cursor}")[1])
        found += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    whole = [item["id"] for item in json.loads(_get(city, "profiles")[1])["items"]]
    assert found == whole == sorted(set(whole))
    assert {"acme/room", "tidegate/env-sensor"} <= set(whole)
