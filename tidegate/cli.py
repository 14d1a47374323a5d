"""The command line: groups of commands, and what an error becomes: a sentence and an exit status.

0 ok, 1 failed, 2 wrong usage or configuration (as ``file:line:col: path: message``).
"""

from __future__ import annotations

import sys
from importlib.metadata import version

from cyclopts import App, CycloptsError, Parameter

from gateway_core.errors import ConfigError, GatewayError
from gateway_core.log import setup_logging
from tidegate.usage import WrongUsage

FAILED, WRONG = 1, 2

app = App(
    name="tidegate",
    help="Edge agent and central collector for a city's sensors, cameras and systems.",
    help_format="plaintext",
    default_parameter=Parameter(negative=""),
    version=lambda: version("tidegate"),
)

_COMMANDS = {
    "demo": (
        "tidegate.demo:demo",
        (
            "Run a whole simulated city on this machine.\n\n"
            "    tidegate demo --for 30s --report report.json --no-browser"
        ),
    ),
    "doctor": (
        "tidegate.doctor:doctor",
        (
            "Check this machine and a configuration, with cause and advice.\n\n"
            "    tidegate doctor --config /etc/tidegate/edge.yaml"
        ),
    ),
    "edge": ("tidegate.edge:app", "The edge agent of one site."),
    "collector": ("tidegate.collector:app", "The central collector."),
    "profiles": ("tidegate.profiles:app", "Device profiles: what a device says, what it means."),
    "simulate": ("tidegate.simulate:app", "Simulated sensors, cameras and systems for load tests."),
    "query": (
        "tidegate.query:query",
        (
            "Print points or aggregates of one measurement.\n\n"
            "    tidegate query env --device sim-env-00001 --since 1h --every 5m --agg mean"
        ),
    ),
}
for _name, (_place, _help) in _COMMANDS.items():
    app.command(_place, name=_name, help=_help)  # imported when it is called: a start is quick


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit status."""
    setup_logging("warning")  # to standard error: standard output is for what was asked
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
    except OSError as exc:
        if exc.filename is None:
            raise
        print(f"tidegate: {exc.filename}: {exc.strerror}", file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)


if __name__ == "__main__":
    main()
