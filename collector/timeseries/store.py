"""Open the time-series store that the configuration names. Each product is imported when used."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from collector.config import CollectorConfig
from collector.query import TimeSeries
from gateway_core.errors import ConfigError, Fault

EMBEDDED_FILE = "timeseries.duckdb"


@contextlib.asynccontextmanager
async def open_timeseries(config: CollectorConfig) -> AsyncIterator[TimeSeries]:
    """Open the store.

    Raises:
        ConfigError: A secret's file cannot be read.
        Unavailable: The embedded store's file cannot be opened.
    """
    async with contextlib.AsyncExitStack() as stack:
        yield await stack.enter_async_context(_open(config))


def _open(config: CollectorConfig) -> contextlib.AbstractAsyncContextManager[TimeSeries]:
    told = config.timeseries
    match told.kind:
        case "embedded":
            from collector.timeseries.embedded import open_embedded

            return open_embedded(config.collector.data_dir / EMBEDDED_FILE, told.memory)
        case "influxdb1":
            from collector.timeseries.influx1 import open_influx1

            password = _secret(told.password_file)
            return open_influx1(told.url, told.database, told.username, password)
        case "influxdb2":
            from collector.timeseries.influx2 import open_influx2

            return open_influx2(told.url, told.org, told.bucket, _secret(told.token_file))
        case "influxdb3":
            from collector.timeseries.influx3 import open_influx3

            return open_influx3(told.url, told.database, _secret(told.token_file))


def _secret(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            Fault(path, 0, 0, "timeseries", f"cannot read the secret: {exc}")
        ) from exc
