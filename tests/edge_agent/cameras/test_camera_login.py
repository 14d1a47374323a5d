"""Logins follow RFC 7616, RFC 2069 and RFC 7617; two refusals stop them before a device locks."""

from __future__ import annotations

import pytest

from edge_agent.cameras.address import RtspAddress
from edge_agent.cameras.challenge import authorize, choose, read_challenges
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins

MUFASA = Credential("Mufasa", "Circle of Life")
RFC7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={0},'
    ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",'
    ' opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_come_out(algorithm: str, response: str) -> None:
    challenge = choose([RFC7616.format(algorithm)])
    assert challenge is not None

    header = authorize(challenge, MUFASA, "GET", "/dir/index.html", count=1, cnonce=CNONCE)

    assert f'response="{response}"' in header
    assert f"algorithm={algorithm}, " in header
    assert "qop=auth, nc=00000001" in header


def test_the_older_form_has_no_count_and_no_client_nonce() -> None:
    # The response is that of RFC 2069 section 2.4 as its errata correct it.
    challenge = choose(
        ['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"']
    )
    assert challenge is not None

    header = authorize(
        challenge,
        Credential("Mufasa", "CircleOfLife"),
        "GET",
        "/dir/index.html",
        count=1,
        cnonce="00",
    )

    assert 'response="1949323746fe6a43ef61f9606e7febea"' in header
    assert "qop" not in header
    assert "cnonce" not in header
    assert "algorithm" not in header


def test_the_session_form_mixes_the_nonces_into_the_secret() -> None:
    challenge = choose(['Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth"'])
    assert challenge is not None

    header = authorize(
        challenge, Credential("u", "p"), "DESCRIBE", "rtsp://h/", count=2, cnonce="c"
    )

    # md5(md5(md5("u:r:p") ":n:c") ":n:00000002:c:auth:" md5("DESCRIBE:rtsp://h/"))
    assert 'response="4fb502247d52c8ab953f06dd8c37607f"' in header
    assert "algorithm=MD5-sess" in header


def test_basic_is_answered_only_where_no_digest_is_offered() -> None:
    basic = 'Basic realm="cam"'

    assert choose([basic]).scheme == "basic"  # type: ignore[union-attr]
    assert choose([basic, 'Digest realm="r", nonce="n"']).scheme == "digest"  # type: ignore[union-attr]
    assert choose([f'{basic}, Digest realm="r", nonce="n", algorithm=SM3']) is None
    assert choose([basic], basic=False) is None


def test_the_strongest_digest_wins() -> None:
    challenge = choose(
        [
            'Digest realm="r", nonce="1", algorithm=MD5',
            'Digest realm="r", nonce="2", algorithm=SHA-256',
        ]
    )

    assert challenge is not None
    assert challenge.algorithm == "SHA-256"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        'Digest realm="r"',
        'Digest nonce="a\x00b"',
        "Bearer x",
        ",,,=",
        '"',
        "Digest nonce",
    ],
)
def test_a_challenge_that_makes_no_sense_is_not_answered(value: str) -> None:
    assert [each for each in read_challenges([value]) if each.scheme == "digest"] == []


def test_quotes_in_a_user_name_are_escaped() -> None:
    challenge = choose(['Digest realm="a \\"b\\" c", nonce="n"'])
    assert challenge is not None

    header = authorize(challenge, Credential('o"k', "p"), "GET", "/", count=1, cnonce="c")

    assert 'username="o\\"k"' in header
    assert 'realm="a \\"b\\" c"' in header


def feed(feed_id: str = "c1", password: str = "p") -> Feed:
    address = RtspAddress("rtsp://10.0.0.7/1", "10.0.0.7", 554)
    return Feed(feed_id, "10.0.0.7", address, credential=Credential("u", password))


def test_two_refused_logins_stop_it_for_good() -> None:
    logins = Logins()

    assert logins.permit(feed(), 0) == "free"
    assert logins.refuse(feed(), 0) is False
    assert logins.permit(feed(), 0) == "free"
    logins.refuse(feed(), 0)

    assert logins.permit(feed(), 1e12) == "stopped"


def test_a_changed_password_may_be_tried_at_once() -> None:
    logins = Logins()
    logins.refuse(feed(), 0)
    logins.refuse(feed(), 0)

    assert logins.permit(feed(password="new"), 0) == "free"


def test_channels_of_one_device_share_one_count() -> None:
    logins = Logins()
    logins.refuse(feed("c1"), 0)
    logins.refuse(feed("c2"), 0)

    assert logins.permit(feed("c3"), 0) == "stopped"


def test_a_channel_that_alone_is_refused_is_stopped_alone() -> None:
    logins = Logins()
    for _ in range(2):
        logins.refuse(feed("c1"), 0)
        logins.accept(feed("c2"))

    assert logins.permit(feed("c1"), 0) == "stopped"
    assert logins.permit(feed("c2"), 0) == "free"


def test_a_login_that_worked_is_paused_longer_each_time_and_then_stopped() -> None:
    logins, now, pauses = Logins(), 0.0, []
    logins.accept(feed())
    logins.refuse(feed(), now)
    while logins.refuse(feed(), now):
        start = now
        while logins.permit(feed(), now) == "paused":
            now += 10
        pauses.append(now - start)

    assert pauses == [300, 1200, 4800, 19200, 0]
    assert logins.permit(feed(), now) == "stopped"


def test_what_belongs_to_nobody_is_forgotten() -> None:
    logins = Logins()
    logins.refuse(feed(), 0)
    logins.refuse(feed(), 0)
    logins.forget_except([feed(password="new")])

    assert logins.permit(feed(), 0) == "free"


def test_a_refusal_at_one_device_says_nothing_of_others_whose_login_worked() -> None:
    logins, one = Logins(), feed()
    address = RtspAddress("rtsp://10.0.0.8/1", "10.0.0.8", 554)
    other = Feed("c2", "10.0.0.8", address, credential=one.credential)
    logins.accept(one)
    logins.accept(other)
    assert logins.refuse(one, 0.0)
    assert logins.refuse(one, 0.0)
    assert (logins.permit(one, 1.0), logins.permit(other, 1.0)) == ("paused", "free")
