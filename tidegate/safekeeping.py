"""``tidegate collector backup`` and ``restore``: a stopped collector's data in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from collector.config import load_collector_config
from tidegate.output import console

Config = Annotated[Path, Parameter(help="The centre's collector.yaml.")]
_CONFIG = Path("collector.yaml")


def backup(target: Path, /, *, config: Config = _CONFIG) -> None:
    """Put the data of a stopped collector into one tar file. Overwrites nothing.

        tidegate collector backup /backup/centre.tar --config /etc/tidegate/collector.yaml

    Holds the spool, the registry where it is SQLite and the key that it signs plans with, and the
    embedded time series; each file with its SHA-256. Keep it as you keep the key. A PostgreSQL or
    an InfluxDB is backed up with its own tools.

    Args:
        target: The file to write.
    """
    from collector.admin import backup as pack

    found = load_collector_config(config)
    with _bar("packing") as progress:
        names = pack(found, target, progress)
    print(f"{', '.join(names)} in {target}")


def restore(source: Path, /, *, config: Config = _CONFIG) -> None:
    """Take a backup into a collector that has no data yet; every byte is checked first.

        tidegate collector restore /backup/centre.tar --config /etc/tidegate/collector.yaml

    What edges sent since the backup is missing afterwards: `tidegate collector edges` shows it, and
    the edges still hold it until their retention ends.

    Args:
        source: The file that `tidegate collector backup` wrote.
    """
    from collector.admin import restore as unpack

    found = load_collector_config(config)
    with _bar("checking") as progress:
        names = unpack(found, source, progress)
    print(f"{', '.join(names)} in {found.collector.data_dir}")


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show bytes done, the rate and how long it still takes, on a terminal only."""
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)
