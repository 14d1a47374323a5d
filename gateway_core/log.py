"""How both programs write their logs: JSON lines for machines, colours on a terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Literal, TextIO, cast

import structlog

Level = Literal["debug", "info", "warning", "error"]


class _Stderr:
    """Standard error as it is now; that it is closed or full is no reason to end a program."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def setup_logging(level: Level = "info", *, json: bool | None = None) -> None:
    """Send structlog's and the standard library's events to stderr.

    Args:
        level: Lowest level that is written.
        json: One JSON object a line; None: only when stderr is not a terminal.
    """
    floor = logging.getLevelNamesMapping()[level.upper()]
    stderr = _Stderr()
    lines = json if json is not None else not sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if lines
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(floor),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", stderr)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(floor, logging.WARNING))  # libraries speak at info about every connection
