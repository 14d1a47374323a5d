"""The loss of a switch, a recorder or a subnet is one finding, and never its feeds' fault."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.address import RtspAddress
from edge_agent.cameras.alarms import PatrolAlarms, device_of
from edge_agent.cameras.instant import Now
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.parents import Parents
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.verdict import OUTCOME_STATES
from gateway_core.model import Alarm

DEAD = sorted(key for key, state in OUTCOME_STATES.items() if state == "offline")
ANSWERS = sorted(k for k, state in OUTCOME_STATES.items() if state not in {"offline", "unknown"})
NOT_ASKED = sorted(key for key, state in OUTCOME_STATES.items() if state == "unknown")


def feed(name: str, host: str, group: str = "", port: int = 554) -> Feed:
    return Feed(name, host, RtspAddress(f"rtsp://{host}/{name}", host, port), group=group)


def behind_one_switch(count: int, subnets: int = 250) -> list[Feed]:
    """Feeds of one group; with one or two in each subnet the group is all they share."""
    hosts = [f"10.{n // 30_000}.{n % subnets}.{n // subnets % 120}" for n in range(count)]
    return [feed(f"c{n}", host, "switch") for n, host in enumerate(hosts)]


def recorder(channels: int) -> list[Feed]:
    return [feed(f"ch{n}", "10.9.0.1") for n in range(channels)]


def parents_of(feeds: list[Feed], sweep_s: float = 60.0) -> Parents:
    parents = Parents(sweep_s)
    parents.relist(feeds)
    return parents


def labels(parents: Parents) -> list[str]:
    return [each.label for each in parents.outermost()]


def test_a_switch_whose_cameras_all_fail_is_lost() -> None:
    feeds = behind_one_switch(8)
    parents = parents_of(feeds)
    for number, each in enumerate(feeds):
        assert labels(parents) == []
        parents.note(each, "connect_timeout", float(number))

    assert labels(parents) == ["group:switch"]
    assert all(parents.suspected(each.id) for each in feeds)


def test_twenty_in_a_row_prove_the_loss_of_a_switch_of_three_thousand() -> None:
    feeds = behind_one_switch(3000)
    parents = parents_of(feeds)
    order = Random(7).sample(feeds, 3000)
    for each in order:
        parents.note(each, "ok", 0.0)
    for number, each in enumerate(order[:20]):
        assert labels(parents) == []
        parents.note(each, "timeout", 60.0 + number)

    assert labels(parents) == ["group:switch"]
    assert len(parents.all_lost()[0].feeds) == 3000


@given(st.integers(3, 40), st.randoms(use_true_random=False))
def test_one_answer_of_a_healthy_group_makes_it_each_cameras_own_fault(
    count: int, chance: Random
) -> None:
    feeds = behind_one_switch(count)
    parents = parents_of(feeds)
    sick, well = feeds[: count // 2], feeds[count // 2 :]
    for turn in range(5):
        for each in chance.sample(feeds, count):
            bad = each in sick
            parents.note(each, "refused" if bad else "ok", 60.0 * turn)
            # Between two failures of a camera everybody else had a turn, as in a sweep.
        parents.note(chance.choice(well), "ok", 60.0 * turn)

        assert labels(parents) == []
        assert not any(parents.suspected(each.id) for each in sick)


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(DEAD + ANSWERS)), max_size=60))
def test_a_group_of_two_is_never_lost(looks: list) -> None:
    feeds = behind_one_switch(2)
    parents = parents_of(feeds)
    for number, (index, outcome) in enumerate(looks):
        parents.note(feeds[index], outcome, float(number))

        assert parents.all_lost() == []
        assert not parents.suspected(feeds[index].id)


@given(st.integers(3, 30), st.lists(st.sampled_from(NOT_ASKED), min_size=30, max_size=60))
def test_what_we_could_not_ask_is_held_against_nobody(count: int, outcomes: list) -> None:
    feeds = behind_one_switch(count)
    parents = parents_of(feeds)
    for number, outcome in enumerate(outcomes):
        assert parents.note(feeds[number % count], outcome, float(number)) == []

    assert parents.all_lost() == []


@given(st.integers(3, 30), st.randoms(use_true_random=False))
def test_two_answers_find_a_lost_switch_again_and_it_can_be_lost_anew(
    count: int, chance: Random
) -> None:
    feeds = behind_one_switch(count)
    parents = parents_of(feeds)
    for turn in range(3):
        order = chance.sample(feeds, count)
        for each in order:
            parents.note(each, "timeout", 1000.0 * turn)
        assert labels(parents) == ["group:switch"]
        parents.note(order[0], "ok", 1000.0 * turn + 60)
        parents.note(order[0], "ok", 1000.0 * turn + 61)
        assert labels(parents) == ["group:switch"], "one camera may have another way"
        parents.note(order[1], "ok", 1000.0 * turn + 62)
        assert labels(parents) == []


def test_cameras_that_died_long_ago_are_no_witnesses() -> None:
    feeds = behind_one_switch(4)
    parents = parents_of(feeds)
    parents.note(feeds[0], "timeout", 0.0)
    parents.note(feeds[1], "timeout", 1.0)
    parents.note(feeds[2], "ok", 2.0)
    parents.note(feeds[3], "ok", 3.0)
    parents.note(feeds[2], "timeout", 62.0)
    parents.note(feeds[3], "timeout", 63.0)

    assert parents.all_lost() == []


def test_two_channels_in_a_row_prove_the_loss_of_a_recorder_and_one_finds_it() -> None:
    channels = recorder(8)
    parents = parents_of(channels)
    parents.note(channels[0], "refused", 0.0)
    parents.note(channels[0], "refused", 15.0)
    assert parents.all_lost() == []
    parents.note(channels[3], "refused", 16.0)
    assert labels(parents) == ["nvr:10.9.0.1:554"]
    parents.note(channels[5], "no_video", 20.0)
    assert parents.all_lost() == []


def test_a_subnet_is_lost_only_when_nothing_at_all_comes_back() -> None:
    feeds = [feed(f"c{n}", f"10.7.0.{n}") for n in range(5)]
    for outcome, found in (("refused", []), ("unreachable", ["net:10.7.0.0/24"])):
        parents = parents_of(feeds)
        for each in feeds:
            parents.note(each, outcome, 1.0)

        assert labels(parents) == found


def test_an_ipv6_subnet_is_a_64() -> None:
    feeds = [feed(f"c{n}", f"2001:db8:0:7::{n}") for n in range(5)]
    parents = parents_of(feeds)
    for each in feeds:
        parents.note(each, "connect_timeout", 1.0)

    assert labels(parents) == ["net:2001:db8:0:7::/64"]


def test_the_first_failure_asks_siblings_that_have_waited_longest() -> None:
    feeds = behind_one_switch(10)
    parents = parents_of(feeds)
    for number, each in enumerate(feeds):
        parents.note(each, "ok", float(number))

    assert parents.note(feeds[9], "timeout", 20.0) == ["c0", "c1", "c2"]
    assert parents.note(feeds[0], "timeout", 21.0) == ["c3", "c4", "c5"]


def test_of_a_lost_parent_one_feed_a_second_is_asked() -> None:
    feeds = behind_one_switch(30)
    parents = parents_of(feeds)
    assert not parents.spared("c1", 0.0)
    for each in feeds:
        parents.note(each, "timeout", 0.0)

    asked = [tenth for tenth in range(100) if not parents.spared(f"c{tenth % 30}", tenth / 10)]
    assert asked == [10, 20, 30, 40, 50, 60, 70, 80, 90]


def test_a_reload_keeps_what_is_known_and_forgets_who_left() -> None:
    feeds = behind_one_switch(12)
    parents = parents_of(feeds)
    for each in feeds:
        parents.note(each, "timeout", 0.0)
    parents.relist(feeds[:6])

    assert labels(parents) == ["group:switch"]
    assert parents.all_lost()[0].feeds == {f"c{n}" for n in range(6)}
    parents.relist(feeds[:2])
    assert parents.all_lost() == []
    assert parents.lost("c0") is None


def looked(
    alarms: PatrolAlarms, parents: Parents, at: float, *, down: bool = False, share: float = 1.0
) -> Iterator[tuple[str, str, str]]:
    now = Now(int(at * 1e9), at)
    for alarm in alarms.look(parents, network_down=down, coverage=share, now=now):
        yield alarm.device, alarm.rule, alarm.state


def all_fail(parents: Parents, feeds: list[Feed], at: float) -> None:
    for each in feeds:
        parents.note(each, "connect_timeout", at)


def test_the_loss_of_a_switch_of_three_thousand_is_one_alarm_with_the_number_of_feeds() -> None:
    feeds = behind_one_switch(3000, subnets=30)
    parents, alarms = parents_of(feeds), PatrolAlarms("e1", PatrolSettings())
    all_fail(parents, feeds, 1.0)

    assert len(parents.all_lost()) == 31, "its subnets are lost as well"
    assert list(looked(alarms, parents, 5.0)) == []
    (alarm,) = alarms.look(parents, network_down=False, coverage=1.0, now=Now(12 * 10**9, 12.0))
    assert alarm == Alarm(
        edge="e1",
        device="group:switch",
        profile="camera",
        rule="camera_parent_lost",
        severity="critical",
        state="raised",
        time=12_000_000_000,
        text={
            "en": "Group switch: none of its 3000 feeds answers",
            "zh": "分组 switch:3000 路视频均无应答",
        },
    )
    assert list(looked(alarms, parents, 20.0)) == []
    for each in feeds:
        parents.note(each, "ok", 30.0)
    assert list(looked(alarms, parents, 31.0)) == [
        ("group:switch", "camera_parent_lost", "cleared")
    ]


def test_recorders_behind_a_lost_switch_are_not_told_apart_from_it() -> None:
    feeds = [feed(f"c{n}-{ch}", f"10.1.{n}.1", "switch") for n in range(5) for ch in range(4)]
    parents, alarms = parents_of(feeds), PatrolAlarms("e1", PatrolSettings())
    all_fail(parents, feeds, 1.0)

    assert list(looked(alarms, parents, 20.0)) == [("group:switch", "camera_parent_lost", "raised")]


def test_while_nobody_is_reached_our_network_is_the_only_alarm() -> None:
    feeds = behind_one_switch(8)
    parents, alarms = parents_of(feeds), PatrolAlarms("e1", PatrolSettings())
    all_fail(parents, feeds, 1.0)

    assert list(looked(alarms, parents, 20.0, down=True)) == [
        ("camera-network", "camera_network_lost", "raised")
    ]
    assert list(looked(alarms, parents, 21.0, down=True)) == []


def test_coverage_below_one_for_two_sweeps_is_an_alarm_and_a_whole_sweep_ends_it() -> None:
    parents, alarms = parents_of([]), PatrolAlarms("e1", PatrolSettings(sweep_s=60.0))

    assert list(looked(alarms, parents, 0.0, share=0.99)) == []
    assert list(looked(alarms, parents, 100.0, share=0.99)) == []
    assert list(looked(alarms, parents, 110.0, share=1.0)) == []
    assert list(looked(alarms, parents, 111.0, share=0.99)) == []
    assert list(looked(alarms, parents, 230.0, share=0.99)) == []
    assert list(looked(alarms, parents, 231.0, share=0.99)) == [
        ("camera-patrol", "camera_coverage_low", "raised")
    ]
    assert list(looked(alarms, parents, 240.0, share=1.0)) == [
        ("camera-patrol", "camera_coverage_low", "cleared")
    ]


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), max_size=40))
def test_over_any_restarts_each_alarm_is_raised_and_cleared_in_turn(steps: list) -> None:
    feeds = behind_one_switch(6)
    state: dict[str, bytes] = {}
    told: dict[tuple[str, str], list[str]] = {}
    parents, alarms = parents_of(feeds), PatrolAlarms("e1", PatrolSettings())
    for number, (works, restart, down) in enumerate(steps):
        at = 100.0 * number
        if restart:
            parents, alarms = parents_of(feeds), PatrolAlarms("e1", PatrolSettings())
            for label in alarms.recall(state):
                parents.presume_lost(label, at)
        for each in feeds:
            parents.note(each, "ok" if works else "timeout", at)
        now = Now(int(at * 1e9), at + 50)
        for alarm in alarms.look(parents, network_down=not down, coverage=1.0, now=now):
            told.setdefault((alarm.rule, alarm.device), []).append(alarm.state)
            key, value = alarms.keep(alarm)
            state.pop(key, None)
            if value is not None:
                state[key] = value

    for states in told.values():
        assert states == (["raised", "cleared"] * len(states))[: len(states)]


def test_a_long_name_of_a_group_fits_the_centre() -> None:
    parents = parents_of([feed(f"c{n}", f"10.{n}.0.1", "东" * 500) for n in range(3)])
    all_fail(parents, [feed(f"c{n}", f"10.{n}.0.1", "东" * 500) for n in range(3)], 1.0)
    (lost,) = parents.all_lost()

    assert len(device_of(lost)) == 200
