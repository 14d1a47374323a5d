"""``tidegate edge camera import|password|key``: which feeds exist, and their sealed passwords."""

from __future__ import annotations

import asyncio
import getpass
import sys
from pathlib import Path

from rich.progress import Progress

from edge_agent.cameras.feed_import import (
    FeedTable,
    LineChanges,
    compare_lines,
    read_feed_table,
    without_passwords,
)
from edge_agent.cameras.feeds_file import BEFORE, Values, alone, read_lines, write_lines
from edge_agent.cameras.seal import SiteKey, check_password
from edge_agent.config import CamerasSection, EdgeConfig, load_edge_config
from gateway_core.errors import ConfigError, Fault, GatewayError, Unavailable
from gateway_core.marked_sheet import write_marked
from tidegate.edge_history import CONFIG, Config, Url, admin_url
from tidegate.import_report import marked_copy, tell_faults, tell_some
from tidegate.output import console, print_json
from tidegate.remote import ask

_COPY = ": keep a copy of it elsewhere; without it no sealed password can be opened"


def import_feeds(
    file: Path,
    /,
    *,
    apply: bool = False,
    keep: bool = False,
    skip_bad: bool = False,
    config: Config = CONFIG,
    url: Url = None,
    json: bool = False,
) -> int:
    """Bring a table of feeds (.xlsx or CSV) into the feeds file: preview, then all in one step.

        tidegate edge camera import cameras.xlsx

        tidegate edge camera import cameras.xlsx --apply

    The table takes the place of the feeds file, and a running agent goes over to it. With a
    mistake nothing is done, and FILE.marked says in every wrong row what to mend. Passwords are
    sealed with the site's key. Rows of other edges are left aside.

    Args:
        file: Columns id, name, host, onvif_port, rtsp_url, username, password, password_file,
            area, lat, lon, group, gb_code, in Chinese or English.
        apply: Do it; left out: only show what would change.
        keep: Feeds that the table does not name stay.
        skip_bad: Leave wrong rows out instead of doing nothing; then nothing counts as gone.
        json: Print JSON.
    """
    settings, cameras = _cameras(config)
    with alone(cameras.file):
        current = read_lines(cameras.file)
        key = SiteKey(cameras.key_file)
        new_key = _ready(key, current)
        table = _read(file, settings, cameras, current, key)
        changes = compare_lines(current, table, keep=keep or bool(table.faults))
        if not json:
            _tell(file, table, changes, skip_bad=skip_bad)
        elif table.faults:
            write_marked(marked_copy(file), without_passwords(file), table.faults)
        stopped = bool(table.faults) and not skip_bad
        done = apply and not stopped
        if done:
            if new_key and table.sealed:
                key.keep()
            write_lines(cameras.file, changes.lines.values())
    told = _reload(config, url, cameras.file) if done else ""
    if json:
        print_json(_figures(file, table, changes) | {"applied": done, "agent": told or None})
    elif done:
        if new_key and table.sealed:
            print(f"wrote {cameras.key_file}{_COPY}")
        print(f"{cameras.file} has {len(changes.lines)} feeds; {told}")
    elif not stopped:
        print("nothing was changed; --apply does it")
    return 1 if stopped else 0


def password(
    feed: str,
    /,
    *,
    username: str | None = None,
    password_file: Path | None = None,
    config: Config = CONFIG,
    url: Url = None,
) -> None:
    """Give a feed another password, sealed; a running agent tries it at once.

        tidegate edge camera password cam-000007 --password-file new

    Without a file the password is asked for, or is the first line of standard input.

    Args:
        feed: The feed's id.
        username: The user's name as well; left out: as it is.
        password_file: Its first line is the password.
    """
    _, cameras = _cameras(config)
    with alone(cameras.file):
        lines = read_lines(cameras.file)
        line = lines.get(feed)
        if line is None:
            raise GatewayError(f"{feed!r} is not in {cameras.file}; nothing was changed")
        user = username if username is not None else line["username"]
        if not user:
            raise GatewayError(f"{feed!r} has no username; give --username")
        key = SiteKey(cameras.key_file)
        new_key = _ready(key, lines)
        try:
            seal = key.seal(feed, check_password(_password(password_file)))
        except ValueError as exc:
            raise GatewayError(f"the password: {exc}; nothing was changed") from exc
        if new_key:
            key.keep()
        changed = {"username": user, "password_file": "", "password_sealed": seal}
        write_lines(cameras.file, (lines | {feed: line | changed}).values())
    print(f"{feed}: sealed; {_reload(config, url, cameras.file)}")


