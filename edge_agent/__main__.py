"""``python -m edge_agent --config FILE``: what systemd runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from edge_agent.config import load_edge_config
from edge_agent.run import run_agent
from gateway_core.errors import ConfigError, GatewayError
from gateway_core.exhaustion import end_within
from gateway_core.heap import few_arenas, give_back, settle_heap
from gateway_core.log import setup_logging
from gateway_core.named_files import at_its_key

log = structlog.get_logger()


def main(arguments: list[str] | None = None) -> int:
    """Run the edge agent; return 0 after an orderly stop, 1 after a failure, 2 for a mistake.

    Args:
        arguments: Of the command line; None: those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m edge_agent",
        description="Run one edge agent.",
        epilog="example: python -m edge_agent --config /etc/tidegate/edge.yaml",
    )
    parser.add_argument("--config", type=Path, required=True, help="edge.yaml")
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info"
    )
    asked = parser.parse_args(arguments)
    setup_logging(asked.log_level)
    few_arenas()
    give_back()
    config = None
    try:
        config = load_edge_config(asked.config)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run_agent(config, ready=lambda _agent: settle_heap(), leaving=end_within))
    except ConfigError as exc:
        faults = at_its_key(config, asked.config, exc.faults) if config else exc.faults
        sys.stderr.write("".join(f"{fault}\n" for fault in faults))
        return 2
    except GatewayError as exc:
        log.error("agent_failed", why=str(exc))  # noqa: TRY400 - why is the whole story
        return 1
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop where it is installed, else None: the standard library's loop."""
    with contextlib.suppress(ImportError):
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    return None


if __name__ == "__main__":
    sys.exit(main())
