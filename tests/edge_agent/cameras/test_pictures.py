"""A bad picture takes nothing but its worker along, and what no camera can send is never decoded."""

from __future__ import annotations

import sys

import pytest

from edge_agent.cameras.grader import Grader
from edge_agent.cameras.grading import Before, PictureLimits, faults_of, grade
from edge_agent.cameras.picture import MAX_SIDE, Measures, jpeg_size
from gateway_core.errors import PayloadError
from simulators.cameras.jpeg import picture


def faults(measures: Measures, before: Before) -> tuple[str, ...]:
    return faults_of(grade(measures, before, None, PictureLimits()))


def test_a_jpegs_size_is_read_without_decoding() -> None:
    assert jpeg_size(picture("good", 0)) == (640, 360)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "picture_unreadable"),
        (b"GIF89a", "picture_unreadable"),
        (b"\xff\xd8\xff\xe0\x00\x00" * 3, "picture_unreadable"),
        (picture("good", 0)[:60], "picture_unreadable"),
        (
            b"\xff\xd8\xff\xc0\x00\x0b\x08" + (MAX_SIDE + 1).to_bytes(2, "big") * 2 + b"\x01\x01",
            "picture_too_large",
        ),
        (b"\xff\xd8\xff\xc0\x00\x0b\x08" + b"\x23\x28\x23\x28" + b"\x01\x01", "picture_too_large"),
    ],
)
def test_what_is_no_picture_never_reaches_the_decoder(data: bytes, code: str) -> None:
    with pytest.raises(PayloadError) as caught:
        jpeg_size(data)

    assert caught.value.code == code


async def test_the_worker_tells_good_from_bad() -> None:
    async with Grader() as grader:
        good = await grader.measure(picture("good", 0))
        first = Before().after(good)
        other = await grader.measure(picture("good", 1), first.profile)
        black = await grader.measure(picture("black", 0))
        blurred = await grader.measure(picture("blurred", 0))

        assert faults(good, Before()) == ()
        assert faults(other, first) == ()
        assert faults(good, first) == ("picture_frozen",)
        assert faults(black, Before()) == ("picture_black",)
        assert faults(blurred, Before()) == ("picture_blurred",)
        assert faults(blurred, Before().after(blurred)) == ("picture_frozen", "picture_blurred")


async def test_a_broken_picture_is_unreadable_and_the_worker_lives_on() -> None:
    data = picture("good", 0)
    async with Grader() as grader:
        with pytest.raises(PayloadError, match="picture_unreadable"):
            await grader.measure(data[:400])

        assert (await grader.measure(data)).width == 640


async def test_a_hung_worker_is_killed_and_replaced() -> None:
    hangs = (sys.executable, "-c", "import time; time.sleep(3600)")
    async with Grader(deadline_s=0.2, command=hangs) as grader:
        for _ in range(2):
            with pytest.raises(PayloadError, match="picture_timeout"):
                await grader.measure(picture("good", 0))


async def test_a_crashing_worker_is_a_finding_not_a_failure() -> None:
    crashes = (sys.executable, "-c", "import os; os.abort()")
    async with Grader(command=crashes) as grader:
        with pytest.raises(PayloadError, match="picture_crashed"):
            await grader.measure(picture("good", 0))
