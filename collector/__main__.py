"""``python -m collector --config FILE``: what systemd runs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import structlog

from collector.agent import run_collector
from collector.config import load_collector_config
from gateway_core.errors import ConfigError, GatewayError
from gateway_core.heap import few_arenas, settle_heap
from gateway_core.log import setup_logging
from gateway_core.named_files import at_its_key

log = structlog.get_logger()

_YOUNG = 200_000
"""Containers before garbage is looked for: 40,000 queued readings are two each, and none is
garbage. At 20,000 the looks took 0.3 us of a reading's 8, at 200,000 next to nothing."""


def main(arguments: list[str] | None = None) -> int:
    """Run the collector; return 0, 1 when it failed, 2 when a person must edit a file."""
    parser = argparse.ArgumentParser(
        prog="python -m collector", description="Run a Tidegate collector until it is told to stop."
    )
    parser.add_argument("--config", type=Path, required=True, help="the YAML file")
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info"
    )
    told = parser.parse_args(arguments)
    setup_logging(told.log_level)
    few_arenas()
    config = None
    try:
        config = load_collector_config(told.config)
        asyncio.run(run_collector(config, ready=lambda _collector: settle_heap(_YOUNG)))
    except ConfigError as exc:
        faults = at_its_key(config, told.config, exc.faults) if config else exc.faults
        sys.stderr.write("".join(f"{fault}\n" for fault in faults))
        return 2
    except GatewayError as exc:
        log.error("collector_failed", why=str(exc))  # noqa: TRY400  # expected, no traceback needed
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
