"""A version reaches edges stage by stage, its plan signed with a serial that only grows, and goes back by itself; in both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.profiles import reports
from collector.profiles.rollouts import NOBODY, Wish
from collector.profiles.versions import Clash, Row
from device_profiles.bundle import digest_of
from device_profiles.examination import Examined
from device_profiles.plan import Report
from tests.fakes.desk import PLAIN, SECOND, Desk, desk_at


@pytest.fixture
async def here(url: str, tmp_path: Path):
    async with desk_at(url, tmp_path) as opened:
        for edge in ("e1", "e2", "e3"):
            assert (await opened.plan(edge)).entries == ()
        for version in ("1.0.0", "1.1.0"):
            text = PLAIN.replace("version: 1.0.0", f"version: {version}")
            await _enter(opened, version, text)
        yield opened


async def _enter(here: Desk, version: str, text: str) -> None:
    """Publish without an examination, which other tests are about."""
    sent = here.signed(version, text)
    examined = Examined("acme/room", version, "env", {}, (), ())
    versions = here.desk.versions
    row = versions._row(sent, examined, digest_of(sent.bundle), here.vendor.public.raw)
    await here.desk.database.change(lambda db: versions._enter(db, row, ""))


async def _roll(here: Desk, version: str, **more) -> Row:
    wish = {"canary": "e1", "edges": (), "shadow_ns": 0, "hold_ns": 10 * SECOND, "actor": "op"}
    return await here.desk.rollouts.start(Wish("acme/room", version, **(wish | more)))


async def _everywhere(here: Desk, version: str) -> None:
    await _roll(here, version, canary=NOBODY, hold_ns=0)
    for edge in ("e1", "e2", "e3"):
        await here.say(edge, "applied", version)


async def _stage(here: Desk) -> str:
    return (await here.desk.rollouts.of("acme/room"))[0]["stage"]


async def test_a_version_goes_from_shadow_to_canary_to_all_and_is_done(here: Desk) -> None:
    await _everywhere(here, "1.0.0")
    assert await _stage(here) == "done"
    await _roll(here, "1.1.0", shadow_ns=60 * SECOND)
    for edge in ("e1", "e2"):
        assert await here.runs(edge) == {"active": "1.0.0", "shadow": "1.1.0"}
    here.time.pass_by(60)
    await here.desk.go_on()
    assert await here.runs("e1") == {"active": "1.1.0"}
    assert await here.runs("e2") == {"active": "1.0.0"}
    await here.say("e1", "applied", "1.1.0")
    here.time.pass_by(9)
    await here.desk.go_on()
    assert await here.runs("e2") == {"active": "1.0.0"}
    here.time.pass_by(1)
    await here.desk.go_on()
    assert await here.runs("e2") == {"active": "1.1.0"}
    for edge in ("e2", "e3"):
        await here.say(edge, "applied", "1.1.0")
    here.time.pass_by(10)
    await here.desk.go_on()
    assert await _stage(here) == "done"


async def test_a_canary_that_fails_brings_the_version_before_back_at_once(here: Desk) -> None:
    await _everywhere(here, "1.0.0")
    await _roll(here, "1.1.0")
    assert await here.runs("e1") == {"active": "1.1.0"}
    await here.say("e1", "failed", "1.1.0", detail="schema")
    assert await here.runs("e1") == {"active": "1.0.0"}
    newest = (await here.desk.rollouts.of("acme/room"))[0]
    assert (newest["stage"], newest["reason"]) == ("rolled_back", "edge e1 cannot use it: schema")


async def test_refusals_out_of_the_band_bring_the_version_before_back(here: Desk) -> None:
    await _everywhere(here, "1.0.0")
    await _roll(here, "1.1.0")
    counts = {"messages": 40, "messages_before": 40}
    await here.say("e1", "running", "1.1.0", refused=1, refused_before=1, **counts)
    assert await here.runs("e1") == {"active": "1.1.0"}
    await here.say("e1", "running", "1.1.0", refused=15, refused_before=1, **counts)
    assert await here.runs("e1") == {"active": "1.0.0"}


async def test_a_roll_back_is_in_the_next_plan_and_can_be_repeated(here: Desk) -> None:
    await _everywhere(here, "1.0.0")
    await _everywhere(here, "1.1.0")
    with pytest.raises(Clash, match=r"is of 1\.1\.0, not 1\.0\.0; nothing was taken back"):
        await here.desk.rollouts.roll_back("acme/room", "op", "late", "1.0.0")
    await here.desk.rollouts.roll_back("acme/room", "op", "wrong unit", "1.1.0")
    assert await here.runs("e3") == {"active": "1.0.0"}
    await here.desk.rollouts.roll_back("acme/room", "op", "")
    assert await here.runs("e3") == {}
    with pytest.raises(Clash, match="nothing to take back"):
        await here.desk.rollouts.roll_back("acme/room", "op", "")


async def test_the_serial_grows_with_every_change_and_not_without_one(here: Desk) -> None:
    first = await here.desk.plans.of("e1")
    here.time.pass_by(3600)
    assert await here.desk.plans.of("e1") == first
    serials = [(await here.plan("e1")).serial]
    for version in ("1.0.0", "1.1.0", None):
        await here.desk.rollouts.pin("acme/room", "e1", version, "op")
        serials.append((await here.plan("e1")).serial)
    assert serials == sorted(set(serials))
    here.time.now = 1  # a clock that went back
    await here.desk.rollouts.pin("acme/room", "e1", "1.0.0", "op")
    assert (await here.plan("e1")).serial == serials[-1] + 1


async def test_a_pinned_edge_stays_and_does_not_hold_others_up(here: Desk) -> None:
    await _everywhere(here, "1.0.0")
    await here.desk.rollouts.pin("acme/room", "e3", "1.0.0", "op")
    await _roll(here, "1.1.0", canary=NOBODY, hold_ns=0)
    for edge in ("e1", "e2"):
        await here.say(edge, "applied", "1.1.0")
    assert await _stage(here) == "done"
    assert await here.runs("e3") == {"active": "1.0.0"}
    with pytest.raises(Clash, match="not published"):
        await here.desk.rollouts.pin("acme/room", "e3", "9.0.0", "op")
    assert [pin["version"] for pin in await here.desk.rollouts.pins_of("acme/room")] == ["1.0.0"]


async def test_a_withdrawn_version_leaves_every_plan_and_is_named_as_withdrawn(here: Desk) -> None:
    await _everywhere(here, "1.0.0")
    await _roll(here, "1.1.0")
    await here.desk.versions.decide("acme/room", "1.1.0", "withdraw", "op", "unsafe", "")
    await here.desk.rollouts.drop("acme/room", "1.1.0", "op", "unsafe")
    plan = await here.plan("e1")
    assert [(each.version, each.role) for each in plan.entries] == [("1.0.0", "active")]
    assert [(each.version, each.reason) for each in plan.withdrawn] == [("1.1.0", "unsafe")]
    assert await _stage(here) == "rolled_back"


async def test_only_some_edges_and_only_known_ones(here: Desk) -> None:
    await _roll(here, "1.0.0", canary="", edges=("e2",), hold_ns=0)
    await here.say("e2", "applied", "1.0.0")
    await here.desk.go_on()
    assert [await here.runs(edge) for edge in ("e1", "e2")] == [{}, {"active": "1.0.0"}]
    with pytest.raises(Clash, match="edge e9 never asked for a plan; these did: e1, e2, e3"):
        await _roll(here, "1.1.0", canary="e9")
    with pytest.raises(Clash, match=r"9\.0\.0 is not there"):
        await _roll(here, "9.0.0")


async def test_two_roll_outs_of_one_profile_never_run_at_once(here: Desk) -> None:
    await _roll(here, "1.0.0")
    with pytest.raises(Clash, match="is at canary; wait until it is done"):
        await _roll(here, "1.1.0")


async def test_an_edge_that_uses_the_version_already_counts_as_one_that_applied_it(
    here: Desk,
) -> None:
    await _roll(here, "1.0.0", edges=("e1",), hold_ns=0)
    await here.say("e1", "applied", "1.0.0")
    await here.desk.go_on()
    assert await _stage(here) == "done"
    here.time.pass_by(100)
    await _roll(here, "1.0.0", canary="e1", hold_ns=0)
    await here.desk.go_on()
    assert await _stage(here) == "rest"


async def test_the_plan_carries_what_the_edge_needs_to_check_the_vendor(here: Desk) -> None:
    await _everywhere(here, "1.0.0")
    (entry,) = (await here.plan("e1")).entries
    bundle = await here.desk.versions.bundle(entry.sha256)
    assert bundle is not None
    assert len(bundle) == entry.size
    assert entry.key == here.vendor.public.raw
    here.vendor.public.verify("bundle", entry.sha256.encode(), entry.signature)


async def test_a_backtest_is_a_task_until_the_edge_answers_and_its_answer_counts_once(
    here: Desk,
) -> None:
    asked = await here.desk.rollouts.backtest("bt-1", "acme/room", "1.1.0", ["e1"], 5, 100, "op")
    (task,) = (await here.plan("e1")).tasks
    assert (asked, task.id, task.version, task.since_ns, task.limit) == (
        ["e1"],
        "bt-1",
        "1.1.0",
        5,
        100,
    )
    assert (await here.plan("e2")).tasks == ()
    report = Report(
        "e1", "r", 1, "backtest", "acme/room", "1.1.0", task.sha256, task="bt-1", messages=7
    )
    assert await here.desk.reports.take(report)
    assert not await here.desk.reports.take(report)
    assert (await here.plan("e1")).tasks == ()
    (row,) = await here.desk.reports.of("acme/room", task="bt-1")
    assert row["said"]["messages"] == 7


async def test_a_backtest_that_no_edge_does_within_a_week_is_given_up(here: Desk) -> None:
    await here.desk.rollouts.backtest("bt-1", "acme/room", "1.1.0", ["e1"], 5, 100, "op")
    here.time.pass_by(7 * 86_400 - 1)
    assert [task.id for task in (await here.plan("e1")).tasks] == ["bt-1"]
    here.time.pass_by(61)
    assert (await here.plan("e1")).tasks == ()


async def test_what_is_not_there_or_was_withdrawn_is_tried_by_nobody(here: Desk) -> None:
    ask = here.desk.rollouts.backtest
    await ask("bt-1", "acme/room", "1.1.0", ["e1"], 5, 100, "op")
    await here.desk.versions.decide("acme/room", "1.1.0", "withdraw", "op", "wrong", "")
    assert (await here.plan("e1")).tasks == ()
    for version in ("1.1.0", "9.0.0"):
        with pytest.raises(Clash, match=f"there is no acme/room {version} that could be tried"):
            await ask("bt-2", "acme/room", version, ["e1"], 5, 100, "op")


async def test_a_backtest_where_no_edge_is_known_says_so(url: str, tmp_path: Path) -> None:
    async with desk_at(url, tmp_path) as here:
        await _enter(here, "1.0.0", PLAIN)
        with pytest.raises(Clash, match="no edge has asked for a plan yet"):
            await here.desk.rollouts.backtest("bt-1", "acme/room", "1.0.0", [], 5, 100, "op")


async def test_tasks_of_an_edge_are_bounded(here: Desk) -> None:
    for n in range(16):
        await here.desk.rollouts.backtest(f"bt-{n}", "acme/room", "1.1.0", ["e1"], 0, 1, "op")
    with pytest.raises(Clash, match="16 tasks to do already"):
        await here.desk.rollouts.backtest("bt-x", "acme/room", "1.1.0", [], 0, 1, "op")


async def test_reports_of_an_edge_are_bounded(here: Desk) -> None:
    for n in range(reports.MOST_KEPT + 60):
        here.time.pass_by(1)
        report = Report("e1", f"r{n}", n, "shadow", "acme/room", "1.0.0", "a" * 64)
        await here.desk.reports.take(report)
    rows = await here.desk.reports.of("acme/room", limit=5000)
    assert reports.MOST_KEPT <= len(rows) <= reports.MOST_KEPT + 50
    assert rows[0]["id"] == f"r{reports.MOST_KEPT + 59}"
