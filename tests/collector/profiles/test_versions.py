"""A version is examined before it is there, never changes, and waits for a person only where one must judge; in both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.profiles.trust import NotTrusted
from collector.profiles.versions import Clash, NotFit, Submission
from device_profiles.bundle import decode_bundle, pack_text
from device_profiles.signing import make_key
from gateway_core.errors import PayloadError
from tests.fakes.desk import PLAIN, Desk, desk_at
from tests.fakes.profile_text import PROFILE


@pytest.fixture
async def here(url: str, tmp_path: Path):
    async with desk_at(url, tmp_path) as opened:
        yield opened


def _unsigned(text: str) -> Submission:
    return Submission("acme/room", pack_text(text).encode())


async def test_a_signed_plain_version_is_published_at_once_with_every_gate_on_record(
    here: Desk,
) -> None:
    row = await here.publish("1.0.0")
    kept = await here.desk.versions.one("acme/room", "1.0.0")
    assert kept is not None
    assert (row["state"], kept["state"], kept["measurement"]) == ("published", "published", "env")
    assert [(each["gate"], each["passed"]) for each in kept["results"]] == [
        ("schema_and_lint", True),
        ("vectors", True),
        ("fields", True),
        ("semver", True),
        ("egress", True),
    ]
    bundle = await here.desk.versions.bundle(kept["sha256"])
    assert bundle is not None
    assert decode_bundle(bundle).text == PLAIN


async def test_the_same_bytes_again_change_nothing_and_other_bytes_are_refused_with_advice(
    here: Desk,
) -> None:
    row = await here.publish("1.0.0")
    again, fresh = await here.desk.versions.submit(here.signed("1.0.0"))
    assert (again["sha256"], fresh) == (row["sha256"], False)
    with pytest.raises(
        Clash, match=r"acme/room 1\.0\.0 is published with other bytes .* raise the version"
    ):
        await here.publish("1.0.0", old="range: [-40, 85]", new="range: [-40, 80]")
    assert len(await here.desk.versions.of("acme/room")) == 1


async def test_an_unsigned_version_waits_until_a_person_approves_it(here: Desk) -> None:
    row, _ = await here.desk.versions.submit(_unsigned(PLAIN))
    assert (row["state"], [q for q, _ in row["questions"]]) == ("pending", ["unsigned"])
    found = await here.desk.versions.decide(
        "acme/room", "1.0.0", "approve", "operations", "read it", ""
    )
    assert found is not None
    assert (found["state"], found["decided_by"]) == ("published", "operations")
    with pytest.raises(Clash, match="is published; only pending ones can be rejected"):
        await here.desk.versions.decide("acme/room", "1.0.0", "reject", "operations", "", "")
    done = [(row["actor"], row["action"]) for row in await here.desk.history("acme/room", 10)]
    assert done == [("operations", "approve"), ("nobody", "submit")]


async def test_a_stranger_cannot_hold_a_version_that_its_vendor_signs(here: Desk) -> None:
    await here.desk.versions.submit(_unsigned(PLAIN.replace("range: [-40, 85]", "range: [-9, 40]")))
    row = await here.publish("1.0.0")
    assert (row["state"], len(await here.desk.versions.of("acme/room"))) == ("published", 1)
    with pytest.raises(Clash, match="raise the version"):
        await here.desk.versions.submit(_unsigned(PLAIN.replace("[-40, 85]", "[-9, 41]")))


async def test_the_vendor_can_vouch_for_what_came_unsigned(here: Desk) -> None:
    await here.desk.versions.submit(_unsigned(PLAIN))
    row = await here.publish("1.0.0")
    assert (row["state"], row["vendor_key"]) == ("published", here.vendor.public.id)


async def test_commands_wait_for_a_person_once(here: Desk) -> None:
    row = await here.publish("1.0.0", PROFILE)
    assert (row["state"], [q for q, _ in row["questions"]]) == ("pending", ["commands"])
    await here.desk.versions.decide("acme/room", "1.0.0", "approve", "operations", "", "")
    assert (await here.publish("1.0.1", PROFILE))["state"] == "published"


async def test_a_key_publishes_only_its_own_vendor_and_only_until_it_is_revoked(
    here: Desk, tmp_path: Path
) -> None:
    stranger = make_key(tmp_path / "stranger.key")
    with pytest.raises(NotTrusted, match="tidegate collector profiles trust acme"):
        await here.desk.versions.submit(here.signed("1.0.0", key=stranger))
    await here.desk.trust.add("other", stranger.public.pem, "op")
    with pytest.raises(NotTrusted, match="may not publish profiles of acme"):
        await here.desk.versions.submit(here.signed("1.0.0", key=stranger))
    good = here.signed("1.0.0")
    forged = Submission("acme/room", good.bundle, good.key, bytes(64))
    with pytest.raises(NotTrusted) as caught:
        await here.desk.versions.submit(forged)
    assert caught.value.code == "bad_signature"
    await here.desk.trust.revoke("acme", here.vendor.public.id, "op")
    with pytest.raises(NotTrusted, match="was revoked"):
        await here.desk.versions.submit(good)
    assert await here.desk.versions.of("acme/room") == []


async def test_what_does_not_pass_leaves_nothing_behind(here: Desk) -> None:
    with pytest.raises(NotFit) as caught:
        await here.publish("1.0.0", old="temperature: 21.5}]", new="temperature: 23.5}]")
    failed = [result for result in caught.value.examined.results if not result.passed]
    assert [(result.gate, result.mistakes[0].line) for result in failed] == [("vectors", 31)]
    with pytest.raises(NotFit, match="did not pass: schema_and_lint"):
        await here.desk.versions.submit(here.signed("1.0.0", "version: 1.0.0\n"))
    with pytest.raises(PayloadError, match="bad_version"):
        await here.desk.versions.submit(here.signed("1.0.0", "nonsense: ["))
    wrong = here.signed("1.0.0")
    with pytest.raises(PayloadError, match="calls itself acme/room"):
        await here.desk.versions.submit(
            Submission("acme/hall", wrong.bundle, wrong.key, wrong.signature)
        )
    assert await here.desk.versions.of("acme/room") == []


async def test_a_patch_that_answers_otherwise_and_a_minor_with_looser_egress_are_refused(
    here: Desk,
) -> None:
    await here.publish("1.0.0")
    with pytest.raises(NotFit, match="did not pass: semver"):
        await here.publish(
            "1.0.1",
            old="  open: {type: bool}\n",
            new="  open: {type: bool}\n  shut: {type: bool}\n",
        )
    with pytest.raises(NotFit, match="did not pass: egress"):
        await here.publish(
            "1.1.0", old="temperature: {every: 5m, fns: [mean, min, max]}", new="temperature: raw"
        )
    row = await here.publish(
        "2.0.0", old="temperature: {every: 5m, fns: [mean, min, max]}", new="temperature: raw"
    )
    assert row["state"] == "published"


async def test_a_withdrawn_version_is_no_measure_for_the_next(here: Desk) -> None:
    await here.publish("1.0.0")
    scaled = ("21.5}]", "43}]")
    wrong = (
        PLAIN.replace("unit: Cel,", "unit: Cel, scale: 2,")
        .replace(*scaled)
        .replace("range: [-40, 85]", "range: [-80, 170]")
        .replace("temperature: 100}", "temperature: 200}")
    )
    await here.publish("1.1.0", wrong)
    await here.desk.versions.decide("acme/room", "1.1.0", "withdraw", "operations", "doubled", "")
    assert (await here.publish("1.1.1"))["state"] == "published"


async def test_a_field_that_another_published_profile_stores_otherwise_is_refused(
    here: Desk,
) -> None:
    await here.publish("1.0.0", old="label: {type: string}", new="label9: {type: string}")
    other = PLAIN.replace("acme/room", "acme/hall").replace(
        "label: {type: string}", "label9: {type: int, unit: m}"
    )
    signed = here.signed("1.0.0", other)
    with pytest.raises(NotFit, match="did not pass: fields"):
        await here.desk.versions.submit(
            Submission("acme/hall", signed.bundle, signed.key, signed.signature)
        )
