"""A sealed password opens with the site's key for its own feed, and every trouble has its name."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.seal import SealError, SiteKey
from edge_agent.check import check

PASSWORDS = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs",)), min_size=1).filter(
    lambda text: len(text) <= 256
)
HEADER = "id,host,rtsp_url,username,password_sealed"


def new_key(folder: Path, name: str = "cameras.key") -> SiteKey:
    key = SiteKey(folder / "secrets" / name)
    key.make()
    key.keep()
    return key


def again(folder: Path, name: str = "cameras.key") -> SiteKey:
    return SiteKey(folder / "secrets" / name)


def trouble(key: SiteKey, seal: str, feed: str = "c1") -> str:
    with pytest.raises(SealError) as caught:
        key.open(feed, seal)
    return str(caught.value)


def feeds_file(folder: Path, *seals: str) -> Path:
    path = folder / "feeds.csv"
    rows = (f"c{n},10.0.0.{n},rtsp://10.0.0.{n}/s,viewer,{seal}" for n, seal in enumerate(seals, 1))
    path.write_text("\n".join((HEADER, *rows)) + "\n")
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    new_key(folder)
    return folder


@given(password=PASSWORDS)
def test_what_was_sealed_opens(site: Path, password: str) -> None:
    seal = again(site).seal("c1", password)
    assert again(site).open("c1", seal) == password
    assert password not in seal or len(password) < 4


def test_the_key_is_its_owner_s_alone_and_never_replaced(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    file = tmp_path / "secrets" / "cameras.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    with pytest.raises(SealError, match="is there already"):
        key.keep()
    assert file.read_bytes() == before


def test_a_seal_tells_neither_the_password_nor_its_length(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    seals = [key.seal("c1", word) for word in ("abc", "abc", "a" * 31)]
    assert len(set(seals)) == 3
    assert len(set(map(len, seals))) == 1


def test_every_flipped_character_is_noticed(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    seal = key.seal("c1", "s3cret")
    for place, char in enumerate(seal):
        other = seal[:place] + ("A" if char != "A" else "B") + seal[place + 1 :]
        told = trouble(again(tmp_path), other)
        assert "s3cret" not in told
        assert "give the password anew: tidegate edge camera password" in told or (
            "sealed with another key" in told
        )


def test_a_flipped_bit_that_decoding_does_not_look_at_is_noticed(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    seal = key.seal("c1", "s3cret")
    assert seal.endswith("==")
    last = seal[-3]
    assert last in "AQgw"
    other = f"{seal[:-3]}{chr(ord(last) + 1)}=="
    assert "is no whole seal" in trouble(again(tmp_path), other)


def test_each_trouble_has_its_name(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    seal = key.seal("c1", "s3cret")
    assert "or is another feed's" in trouble(again(tmp_path), seal, "c2")
    assert "is no whole seal" in trouble(again(tmp_path), "hunter2")
    assert "is no whole seal" in trouble(again(tmp_path), "s1.密码")
    assert "is no whole seal" in trouble(again(tmp_path), seal[:40])
    assert "sealed with another key" in trouble(new_key(tmp_path, "other.key"), seal)
    missing = trouble(again(tmp_path, "none.key"), seal)
    assert "none.key cannot be read (No such file or directory)" in missing
    assert "put back the key that the passwords were sealed with" in missing
    (tmp_path / "secrets" / "bad.key").write_text("not a key\n")
    assert "is no key of a site (32 bytes in base64)" in trouble(again(tmp_path, "bad.key"), seal)


def test_one_unreadable_seal_is_one_feed_s_trouble(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    path = feeds_file(tmp_path, key.seal("c1", "one"), "s1.AAAA", key.seal("c1", "one"))
    feeds = load_feeds(path, tmp_path / "secrets" / "cameras.key")
    assert feeds["c1"].credential == Credential("viewer", "one")
    assert [feeds[name].credential for name in ("c2", "c3")] == [None, None]
    assert "is no whole seal" in feeds["c2"].login_trouble
    assert "or is another feed's" in feeds["c3"].login_trouble


def test_the_check_of_a_site_names_the_feeds_whose_password_does_not_open(tmp_path: Path) -> None:
    seal = new_key(tmp_path).seal("c1", "one")
    feeds_file(tmp_path, seal, seal)
    site = tmp_path / "edge.yaml"
    site.write_text("edge: {id: e1, data_dir: var}\ncameras: {file: feeds.csv}\n")
    (fault,) = check(site).faults
    assert fault.path == "password_sealed of c2"
    (tmp_path / "secrets" / "cameras.key").rename(tmp_path / "elsewhere")
    (fault,) = check(site).faults
    assert fault.path == "password_sealed of c1, c2"
    assert "put back the key" in fault.message
    (tmp_path / "elsewhere").rename(tmp_path / "secrets" / "cameras.key")
    (tmp_path / "secrets" / "cameras.key").chmod(0o644)
    told = [each.message for each in check(site).faults]
    assert "every user of this machine may read it; chmod 600" in told


def test_a_seal_and_a_password_file_together_are_refused(tmp_path: Path) -> None:
    seal = new_key(tmp_path).seal("c1", "one")
    path = tmp_path / "feeds.csv"
    path.write_text(f"{HEADER},password_file\nc1,h,rtsp://h/s,viewer,{seal},pw\n")
    with pytest.raises(Exception, match="there is a password_file as well; remove one"):
        load_feeds(path)


def test_a_password_in_the_clear_is_refused_in_the_feeds_file(tmp_path: Path) -> None:
    path = tmp_path / "feeds.csv"
    path.write_text("id,host,rtsp_url,username,password\nc1,h,rtsp://h/s,viewer,hunter2\n")
    with pytest.raises(Exception, match="no password stands in the clear") as caught:
        load_feeds(path)
    assert "hunter2" not in str(caught.value)