def make_key(*, config: Config = CONFIG) -> None:
    """Make the site's key that seals passwords, if there is none; keep a copy of it elsewhere.

    tidegate edge camera key --config /etc/tidegate/edge.yaml
    """
    _, cameras = _cameras(config)
    key = SiteKey(cameras.key_file)
    key.make()
    key.keep()
    print(f"wrote {cameras.key_file}{_COPY}")


def _cameras(config: Path) -> tuple[EdgeConfig, CamerasSection]:
    settings = load_edge_config(config)
    if settings.cameras is None:
        message = "is not there; write `cameras: {file: feeds.csv}`, and restart the agent once"
        raise ConfigError(Fault(config, 0, 0, "cameras", message))
    return settings, settings.cameras


def _ready(key: SiteKey, lines: dict[str, Values]) -> bool:
    """Take a new key where there never was one; return whether it is to be kept."""
    missing = not key.exists and not any(line["password_sealed"] for line in lines.values())
    if missing:
        key.make()
    return missing


def _read(
    file: Path,
    settings: EdgeConfig,
    cameras: CamerasSection,
    current: dict[str, Values],
    key: SiteKey,
) -> FeedTable:
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("rows", total=None)
        return read_feed_table(
            file,
            current,
            edge=settings.edge.id,
            folder=cameras.file.parent,
            key=key,
            progress=lambda rows: bar.update(task, completed=rows),
        )


def _tell(file: Path, table: FeedTable, changes: LineChanges, *, skip_bad: bool) -> None:
    if table.faults:
        tell_faults(file, without_passwords(file), table.faults)
    if table.elsewhere:
        print(f"{table.elsewhere} rows are other edges'")
    counts = f"new {len(changes.new)}, changed {len(changes.changed)}, as before {changes.same}"
    print(f"{counts}, gone {len(changes.gone)}")
    tell_some("new", changes.new)
    said = (f"{feed} ({', '.join(names)})" for feed, names in changes.changed.items())
    tell_some("changed", [line.replace("password_sealed", "password") for line in said])
    tell_some("gone", changes.gone)
    if table.faults and not skip_bad:
        print("nothing was changed; mend the rows, or leave them out with --skip-bad")


def _figures(file: Path, table: FeedTable, changes: LineChanges) -> dict[str, object]:
    return {
        "rows": table.rows,
        "other_edges": table.elsewhere,
        "new": len(changes.new),
        "changed": len(changes.changed),
        "same": changes.same,
        "gone": len(changes.gone),
        "faults": list(map(str, table.faults)),
        "marked": marked_copy(file) if table.faults else None,
    }


def _password(file: Path | None) -> str:
    if file is None and sys.stdin.isatty():
        return getpass.getpass("password: ")
    try:
        if file is not None:
            with file.open(encoding="utf-8") as opened:
                return opened.readline(1024).rstrip("\r\n")
        return sys.stdin.readline(1024).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise GatewayError(f"{file or 'standard input'} cannot be read: {exc}") from exc


def _reload(config: Path, url: str | None, feeds: Path) -> str:
    """Let a running agent go over to the file, and return what became of that."""
    admin = admin_url(config, url)
    try:
        asyncio.run(ask("POST", f"{admin}/reload"))
    except Unavailable:
        return f"no agent answers at {admin}: it reads the file when it starts"
    except GatewayError as exc:
        replaced = f"{feeds} was replaced ({feeds.name}{BEFORE} is the one before)"
        raise GatewayError(f"{replaced}, and the agent goes on as it was: {exc}") from exc
    return "the running agent has gone over to it"
