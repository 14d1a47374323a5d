"""Take a backup into a collector that has no data; everything is opened before anything is placed.

What edges sent since the backup is missing afterwards: the collector knows how far each had come,
and asks them for it as soon as they speak (`collector.refill`).
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from collector.backup import check_files
from collector.config import CollectorConfig
from collector.manifest import Manifest, Progress, unpack
from collector.profiles.desk import KEY_FILE
from collector.registry.copying import SQLITE, is_empty, put_back
from collector.sealing import Secret
from collector.snapshot import SPOOL_FILE, clear
from collector.timeseries.store import EMBEDDED_FILE
from gateway_core.errors import ConfigError, Fault, Unavailable
from gateway_core.spool.opening import locked

STAGE = "restore.work"
"""Below the data folder: what is being restored. Whatever is found there is old."""


def restore(
    config: CollectorConfig,
    source: Path,
    secret: Secret | None,
    progress: Progress,
    *,
    check: bool = False,
) -> Manifest:
    """Put a backup's data in place; return what was in it; blocks.

    Args:
        config: Of the collector, which must have no data.
        source: The backup.
        secret: What it was sealed with; None: it was not.
        progress: Is told bytes done and in all.
        check: Open and read everything, and put nothing in place.

    Raises:
        ConfigError: The collector runs or has data, or a newer program wrote the backup.
        PayloadError: ``bad_backup``: the file is not a whole backup; ``wrong_key``.
        Unavailable: A disk or a database does not allow it.
    """
    stage = config.collector.data_dir / STAGE
    places = _places(config)
    if not check:
        _refuse_to_overwrite(config, places)
    try:
        config.collector.data_dir.mkdir(parents=True, exist_ok=True)
        with locked(config.collector.data_dir / SPOOL_FILE):
            clear(stage)
            stage.mkdir(mode=0o700)
            try:
                manifest = unpack(source, secret, stage, progress)
                names = [each.name for each in manifest.files]
                check_files(stage, names)
                if not check:
                    _place(config, stage, names, places)
            finally:
                clear(stage)
    except OSError as exc:
        raise Unavailable(f"cannot restore {source}: {exc}") from exc
    return manifest


def _places(config: CollectorConfig) -> dict[str, Path]:
    """Return where each file goes; the spool last: without it a collector has no data yet."""
    data = config.collector.data_dir
    places = {KEY_FILE: data / KEY_FILE, f"{KEY_FILE}.pub": data / f"{KEY_FILE}.pub"}
    places["timeseries.duckdb"] = data / EMBEDDED_FILE
    if config.registry_url.startswith(SQLITE):
        places["registry.db"] = Path(config.registry_url.removeprefix(SQLITE))
    places["spool.db"] = data / SPOOL_FILE
    logs = {"spool.db": "-wal", "registry.db": "-wal", "timeseries.duckdb": ".wal"}
    for name, ending in logs.items():
        if name in places:
            places[name + ending] = places[name].with_name(places[name].name + ending)
    places["spool.db"] = places.pop("spool.db")
    return places


def _refuse_to_overwrite(config: CollectorConfig, places: dict[str, Path]) -> None:
    taken = next((path for path in places.values() if path.exists()), None)
    if taken is not None:
        message = "exists already; restore into a collector that has no data, or move it away"
        raise ConfigError(Fault(taken, 0, 0, "", message))
    if "registry.db" not in places and not is_empty(config.registry_url):
        message = "the database has rows already; name an empty one, or empty it"
        raise ConfigError(Fault("registry.url", 0, 0, "", message))


def _place(config: CollectorConfig, stage: Path, names: list[str], places: dict[str, Path]) -> None:
    if "registry.db" not in places:
        put_back(stage / "registry.db", config.registry_url)
    for name, place in places.items():
        if name in names or (stage / name).exists():
            _move(stage / name, place)


def _move(source: Path, place: Path) -> None:
    """Rename, or copy where the place is on another disk."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(place)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        spare = place.with_name(place.name + ".restoring")
        shutil.copy2(source, spare)
        with spare.open("rb") as file:
            os.fsync(file.fileno())
        spare.rename(place)
