"""Promise: a version is tried in a process of its own, on what is kept raw, and leaves counts only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from device_profiles.profile import load_profile
from edge_agent.declared import declared
from edge_agent.policy import Policy
from edge_agent.raw.store import RawStore
from edge_agent.versions.compare import Comparison
from edge_agent.versions.reporting import blank, with_summary
from edge_agent.versions.trial import Job
from edge_agent.versions.trials import run_trial
from gateway_core.errors import PayloadError
from tests.edge_agent.versions.test_comparison import GOOD, said
from tests.fakes.edge import ENV, NOW, Hands, arrival

DOUBLED = ENV.replace("temperature: {type: float", "temperature: {scale: 2, type: float").replace(
    "humidity: {type: float", "humidity: {scale: 2, type: float"
)


def keep(raw: RawStore, *payloads: str) -> None:
    found = [arrival("tg/d1/up", each, NOW + n) for n, each in enumerate(payloads)]
    raw.offer(found, [a.received for a in found], ["test/env"] * len(found), [None] * len(found))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "old.yaml").write_text(ENV)
    (tmp_path / "new.yaml").write_text(DOUBLED)
    return Job(str(tmp_path / "raw"), str(tmp_path / "new.yaml"), str(tmp_path / "old.yaml"))


def replaced(job: Job, **changes) -> Job:
    return Job(**({name: getattr(job, name) for name in job.__struct_fields__} | changes))


async def test_a_backtest_reads_what_is_there_and_ends(tmp_path: Path, job: Job) -> None:
    raw = RawStore(tmp_path / "raw", clock=Hands())
    raw.start()
    keep(raw, GOOD, GOOD, GOOD)
    raw.close()
    found = [progress async for progress in run_trial(job)]
    assert (found[-1].done, found[-1].share) == (True, 1.0)
    summary = found[-1].summary
    assert (summary.messages, summary.differing) == (3, 3)
    assert {(d.change, d.subject) for d in summary.differences} == {
        ("changed", "temperature"), ("changed", "humidity"),
    }  # fmt: skip


async def test_it_stops_at_its_limit_and_begins_where_it_is_told(tmp_path: Path, job: Job) -> None:
    raw = RawStore(tmp_path / "raw", clock=Hands())
    raw.start()
    keep(raw, *([GOOD] * 10))
    raw.close()
    last = [p async for p in run_trial(replaced(job, since=NOW + 4, limit=5))][-1]
    assert (last.summary.messages, last.summary.since) == (5, NOW + 4)


async def test_a_shadow_sees_what_comes_in_while_it_runs_and_ends_with_its_reader(
    tmp_path: Path, job: Job
) -> None:
    raw = RawStore(tmp_path / "raw", clock=Hands())
    raw.start()
    trial = run_trial(replaced(job, follow=True))
    first = await anext(trial)
    assert (first.done, first.summary.messages) == (False, 0)
    (process,) = [
        child
        for child in psutil.Process().children()
        if "edge_agent.versions.trial" in child.cmdline()
    ]
    assert process.nice() == 10
    await asyncio.to_thread(keep, raw, GOOD)
    async with asyncio.timeout(30):
        while (await anext(trial)).summary.messages == 0:
            pass
    await trial.aclose()
    assert not process.is_running()
    await asyncio.to_thread(raw.close)


async def test_a_version_that_does_not_load_says_where(tmp_path: Path, job: Job) -> None:
    (tmp_path / "new.yaml").write_text(ENV.replace("type: int", "type: itn"))
    with pytest.raises(PayloadError, match=r"new\.yaml:\d+:\d+: .*itn"):
        await anext(run_trial(job))


def test_only_values_of_fields_that_leave_raw_are_in_a_report() -> None:
    text = DOUBLED.replace("humidity: raw", "humidity: {every: 5m, fns: [mean]}")
    profile = load_profile(text)
    comparison = Comparison(load_profile(ENV), profile)
    comparison.take(said(GOOD))
    policy = Policy({"test/env": declared(profile)})
    report = with_summary(
        blank("shadow", "test/env", "1.0.0", "ab" * 32), comparison.summary(), policy
    )
    found = {each.subject: (each.count, each.before, each.after) for each in report.differences}
    assert found == {"temperature": (1, "21.5", "43.0"), "humidity": (1, None, None)}
    assert (report.messages, report.differing) == (1, 1)
