"""Open one file again and again, killed (-9) before the first statement that writes, the second …

    python -m tests.upgrade.cut_short spool|register|commands|centre FILE

Each time begins from the same file (which need not exist). After each kill the file is opened as it
was left. Prints how many places there were; fails where one of them left a file that does not open.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw


def spool(path: Path) -> None:
    from gateway_core.spool.opening import connect
    from gateway_core.spool.shapes import SpoolOptions

    db, wreck = connect(path, SpoolOptions())
    assert wreck is None, wreck
    db.close()


def register(path: Path) -> None:
    from edge_agent.register import Register

    Register(path).close()


def commands(path: Path) -> None:
    from edge_agent.commands.book import CommandBook

    CommandBook(path).close()


def centre(path: Path) -> None:
    import collector.agent  # noqa: F401 - so that every table is known
    from collector.registry.database import create

    create(f"sqlite:///{path}").dispose()


OPEN: dict[str, Callable[[Path], None]] = {
    "spool": spool,
    "register": register,
    "commands": commands,
    "centre": centre,
}


def _writes(statement: str) -> bool:
    """Return whether the file may be another one after it; what only reads is no place of its own."""
    word = statement.lstrip().partition(" ")[0].upper()
    return word not in {"SELECT", "PRAGMA"} or "=" in statement.partition("(")[0]


def killed_at(number: int, what: Callable[[Path], None], path: Path) -> bool:
    """Open in a child that is killed before its writing statement of this number; False: it had fewer."""
    child = os.fork()
    if child == 0:
        count = 0

        def step(*said: Any) -> bool:
            nonlocal count
            count += _writes(next(part for part in said if isinstance(part, str)))
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return True

        plain = sqlite3.connect

        def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            made = plain(*args, **kwargs)
            made.set_trace_callback(step)
            return made

        sqlite3.connect = sqlite3.dbapi2.connect = traced  # type: ignore[attr-defined]
        apsw.connection_hooks.append(lambda db: db.set_exec_trace(step))
        try:
            what(path)
        except BaseException as exc:  # noqa: BLE001 - the parent looks at the status
            sys.stderr.write(f"statement {number}: {exc!r}\n")
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, f"it does not open at all, statement {number}"
    return False


def main(name: str, start: Path) -> int:
    what = OPEN[name]
    what(Path(tempfile.mkdtemp()) / "warm")  # imports once, not in every child
    places = 0
    while True:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / start.name
            for part in start.parent.glob(f"{start.name}*"):
                shutil.copy(part, folder)
            if not killed_at(places + 1, what, path):
                break
            places += 1
            what(path)
            with sqlite3.connect(path) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            db.close()
    sys.stdout.write(f"{places}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
