"""``tidegate collector backup`` and ``restore``: a collector's data in one sealed file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from collector.config import load_collector_config
from gateway_core.errors import ConfigError, Fault
from gateway_core.instant import to_rfc3339
from tidegate.output import console, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from collector.manifest import Manifest
    from collector.sealing import Secret

Config = Annotated[Path, Parameter(help="The centre's collector.yaml.")]
Passphrase = Annotated[Path | None, Parameter(help="Its text seals the backup; 12 or more.")]
Key = Annotated[Path | None, Parameter(help="Its 32 or more random bytes seal the backup.")]
_CONFIG = Path("collector.yaml")


def backup(
    target: Path,
    /,
    *,
    passphrase_file: Passphrase = None,
    key_file: Key = None,
    unencrypted: bool = False,
    config: Config = _CONFIG,
    json: bool = False,
) -> None:
    """Put a collector's data into one sealed file, while it runs or not. Overwrites nothing.

        tidegate collector backup /backup/centre.tgbk --key-file /etc/tidegate/secrets/backup.key

    Holds the spool with the edges' books, the registry (also where it is in PostgreSQL) with events
    and profiles, the key that it signs plans with, and the embedded time series; all of one
    instant. The file is opened and read whole before it takes its name. Not in it: what InfluxDB
    holds, the configuration, certificates and passwords.

    Args:
        target: The file to write.
        unencrypted: Seal nothing: the file must then be kept as the data itself.
        json: Print JSON.
    """
    from collector.backup import backup as make

    secret = _secret(passphrase_file, key_file)
    if secret is None and not unencrypted:
        message = "name --passphrase-file or --key-file (openssl rand -base64 32 > backup.key)"
        raise ConfigError(Fault("backup", 0, 0, "", message))
    with _stages() as stage:
        made = asyncio.run(make(load_collector_config(config), target, secret, stage))
    _show(made, json=json)
    if not json:
        print(f"{target.stat().st_size} bytes in {target}, opened and read whole")


def restore(
    source: Path,
    /,
    *,
    passphrase_file: Passphrase = None,
    key_file: Key = None,
    check: bool = False,
    config: Config = _CONFIG,
    json: bool = False,
) -> None:
    """Take a backup into a collector that has no data yet; everything is opened and read first.

        tidegate collector restore /backup/centre.tgbk --key-file backup.key --check

    What edges sent since the backup is asked of them as soon as they speak again, and comes as long
    as they still hold it: see `tidegate collector refill`.

    Args:
        source: The file that `tidegate collector backup` wrote.
        check: Only open and read it, and say what is in it; put nothing in place.
        json: Print JSON.
    """
    from collector.restore import restore as put

    found = load_collector_config(config)
    secret = _secret(passphrase_file, key_file)
    with _stages() as stage:
        held = put(found, source, secret, stage("checking"), check=check)
    _show(held, json=json)
    if not json:
        where = "whole; nothing was put in place" if check else f"in {found.collector.data_dir}"
        print(f"{', '.join(sorted(each.name for each in held.files))}: {where}")


def _secret(passphrase_file: Path | None, key_file: Path | None) -> Secret | None:
    from collector.sealing import read_key, read_passphrase

    if passphrase_file is not None and key_file is not None:
        message = "--passphrase-file or --key-file, not both"
        raise ConfigError(Fault("backup", 0, 0, "", message))
    if passphrase_file is not None:
        return read_passphrase(passphrase_file)
    return read_key(key_file) if key_file is not None else None


def _show(made: Manifest, *, json: bool) -> None:
    if json:
        print_json(made)
        return
    about = {"taken": to_rfc3339(made.created) if made.created else "", "program": made.program}
    print_pairs(about | {"time series": made.timeseries, "registry": made.registry})
    marks = ([m.edge, m.epoch, m.high_water, m.stored, to_rfc3339(m.contact)] for m in made.marks)
    print_table(("edge", "epoch", "high_water", "records", "last_contact"), marks)
    for each in made.absent:
        print(f"not in it: {each}")


@contextmanager
def _stages() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show bytes done of each stage, the rate and how long it still takes, on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    shown = Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )
    with shown as bar:

        def begin(name: str) -> Callable[[int, int], None]:
            task = bar.add_task(name, total=None)
            return lambda done, whole: bar.update(task, completed=done, total=whole)

        yield begin
