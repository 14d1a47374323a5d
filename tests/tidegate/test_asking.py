"""What a collector or an agent answers to a command is told in its own words, with the right exit status."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tidegate.cli import main

COLLECTOR = b'{"type":"urn:tidegate:%s","title":"%s","status":400,"detail":"do this"}'
EDGE = b'{"type":"urn:tidegate:bad_question","title":"the question cannot be read","status":400,"code":"bad_question","detail":"do this"}'


class _Peer(BaseHTTPRequestHandler):
    status = 200
    body = b""
    headers_too: tuple[tuple[str, str], ...] = ()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        for name, value in self.headers_too:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        pass


@pytest.fixture
def peer() -> Iterator[tuple[type[_Peer], str]]:
    class Peer(_Peer):
        pass

    with HTTPServer(("127.0.0.1", 0), Peer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Peer, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (COLLECTOR % (b"bad_time", b"bad_time"), 2, "tidegate: bad_time: do this\n"),
        (COLLECTOR % (b"bad_window", b"bad_window"), 2, "tidegate: bad_window: do this\n"),
        (COLLECTOR % (b"unknown_field", b"unknown_field"), 1, "tidegate: unknown_field: do this\n"),
        (EDGE, 2, "tidegate: the question cannot be read: bad_question: do this\n"),
    ],
    ids=["typed wrongly", "turned around", "not there", "an agent"],
)
@pytest.mark.parametrize("form", ["table", "csv", "parquet"])
def test_an_error_is_told_in_words_and_not_as_json(
    peer: tuple[type[_Peer], str],
    capsys: pytest.CaptureFixture[str],
    body: bytes,
    code: int,
    words: str,
    form: str,
) -> None:
    answers, url = peer
    answers.status, answers.body = 400, body

    assert command("query", "env", "--format", form, "--url", url) == code
    assert capsys.readouterr().err == words


@pytest.mark.parametrize("form", ["table", "csv"])
def test_a_url_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert command("query", "env", "--format", form, "--url", "centre:8080") == 2
    assert capsys.readouterr().err == "tidegate: --url 'centre:8080': expected http://host:port\n"


def test_a_file_that_lacks_rows_says_so(
    peer: tuple[type[_Peer], str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answers, url = peer
    answers.body, answers.headers_too = b"time\n1\n", (("X-Next-Cursor", "c"),)
    out = tmp_path / "rows.csv"

    assert (
        command("query", "env", "--format", "csv", "--limit", "1", "--out", str(out), "--url", url)
        == 0
    )
    assert out.read_bytes() == b"time\n1\n"
    assert capsys.readouterr().err == "more than 1 rows: raise --limit, or use export\n"


def test_a_file_that_cannot_be_written_is_named(
    peer: tuple[type[_Peer], str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "not there" / "rows.csv"

    assert command("query", "env", "--format", "csv", "--out", str(out), "--url", peer[1]) == 1
    assert capsys.readouterr().err == f"tidegate: {out}: No such file or directory\n"
