"""Promise: an edge uses what the plan says, vouched for and whole, or goes on as before."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_profiles.plan import Entry, Withdrawn
from device_profiles.signing import make_key
from edge_agent.audit import entries, verify
from edge_agent.config import EdgeConfig, load_edge_config
from edge_agent.holdings.lock import read_lock
from edge_agent.holdings.versions import Versions
from edge_agent.knowledge import Knowledge, read_knowledge
from edge_agent.ledger import Ledger
from edge_agent.tally import Tally
from edge_agent.versions.exchange import Exchange
from edge_agent.versions.life import Life
from gateway_core.errors import PayloadError, Unavailable
from gateway_core.link import Link, LinkOptions
from tests.fakes.edge import ENV, Hands, write_profile
from tests.fakes.registry import FakeRegistry, open_registry


@dataclass
class Site:
    """An edge without a road."""

    config: EdgeConfig
    life: Life
    hands: Hands
    tally: Tally
    knowledge: Knowledge
    registry: FakeRegistry

    @property
    def version(self) -> str:
        return self.knowledge.catalogue.profiles["test/env"].version

    async def poll(self) -> None:
        assert self.life.fetcher is not None
        await self.life.fetcher.poll()


@contextlib.asynccontextmanager
async def open_site(folder: Path, registry: FakeRegistry, own: str = "") -> AsyncIterator[Site]:
    if own:
        write_profile(folder / "own", own)
    (folder / "edge.yaml").write_text(
        f"edge: {{id: e1, data_dir: ./var}}\nprofiles: [{'./own' if own else ''}]\n"
        f"uplink: {{url: '{registry.url}'}}\ncatalogue: {{key_file: {registry.key_file}}}\n"
    )
    config = load_edge_config(folder / "edge.yaml")
    config.edge.data_dir.mkdir(exist_ok=True)
    versions = Versions(config.edge.data_dir, Hands())
    ledger = Ledger(folder / "ledger")
    async with Link(LinkOptions(registry.url)) as link:
        site: Site

        async def adopt(knowledge: Knowledge) -> None:
            site.knowledge = knowledge

        hands, tally = Hands(), Tally()
        life = Life(config, versions, Exchange("e1", link, ledger), adopt, hands, tally)
        site = Site(
            config,
            life,
            hands,
            tally,
            read_knowledge(config, strict=False, versions=versions),
            registry,
        )
        await life.switch.note(site.knowledge)
        try:
            yield site
        finally:
            ledger.close()


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[FakeRegistry]:
    async with open_registry(tmp_path) as made:
        yield made


async def test_what_the_plan_names_is_used_and_said_so(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        entry = registry.add(ENV, "1.1.0")
        registry.offer(entry)
        await site.poll()
        assert site.version == "1.1.0"
        assert registry.said("applied") == [("1.1.0", "")]
        used = read_lock(tmp_path / "var" / "profiles.lock").used["test/env"]
        assert (used.version, used.sha256, used.origin) == ("1.1.0", entry.sha256, "centre")
        assert used.since == "2026-11-18T11:06:40Z"


async def test_a_plan_that_did_not_change_is_not_followed_again(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        registry.offer(registry.add(ENV, "1.1.0"))
        await site.poll()
        await site.poll()
        assert len(registry.reports) == 1
        assert len(registry.asked) == 1


async def test_an_edge_starts_again_without_the_centre(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        registry.offer(registry.add(ENV, "1.1.0"))
        await site.poll()
    registry.plan = None
    async with open_site(tmp_path, registry) as site:
        assert site.version == "1.1.0"
        with pytest.raises(Unavailable, match="404"):
            await site.poll()
        assert site.version == "1.1.0"


async def test_going_back_is_another_plan(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        first, second = registry.add(ENV, "1.0.0"), registry.add(ENV, "1.1.0")
        for entry in (first, second, first):
            registry.offer(entry)
            await site.poll()
        assert site.version == "1.0.0"
        assert registry.asked == [first.sha256, second.sha256]


async def test_an_older_plan_is_refused_after_a_restart_too(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        registry.offer(registry.add(ENV, "1.0.0"))
        old = registry.plan
        registry.offer(registry.add(ENV, "1.1.0"))
        await site.poll()
    async with open_site(tmp_path, registry) as site:
        registry.plan = old
        await site.poll()
        assert site.version == "1.1.0"


async def test_a_plan_that_another_key_signed_is_refused(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry, own=ENV) as site:
        registry.offer(registry.add(ENV, "1.1.0"), signer=make_key(tmp_path / "thief"))
        await site.poll()
        assert site.version == "1.0.0"
        assert registry.asked == []


async def test_a_plan_for_another_edge_is_refused(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry, own=ENV) as site:
        registry.offer(registry.add(ENV, "1.1.0"), edge="e2")
        await site.poll()
        assert registry.asked == []


async def test_a_bundle_with_other_bytes_leaves_the_version_before(
    tmp_path: Path, registry
) -> None:
    async with open_site(tmp_path, registry) as site:
        registry.offer(registry.add(ENV, "1.0.0"))
        await site.poll()
        entry = registry.add(ENV, "1.1.0")
        registry.bundles[entry.sha256] = registry.bundles[entry.sha256].replace(b"Hot", b"Hut")
        registry.offer(entry)
        await site.poll()
        assert site.version == "1.0.0"
        assert registry.said("failed") == [
            ("1.1.0", f"the bytes are not those of {entry.sha256[:16]}")
        ]


async def test_a_profile_that_does_not_load_leaves_the_version_before(
    tmp_path: Path, registry
) -> None:
    async with open_site(tmp_path, registry) as site:
        registry.offer(registry.add(ENV, "1.0.0"))
        await site.poll()
        registry.offer(registry.add(ENV.replace("type: float", "type: flaot"), "1.1.0"))
        await site.poll()
        assert site.version == "1.0.0"
        ((version, detail),) = registry.said("failed")
        assert version == "1.1.0"
        assert detail.startswith("profile.yaml:")
        assert "flaot" in detail


async def test_a_bundle_that_holds_another_profile_than_the_plan_says_is_not_used(
    tmp_path: Path, registry
) -> None:
    async with open_site(tmp_path, registry) as site:
        registry.offer(registry.add(ENV.replace("test/env", "test/other"), "1.1.0"))
        await site.poll()
        assert registry.said("failed") == [("1.1.0", "the bundle holds test/other 1.1.0")]
        assert "test/other" not in site.knowledge.catalogue.profiles


async def test_a_vendor_s_signature_must_be_right(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        vendor, thief = make_key(tmp_path / "vendor"), make_key(tmp_path / "thief")
        entry = registry.add(ENV, "1.1.0")
        digest = entry.sha256.encode()
        for signer in (thief, vendor):
            registry.offer(
                Entry(
                    entry.id, entry.version, entry.sha256, entry.size,
                    key=vendor.public.raw, signature=signer.sign("bundle", digest),
                )
            )  # fmt: skip
            await site.poll()
        assert site.version == "1.1.0"
        assert [version for version, _ in registry.said("failed")] == ["1.1.0"]
        assert "did not sign this bundle" in registry.said("failed")[0][1]


async def test_the_site_s_own_folder_goes_before_the_plan(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry, own=ENV) as site:
        registry.offer(registry.add(ENV, "1.1.0"))
        await site.poll()
        assert site.version == "1.0.0"
        assert registry.said("failed") == [("1.1.0", "the site's own folder has 1.0.0")]


async def test_a_pin_goes_before_the_plan_until_it_is_taken_away(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        for version in ("1.0.0", "1.1.0"):
            registry.offer(registry.add(ENV, version))
            await site.poll()
        await site.life.switch.pin("test/env", "1.0.0")
        assert site.version == "1.0.0"
        registry.offer(registry.add(ENV, "1.2.0"))
        await site.poll()
        assert site.version == "1.0.0"
        assert registry.said("failed") == [("1.2.0", "held at 1.0.0 on site")]
        await site.life.switch.pin("test/env", None)
        assert site.version == "1.2.0"


async def test_a_pin_to_a_version_that_is_not_here_says_which_are(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        registry.offer(registry.add(ENV, "1.0.0"))
        await site.poll()
        with pytest.raises(PayloadError, match=r"not on this edge; here: 1\.0\.0"):
            await site.life.switch.pin("test/env", "9.0.0")


async def test_a_withdrawn_version_is_not_used(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        first, second = registry.add(ENV, "1.0.0"), registry.add(ENV, "1.1.0")
        registry.offer(first)
        await site.poll()
        gone = Withdrawn("test/env", "1.1.0", second.sha256, "it reads nonsense")
        registry.offer(second, withdrawn=(gone,))
        await site.poll()
        assert site.version == "1.0.0"
        assert registry.said("failed") == [("1.1.0", "withdrawn: it reads nonsense")]


async def test_what_the_plan_no_longer_names_is_not_used(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        registry.offer(registry.add(ENV, "1.0.0"))
        await site.poll()
        registry.offer()
        await site.poll()
        assert "test/env" not in site.knowledge.catalogue.profiles


async def test_a_mistake_in_the_site_s_own_files_changes_nothing(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry, own=ENV.replace("test/env", "test/other")) as site:
        registry.offer(registry.add(ENV.replace("tg/", "th/"), "1.0.0"))
        await site.poll()
        (tmp_path / "own" / "env.yaml").write_text("format: 1\n")
        registry.offer(registry.add(ENV.replace("tg/", "th/"), "1.1.0"))
        await site.poll()
        assert site.version == "1.0.0"
        assert "test/other" in site.knowledge.catalogue.profiles
        assert registry.said("failed")[0][1].startswith("the site's own files have a mistake:")


async def test_a_bundle_that_was_damaged_on_disk_is_fetched_again(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        entry = registry.add(ENV, "1.0.0")
        registry.offer(entry)
        await site.poll()
    file = tmp_path / "var" / "profiles" / entry.sha256 / "profile.yaml"
    file.write_text(file.read_text().replace("Hot", "Hut"))
    async with open_site(tmp_path, registry) as site:
        assert "test/env" not in site.knowledge.catalogue.profiles
        await site.poll()
        assert site.version == "1.0.0"
        assert "Hut" not in file.read_text()


async def test_each_report_stands_in_the_ledger_before_it_leaves(tmp_path: Path, registry) -> None:
    async with open_site(tmp_path, registry) as site:
        registry.refuse = 503
        registry.offer(registry.add(ENV, "1.1.0"))
        with pytest.raises(Unavailable):
            await site.poll()
        registry.refuse = 204
        await site.poll()
        found = list(entries(tmp_path / "ledger"))
        assert [(each.kind, each.outcome, dict(each.records)) for each in found] == [
            ("batch", "", {"ProfileReport": 1}),
            ("outcome", "refused", {}),
            ("batch", "", {"ProfileReport": 1}),
            ("outcome", "accepted", {}),
        ]
        assert verify(tmp_path / "ledger").faults == []


async def test_how_a_version_does_is_told_beside_as_long_a_time_before(
    tmp_path: Path, registry
) -> None:
    async with open_site(tmp_path, registry) as site:
        registry.offer(registry.add(ENV, "1.1.0"))
        began = site.hands.now
        site.tally.add(["test/env"] * 40, ["test/env"], began - 30 * 10**9)
        await site.poll()
        site.tally.add(["test/env"] * 30, ["test/env"] * 10, began + 20 * 10**9)
        site.tally.add(["other/one"] * 5, [""], began + 20 * 10**9)
        site.hands.pass_s(60)
        await site.poll()
        await site.poll()  # nothing new: not told again
        (report,) = [each for each in registry.reports if each.kind == "running"]
        assert (report.version, report.messages, report.refused) == ("1.1.0", 40, 10)
        assert (report.messages_before, report.refused_before) == (41, 1)
        site.hands.pass_s(3600)
        site.tally.add([], ["test/env"] * 50, site.hands.now)
        await site.poll()
        assert sum(each.kind == "running" for each in registry.reports) == 1


async def test_a_tally_forgets_what_is_older_than_two_hours() -> None:
    tally = Tally()
    for slot in range(800):
        tally.add(["p"], [], slot * 10 * 10**9)
    assert tally.between("p", 0, 10**14) == (720, 0)
    assert tally.between("p", 7_000 * 10**9, 7_020 * 10**9) == (2, 0)
