"""Run a program until it comes to a named point, and end it there as a power cut does.

``python -m tests.faults.killed_at POINT (edge_agent | collector) --config FILE``
"""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
import os
import runpy
import signal
import sys
from typing import Any

from tests.faults.points import CENTRE, EDGE, Point


def arm(name: str) -> None:
    """Put a wrapper in the place of the function that a point names."""
    point = next(each for each in (*EDGE, *CENTRE) if each.name == name)
    module, _, path = point.where.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, attribute = path.split(".")
    for each in parents:
        owner = getattr(owner, each)
    setattr(owner, attribute, _wrapped(getattr(owner, attribute), point))
    if point.hurry:
        module, _, pause = point.hurry.partition(":")
        holder = importlib.import_module(module)
        getattr(holder, pause)  # a name that is gone is missed at once
        setattr(holder, pause, 1.0)


def _wrapped(function: Any, point: Point) -> Any:
    calls = itertools.count(1)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waits(*args: Any, **named: Any) -> Any:
            last = next(calls) >= point.nth
            if last and point.when == "before":
                die(point)
            result = await function(*args, **named)
            if last:
                die(point)
            return result

        return waits

    @functools.wraps(function)
    def works(*args: Any, **named: Any) -> Any:
        last = next(calls) >= point.nth
        if last and point.when == "before":
            die(point)
        result = function(*args, **named)
        if last:
            die(point)
        return result

    return works


def ended_at(point: Point) -> str:
    """Return the last words at a point."""
    return f"ended at {point.name}"


def die(point: Point) -> None:
    """Say where, and end this process; nothing of it runs any more."""
    os.write(2, f"{ended_at(point)}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _, wanted, program, *rest = sys.argv
    arm(wanted)
    sys.argv = [program, *rest]
    runpy.run_module(program, run_name="__main__", alter_sys=True)
