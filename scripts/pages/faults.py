"""docs/reference/faults.md: every fault, what is promised then, and the tests that show it."""

# ruff: noqa: E501  # prose of a Markdown page

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from pages.table import table

ROOT = Path(__file__).parents[2]

FAULTS: Mapping[str, tuple[str, str]] = {
    "F1": ("power cut, kill -9", "nothing acknowledged is lost"),
    "F2": ("disk full, or failing with EIO", "it keeps running, takes nothing in that it cannot keep, and goes on when there is room"),
    "F3": ("no inodes left", "likewise"),
    "F4": ("clock jumps; boot in 1970", "order is by number; times not to be trusted are marked, and put right while they are on site"),
    "F5": ("broker restarted or killed", "the session goes on or is made anew; nothing is lost or doubled"),
    "F6": ("the WAN flaps", "waits with jitter, no storm, nothing lost"),
    "F7": ("half-open connection", "noticed within 10 s"),
    "F8": ("duplicates and repeats", "exactly once in effect"),
    "F9": ("collector dies between commit and receipt", "the upload that comes again changes nothing"),
    "F10": ("one bad point in a batch", "found by halving; the rest is delivered"),
    "F11": ("poison", "never blocks the head; kept with its reason, and can be replayed"),
    "F12": ("slow consumer", "back-pressure; memory stays flat"),
    "F13": ("certificates end", "told before; read anew while running"),
    "F14": ("files altered or cut", "noticed; only what is damaged is lost, and named exactly"),
    "F15": ("memory runs out", "everything that grows has a limit"),
    "F16": ("flash memory wears", "at most 3 bytes written for each byte of payload"),
    "F17": ("DNS dead; IPv6 only", "the last good address is used; works on IPv6 alone"),
    "F18": ("10,000 devices reconnect at once", "let in at a bounded rate, each once"),
    "F19": ("a camera hangs in the middle", "a deadline in another process; the others are not held up"),
    "F20": ("upgrade, downgrade", "files of the previous release open; a killed migration goes on"),
    "F21": ("the centre is lost", "restored from a backup, the edges fill the gap"),
    "F22": ("two agents with one identity", "the second is refused, an alarm says so, the first loses nothing"),
}  # fmt: skip

RIVALS: Mapping[str, tuple[str, str]] = {
    "R1": ("Telegraf 1.35+: a batch taken in part (1st and 3rd of 3) shifts the disk buffer's mask", "one sent twice, one never"),
    "R2": ("Telegraf: mqtt_consumer with the disk buffer drops tracked metrics when it opens again", "all that was buffered"),
    "R3": ("ThingsBoard gateway: put() says True for what is in a queue in memory", "20,000 of 20,000 at an orderly stop"),
    "R4": ("ThingsBoard gateway: a blocked writer drops the batch that it took", "500 of 1,000"),
    "R5": ("ThingsBoard gateway #2157: a publish counts as done before its PUBACK", "the first 10 to 20 s of an outage"),
    "R6": ("thingsboard #4447: after an outage only the newest file is sent", "hours"),
    "R7": ("Fledge: a partial send moves the cursor past the rest", "the rest of the block"),
    "R8": ("Fledge: purges unsent readings after 72 h by default", "what was not sent"),
    "R9": ("EdgeX #5185: 200 events a second for ten minutes", "42 %"),
    "R10": ("Telegraf #11005: one bad point stops all writing", "everything behind it"),
    "R11": ("Vector #22946: a single event waits for the next one", "the last word before a silence"),
    "R12": ("Kura, vmagent, Telegraf, NATS: a damaged buffer is deleted, refused or cut short", "up to all of it (NATS: 49.7 % from one bit)"),
    "R13": ("Vector, vmagent: end when the disk is full, and stay ended", "what comes meanwhile"),
    "R14": ("ThingsBoard gateway #2098: a race of the reader sends each reading twice", "doubled"),
    "R15": ("ThingsBoard gateway #1579: of several samples in one pack only the last is sent", "all but one"),
    "R16": ("NATS JetStream: acknowledges before fsync", "14.1 % of what was acknowledged at a power cut"),
    "R17": ("EdgeX: gives up after ten tries, and when its pipeline changes", "what was stored for later"),
    "R18": ("Telegraf #17240, #17247: first lost after each drain, last sent again after each restart", "one each time"),
    "R19": ("Telegraf #16293: connected to the broker and deaf after a blip", "everything until somebody restarts it"),
    "R20": ("VictoriaMetrics: acknowledges points that are not on disk yet", "the last seconds at kill -9 of the store"),
}  # fmt: skip

HEAD = """# Faults

What goes wrong, what is promised then, and which test shows it. All of them run with the ordinary tests; these alone:

```sh
scripts/test -m fault
scripts/test --faults --cycles 1000 --seed 7   # kill -9 over edge, collector and broker, for as long as it takes
scripts/test --simulation --seeds 1000         # whole cities in one process, each made of one seed (simulation.md)
```

A fault without a test says *not yet*.

`python -m tests.faults --cycles 1000 --seed 20261130`, 1,000 messages a second, 770 s on a 2-core machine: edge ended 463 times (91 of them while starting),
collector 234 (18), broker 201, edge and collector together 102 (27). 661,033 messages were acknowledged; lost 0, doubled 0, out of order 0, residual 0.

"""

POINTS = """
## Ended in the middle

Edge and collector are ended (SIGKILL, by themselves) at each of these points while a fleet speaks, and start again; then everything that was acknowledged is at the centre
once and in order (`tests/faults/test_points.py`). The programs know nothing of it: the test's own entry point (`tests/faults/killed_at.py`) wraps the functions that the points name.

"""

OTHERS = """
## How others lost data

Each case is a public report or was measured on the named release; the test shows that it does not happen here.

"""


def page() -> str:
    """Return the page."""
    found = _marked()
    columns = ("", "fault", "promise", "tests")
    others = ("", "what happened", "what was lost", "tests")
    points = ("point", "what has been done by then", "where")
    return (
        HEAD
        + table(columns, _rows(FAULTS, found))
        + POINTS
        + table(points, _points())
        + OTHERS
        + table(others, _rows(RIVALS, found))
    )


def _points() -> Iterator[tuple[str, str, str]]:
    """Yield the named points, as tests/faults/points.py lists them."""
    tree = ast.parse((ROOT / "tests" / "faults" / "points.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Point":
            name, where, when, _, then, *_ = (ast.literal_eval(each) for each in node.args)
            yield f"`{name}`", then, f"{when} `{where}`"


def _rows(
    faults: Mapping[str, tuple[str, str]], found: Mapping[str, list[str]]
) -> Iterator[tuple[str, str, str, str]]:
    for name, (fault, promise) in faults.items():
        yield name, fault, promise, "<br>".join(found.get(name, ["*not yet*"]))


def _marked() -> dict[str, list[str]]:
    """Return, for each fault, its tests: the sentence that the name makes, and the file."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for name in _names(node.decorator_list):
                    said = node.name.removeprefix("test_").replace("_", " ")
                    found[name].append(f"{said} (`{path.relative_to(ROOT)}`)")
    unknown = found.keys() - FAULTS.keys() - RIVALS.keys()
    if unknown:
        raise SystemExit(f"tests are marked with unknown faults: {', '.join(sorted(unknown))}")
    return found


def _names(decorators: list[ast.expr]) -> Iterator[str]:
    for each in decorators:
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "pytest.mark.fault":
            yield from (arg.value for arg in each.args if isinstance(arg, ast.Constant))
