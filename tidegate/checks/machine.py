"""The machine: SQLite, disk, clock, limits, IPv6, Python."""

from __future__ import annotations

import datetime as dt
import os
import resource
import shutil
import socket
import statistics
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import apsw

from gateway_core.aside import asides
from gateway_core.clock import NS, RELEASED_NS, Clock, monotonic
from tidegate.checks.finding import Finding

_FIXED_SQLITE = (3, 51, 3)
_SLOW_FSYNC_MS = 15.0
_LOW_DISK = 2 << 30
_LOW_INODES = 10_000
_FILES = 8192


def check_python() -> Finding:
    """Which interpreter runs this; the package itself asks for 3.11 or newer."""
    return Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))


def check_sqlite() -> Finding:
    """The SQLite that holds the spool has no WAL-reset bug (fixed in 3.51.3)."""
    found = apsw.sqlite_lib_version()
    if tuple(map(int, found.split("."))) >= _FIXED_SQLITE:
        return Finding("sqlite", "ok", f"{found} (through apsw)")
    return Finding(
        "sqlite",
        "fail",
        found,
        "3.7.0 to 3.51.2 can corrupt a WAL database when two connections checkpoint",
        "pip install --upgrade apsw",
    )


def check_fsync(folder: Path) -> Finding:
    """An fsync takes little: every acknowledgement waits for one."""
    block = os.urandom(4096)
    times = []
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            for _ in range(25):
                began = monotonic()
                file.write(block)
                file.flush()
                os.fdatasync(file.fileno())
                times.append((monotonic() - began) * 1000)
    except OSError as exc:
        advice = "make the folder writable for the user that runs Tidegate"
        return Finding("fsync", "fail", f"{folder}: {exc.strerror}", "cannot write there", advice)
    median = statistics.median(times)
    found = f"{median:.2f} ms (median of 25, worst {max(times):.1f}) in {_existing(folder)}"
    if median <= _SLOW_FSYNC_MS:
        return Finding("fsync", "ok", found)
    return Finding(
        "fsync",
        "warn",
        found,
        "a commit waits for the disk, and with it every PUBACK",
        "put data_dir on an SSD, or raise spool.group_commit",
    )


def check_disk(folder: Path, budget: int) -> Finding:
    """There is room for what the configuration allows itself."""
    usage = shutil.disk_usage(_existing(folder))
    found = f"{usage.free / 2**30:.1f} GiB free of {usage.total / 2**30:.0f} in {_existing(folder)}"
    if usage.free < _LOW_DISK:
        advice = "free some space, or move data_dir"
        return Finding("disk", "fail", found, "less than 2 GiB: writes will soon fail", advice)
    if usage.free < budget:
        return Finding(
            "disk",
            "warn",
            found,
            f"the configuration allows itself {budget / 2**30:.0f} GiB",
            "lower spool.max_bytes and archive.max_bytes, or give more disk",
        )
    return Finding("disk", "ok", found)


def check_inodes(folder: Path) -> Finding:
    """The file system can still make files."""
    stat = os.statvfs(_existing(folder))
    if stat.f_files == 0:
        return Finding("inodes", "ok", "the file system makes them as needed")
    found = f"{stat.f_favail} of {stat.f_files} free"
    if stat.f_favail >= _LOW_INODES:
        return Finding("inodes", "ok", found)
    advice = "remove many small files, or make the file system anew with more inodes"
    return Finding("inodes", "fail", found, "hourly archive files need one each", advice)


def check_asides(folders: Iterable[Path]) -> Finding:
    """No damaged file waits for somebody to look at it."""
    found = asides(folders)
    if not found:
        return Finding("damaged files", "ok", "none were set aside")
    told = "; ".join(f"{each.file}: {each.why}" for each in found[:5])
    advice = "see docs/how-to/recover.md; move them away when they are looked at; check the disk"
    return Finding("damaged files", "warn", told, f"{len(found)} were set aside", advice)


def check_clock(clock: Clock, reference: tuple[str, float] | None) -> Finding:
    """The wall clock is plausible, and agrees with the reference (name, its offset in seconds)."""
    now = clock()
    found = dt.datetime.fromtimestamp(now // NS, dt.UTC).isoformat()
    if now < RELEASED_NS:
        return Finding("clock", "fail", found, "before this release", "set the clock; use NTP")
    if reference is not None:
        name, offset = reference
        found += f", {offset:+.1f} s against {name}"
        if abs(offset) > 5:
            cause = "times of records, certificates and windows would be off"
            return Finding("clock", "warn", found, cause, "run chrony or systemd-timesyncd")
    return Finding("clock", "ok", found)


def check_files() -> Finding:
    """Enough files may be open for feeds and connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= _FILES:
        return Finding("open files", "ok", f"{soft} (hard {hard})")
    advice = "LimitNOFILE=65536 in the unit, or ulimit -n 65536"
    return Finding("open files", "warn", str(soft), "each feed under check holds one", advice)


def check_ipv6() -> Finding:
    """IPv6 works on this machine at least as far as loopback."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError as exc:
        advice = "enable it (net.ipv6.conf.all.disable_ipv6=0), or listen on IPv4 addresses"
        return Finding("ipv6", "warn", str(exc), "the city moves to IPv6", advice)
    return Finding("ipv6", "ok", "::1 can be bound")


def _existing(folder: Path) -> Path:
    """Return ``folder`` or the nearest folder above it that exists."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
