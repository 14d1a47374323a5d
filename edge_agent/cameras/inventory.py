"""Which feeds exist: the feeds CSV (docs/reference/feeds-csv.md), checked cell by cell."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.cameras.address import RtspAddress, bracketed, normal_host, parse_rtsp_url
from gateway_core.csv_table import Cell, read_rows, read_text
from gateway_core.errors import ConfigError, Fault
from gateway_core.gb28181 import parse_feed_code

COLUMNS = (
    "id",
    "name",
    "host",
    "onvif_port",
    "rtsp_url",
    "username",
    "password_file",
    "area",
    "lat",
    "lon",
    "group",
    "gb_code",
)
REQUIRED = ("id", "host", "rtsp_url")
MAX_FAULTS = 50
"""How many mistakes are told at once; the rest show when these are mended."""
_ID = re.compile(r"[^\s\x00-\x20\x7f,\"]{1,128}")


@dataclass(frozen=True, slots=True)
class Credential:
    """A login; the password never shows in a repr, a log or a URL."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Feed:
    """One video feed.

    Attributes:
        id: Unique in the file.
        host: In the spelling of `address.normal_host`.
        rtsp: Its host equals ``host``.
        onvif_port: None when the device is not asked over ONVIF.
        credential: None when the feed needs no login.
        area: Code of the area tree; may be empty.
        lat: Degrees north, WGS-84.
        lon: Degrees east, WGS-84.
        group: What it shares a fate with (an NVR, a switch); may be empty.
        gb_code: Its 20-digit code of GB/T 28181; may be empty.
    """

    id: str
    host: str
    rtsp: RtspAddress
    name: str = ""
    onvif_port: int | None = None
    credential: Credential | None = None
    area: str = ""
    lat: float | None = None
    lon: float | None = None
    group: str = ""
    gb_code: str = ""

    @property
    def place(self) -> str:
        """What counts as one device: host and RTSP port. Channels of an NVR share it."""
        return f"{bracketed(self.host)}:{self.rtsp.port}"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reload did to the inventory; each feed is in one of the three."""

    added: tuple[Feed, ...]
    changed: tuple[Feed, ...]
    removed: tuple[Feed, ...]


def compare(old: Mapping[str, Feed], new: Mapping[str, Feed]) -> Changes:
    """Return what changes when ``new`` takes the place of ``old``; both are keyed by feed id."""
    return Changes(
        added=tuple(feed for key, feed in new.items() if key not in old),
        changed=tuple(feed for key, feed in new.items() if key in old and old[key] != feed),
        removed=tuple(feed for key, feed in old.items() if key not in new),
    )


def load_feeds(path: Path) -> dict[str, Feed]:
    """Read a feeds file; relative password files are looked for beside it.

    Returns:
        Feeds by id, in the order of the file.

    Raises:
        ConfigError: Every mistake found, each as ``file:line:col: column: ...`` (at most 50).
    """
    return _Reader(path).read()


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._faults: list[Fault] = []
        self._passwords: dict[Path, str] = {}
        self._lines: dict[str, int] = {}
        self._codes: dict[str, int] = {}

    def read(self) -> dict[str, Feed]:
        rows = read_rows(read_text(self._path), self._path)
        header = self._header(next(rows, None))
        feeds: dict[str, Feed] = {}
        for cells in rows:
            if len(self._faults) >= MAX_FAULTS:
                break
            feed = self._feed(header, cells)
            if feed is not None:
                feeds[feed.id] = feed
        if self._faults:
            raise ConfigError(*self._faults[:MAX_FAULTS])
        return feeds

    def _fault(self, cell: Cell, column: str, message: str) -> None:
        self._faults.append(Fault(self._path, cell.line, cell.col, column, message))

    def _header(self, cells: Sequence[Cell] | None) -> list[str]:
        if cells is None:
            message = f"is empty; the first line must name the columns: {','.join(COLUMNS)}"
            raise ConfigError(Fault(self._path, 1, 1, "", message))
        names = [cell.text.lower() for cell in cells]
        for cell, name in zip(cells, names, strict=True):
            if name not in COLUMNS:
                near = difflib.get_close_matches(name, COLUMNS, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(COLUMNS)}"
                self._fault(cell, name, f"unknown column {name!r}; {hint}")
            elif names.count(name) > 1:
                self._fault(cell, name, f"column {name!r} is there twice")
        for name in REQUIRED:
            if name not in names:
                self._fault(cells[0], name, f"column {name!r} is missing")
        if self._faults:
            raise ConfigError(*self._faults)
        return names

    def _feed(self, header: Sequence[str], cells: Sequence[Cell]) -> Feed | None:
        before = len(self._faults)
        if len(cells) > len(header):
            extra = cells[len(header)]
            self._fault(extra, "", f"{len(cells)} cells, but the header names {len(header)}")
            return None
        row = dict(zip(header, cells, strict=False))
        for name in REQUIRED:
            if name not in row or not row[name].text:
                self._fault(row.get(name, cells[0]), name, f"{name} must not be empty")
        if len(self._faults) > before:
            return None
        feed_id = self._take(row, "id", _feed_id)
        host = self._take(row, "host", normal_host)
        rtsp = self._take(row, "rtsp_url", parse_rtsp_url, secret=True)
        onvif_port = self._take(row, "onvif_port", _port)
        lat = self._take(row, "lat", _degrees(90))
        lon = self._take(row, "lon", _degrees(180))
        if self._take(row, "gb_code", parse_feed_code) is not None:
            self._once(row["gb_code"], self._codes, "gb_code")
        credential = self._credential(row)
        if rtsp is not None and host is not None and rtsp.host != host:
            self._fault(
                row["rtsp_url"],
                "rtsp_url",
                f"points to {rtsp.host!r}, but the registered host is {host!r}; credentials are"
                " only ever sent to the registered host, so make them equal",
            )
        if (lat is None) != (lon is None) and len(self._faults) == before:
            self._fault(
                row["lat" if "lat" in row else "lon"], "lat", "give lat and lon, or neither"
            )
        if feed_id is not None:
            self._once(row["id"], self._lines, "id")
        if len(self._faults) > before:
            return None
        return Feed(
            id=feed_id,
            host=host,
            rtsp=rtsp,
            name=_text(row, "name"),
            onvif_port=onvif_port,
            credential=credential,
            area=_text(row, "area"),
            lat=lat,
            lon=lon,
            group=_text(row, "group"),
            gb_code=_text(row, "gb_code"),
        )

    def _take(
        self,
        row: Mapping[str, Cell],
        column: str,
        convert: Callable[[str], Any],
        *,
        secret: bool = False,
    ) -> Any:
        cell = row.get(column)
        if cell is None or not cell.text:
            return None
        try:
            return convert(cell.text)
        except ValueError as exc:
            # A URL with a password in it must not reach a log by way of an error message.
            shown = "the value" if secret and "@" in cell.text else repr(cell.text[:80])
            self._fault(cell, column, f"{shown}: {exc}")
            return None

    def _once(self, cell: Cell, lines: dict[str, int], column: str) -> None:
        first = lines.setdefault(cell.text, cell.line)
        if first != cell.line:
            message = f"{cell.text!r} is already on line {first}; each must be unique"
            self._fault(cell, column, message)

    def _credential(self, row: Mapping[str, Cell]) -> Credential | None:
        username, file = _text(row, "username"), _text(row, "password_file")
        if not username:
            if file:
                self._fault(row["password_file"], "password_file", "there is no username for it")
            return None
        if not file:
            return Credential(username, "")
        path = self._path.parent / file
        if path not in self._passwords:
            try:
                with path.open(encoding="utf-8") as stream:
                    text = stream.read(1025)
            except (OSError, UnicodeDecodeError) as exc:
                reason = exc.strerror if isinstance(exc, OSError) else "is not UTF-8"
                self._fault(
                    row["password_file"], "password_file", f"{file!r} cannot be read: {reason}"
                )
                return None
            self._passwords[path] = text.removesuffix("\n").removesuffix("\r")
        password = self._passwords[path]
        if len(password) > 256 or any(ord(char) < 32 for char in password):
            self._fault(
                row["password_file"], "password_file", f"{file!r} must hold one line, the password"
            )
        return Credential(username, password)


def _text(row: Mapping[str, Cell], column: str) -> str:
    cell = row.get(column)
    return cell.text if cell is not None else ""


def _feed_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("expected 1 to 128 characters without spaces, commas or quotes")
    return text


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError("expected a port from 1 to 65535")
    return int(text)


def _degrees(limit: int) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not -limit <= value <= limit:
            raise ValueError(f"expected degrees from -{limit} to {limit}")
        return value

    return convert
