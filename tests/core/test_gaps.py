"""Promise: a gap certificate names every stretch without readings, and claims no more than is known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway_core.gaps import Certificate, Evidence, Gap, certify, shown

BLANK = Certificate("d1", "e1", "edge", 0, 1000, 1000, 0, None, "unknown", [], [], [])


def gaps(times, found=(), declared=None, blank=BLANK) -> list[Gap]:
    return certify(blank, times, declared, list(found)).gaps


def test_a_stretch_three_times_as_long_as_usual_is_a_gap_and_unknown_is_its_reason() -> None:
    times = [*range(0, 400, 10), *range(700, 1000, 10)]
    unknown = Evidence("unknown", 390, 700, certain=False)
    assert gaps(times) == [Gap(390, 700, [unknown])]


def test_what_the_profile_declares_goes_before_what_was_observed() -> None:
    times = [*range(0, 400, 10), *range(700, 1000, 10)]
    found = certify(BLANK, times, 500, [])
    assert (found.gaps, found.basis, found.expected_s) == ([], "declared", 5e-07)


def test_certain_evidence_leaves_only_the_rest_unknown() -> None:
    silent = Evidence("never_sent", 390, 600, certain=True)
    (gap,) = gaps([*range(0, 400, 10), *range(700, 1000, 10)], [silent])
    assert gap.reasons == [silent, Evidence("unknown", 631, 700, certain=False)]


def test_a_loss_of_the_whole_site_explains_but_leaves_it_unknown_whether_it_was_this_device() -> (
    None
):
    lost = Evidence("evicted", 300, 800, certain=False, count=500)
    (gap,) = gaps([*range(0, 400, 10), *range(700, 1000, 10)], [lost])
    assert [each.reason for each in gap.reasons] == ["evicted", "unknown"]


def test_of_too_few_readings_nothing_is_said_but_that_there_are_none() -> None:
    assert gaps([500, 900]) == []
    assert gaps([]) == [Gap(0, 1000, [Evidence("unknown", 0, 1000, certain=False)])]


def test_evidence_that_no_gap_needs_is_still_told() -> None:
    refused = Evidence("refused", 205, 205, certain=True, count=1)
    found = certify(BLANK, range(0, 1000, 10), None, [refused])
    assert (found.gaps, found.elsewhere) == ([], [refused])


def test_people_get_times_as_rfc_3339() -> None:
    told = shown(certify(BLANK, [], None, []))
    assert told["since"] == "1970-01-01T00:00:00Z"
    assert told["gaps"][0]["reasons"][0]["until"] == "1970-01-01T00:00:00.000001Z"


spans = st.tuples(st.integers(0, 999), st.integers(0, 300)).map(lambda s: (s[0], s[0] + s[1]))


@given(
    st.sets(st.integers(0, 999)),
    st.lists(st.builds(lambda s, c: Evidence("refused", *s, certain=c), spans, st.booleans())),
    st.integers(1, 400),
)
def test_every_instant_lies_near_a_reading_or_in_a_gap(times, found, declared) -> None:
    known = sorted(times)
    certified = certify(BLANK, times, declared, found)
    edges = [0, *known, 1000]
    for at in range(0, 1000, 7):
        before = max(each for each in edges if each <= at)
        after = min(each for each in edges if each >= at)
        inside = any(gap.since <= at <= gap.until for gap in certified.gaps)
        assert inside or after - before <= declared
    assert all(gap.reasons for gap in certified.gaps)
