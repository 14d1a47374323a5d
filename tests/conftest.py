"""What one test does to the logs is undone before the next; one that cannot be ended is named."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Generator, Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is.
settings.register_profile("tidegate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tidegate")

AT_LAST_S = 120.0
"""After its time limit a test that failed may still wait for ever, as a loop does for its threads."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End the whole run, with every stack, where the signal of a time limit does not end a test."""
    marked = item.get_closest_marker("timeout")
    limit = float(marked.args[0]) if marked else float(item.config.getini("timeout"))
    watch = threading.Timer(limit + AT_LAST_S, _end, (item,))
    watch.daemon = True
    watch.start()
    try:
        return (yield)
    finally:
        watch.cancel()


def _end(item: pytest.Item) -> None:
    capture = item.config.pluginmanager.getplugin("capturemanager")
    capture.suspend_global_capture()
    sys.stderr.write(f"\n{item.nodeid} does not end; the stacks of all its threads:\n")
    faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
    os._exit(1)


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
