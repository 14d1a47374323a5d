"""The command line: groups of commands, and what an error becomes: a sentence and an exit status.

0 ok, 1 failed, 2 wrong usage or configuration (as ``file:line:col: path: message``).
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version

from cyclopts import App, CycloptsError, Parameter

from gateway_core.errors import ConfigError, GatewayError
from tidegate.usage import WrongUsage

FAILED, WRONG = 1, 2

app = App(
    name="tidegate",
    help="Edge agent and central collector for a city's sensors, cameras and systems.",
    help_format="plaintext",
    default_parameter=Parameter(negative=""),
    version=lambda: version("tidegate"),
)

_GROUPS = ("edge", "collector", "profiles", "simulate")
_COMMANDS = ("demo", "doctor", "query")


def _load() -> None:
    """Add every command; each module imports what is heavy only when it runs."""
    for name in _GROUPS:
        app.command(import_module(f"tidegate.{name}").app)
    for name in _COMMANDS:
        app.command(getattr(import_module(f"tidegate.{name}"), name))


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit status."""
    _load()
    try:
        result = app(arguments, exit_on_error=False, result_action="return_value")
    except ConfigError as exc:
        print(exc, file=sys.stderr)
        sys.exit(WRONG)
    except WrongUsage as exc:
        print(f"tidegate: {exc}", file=sys.stderr)
        sys.exit(WRONG)
    except CycloptsError:
        sys.exit(WRONG)  # cyclopts has said why
    except GatewayError as exc:
        print(f"tidegate: {exc}", file=sys.stderr)
        sys.exit(FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)


if __name__ == "__main__":
    main()
