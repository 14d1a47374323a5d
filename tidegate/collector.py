"""``tidegate collector``: install, check, run and ask the collector."""

from __future__ import annotations

import asyncio
import csv
import json as jsonlib
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.progress import Progress

from collector.config import load_collector_config
from gateway_core.spool.reader import open_reader
from tidegate.collector_books import gaps
from tidegate.listing import get, listed
from tidegate.loop import event, events
from tidegate.output import console, print_json, print_pairs, print_table
from tidegate.query import HERE, Url, pages, query, question
from tidegate.refill import refill
from tidegate.safekeeping import backup, restore
from tidegate.spool_view import print_quarantine, print_refusals

app = App(name="collector", help="The central collector.")
app.command(query)
app.command(events)
app.command(event)
app.command(backup)
app.command(restore)
app.command(refill)
app.command(gaps)
app.command(
    "tidegate.collector_edges:app",
    name="edges",
    help="The edges that were heard from, and invitations for new ones.",
)
app.command(
    "tidegate.collector_feeds:app",
    name="feeds",
    help="Feeds: what they were last known to be, and the city's figures on them.",
)
app.command(
    "tidegate.collector_profiles:app",
    name="profiles",
    help="Profile versions: decide, roll out, try, take back.",
)

Config = Annotated[Path, Parameter(help="The centre's collector.yaml.")]
_CONFIG = Path("collector.yaml")


@app.command
def init(folder: Path = Path(), *, data_dir: str = "./var/centre") -> None:
    """Write a new centre's configuration, with every key explained. Overwrites nothing.

        tidegate collector init /etc/tidegate --data-dir /var/lib/tidegate-collector

    Args:
        folder: Where to.
        data_dir: Where the collector keeps its data.
    """
    from collector.init import write_centre

    path = write_centre(folder, data_dir)
    print(f"wrote {path}\nnext: tidegate collector check --config {path}")


@app.command
def check(*, config: Config = _CONFIG) -> None:
    """Read the configuration, look at the files that it names; start nothing.

    tidegate collector check --config collector.yaml
    """
    from collector.check import check as check_centre

    found = check_centre(config)
    print(f"{config}: no mistakes; time series in {found.timeseries.kind}")


@app.command
def run(*, config: Config = _CONFIG) -> int:
    """Run the collector until it is told to stop (SIGTERM).

    tidegate collector run --config collector.yaml
    """
    from collector.__main__ import main

    return main(["--config", str(config)])


@app.command
def status(*, url: Url = HERE, json: bool = False) -> None:
    """Show totals, edges with lag, backlog and residual, and the books.

        tidegate collector status --json

    Args:
        json: Print JSON.
    """
    found = get(url, "status")
    if json:
        print_json(found)
        return
    print_pairs({"time": found["time"], "uptime_s": found["uptime_s"], **found["totals"]})
    console.print()
    columns = (
        "id",
        "state",
        "lag_s",
        "backlog",
        "residual",
        "balance",
        "clock_ahead_s",
        "records",
        "lost",
    )
    print_table(columns, ([edge[c] for c in columns] for edge in found["edges"]))
    console.print()
    books = ("accepted", "delivered", "buffered", "quarantined", "dropped", "residual")
    print_table(
        ("sink", *books), ([name, *(b[c] for c in books)] for name, b in found["books"].items())
    )
    if found.get("set_aside"):
        console.print()
        about = ("file", "since", "bytes", "why")
        print_table(about, ([each[c] for c in about] for each in found["set_aside"]))


def _add_list(kind: str, example: str, columns: tuple[str, ...]) -> None:
    def show(
        *,
        edge: str | None = None,
        area: str | None = None,
        state: str | None = None,
        q: str | None = None,
        limit: int = 100,
        url: Url = HERE,
        json: bool = False,
    ) -> None:
        wanted = {"edge": edge, "area": area, "state": state, "q": q}
        items = listed(url, kind, {k: v for k, v in wanted.items() if v is not None}, limit)
        if json:
            print_json(items)
        else:
            print_table(columns, ([item.get(c) for c in columns] for item in items))

    show.__doc__ = f"""List {kind} and what they were last known to be.

        tidegate collector {kind} {example}

    Args:
        edge: Only of this edge.
        area: Only this area code or below.
        state: Only in this state.
        q: Only with this text in the id or the name.
        limit: Most rows.
        json: Print JSON.
    """
    app.command(show, name=kind)


_add_list("devices", "--state silent", ("id", "edge", "profile", "state", "last_seen", "name"))
_add_list("systems", "--state down", ("id", "edge", "state", "faults", "since", "rtt_ms", "name"))


@app.command
def export(
    measurement: str,
    /,
    *,
    out: Path,
    device: list[str] = [],  # noqa: B006  # never changed
    field: list[str] = [],  # noqa: B006
    where: list[str] = [],  # noqa: B006
    since: str = "1d",
    until: str = "now",
    format: Literal["csv", "jsonl"] = "csv",  # noqa: A002  # the option's name
    url: Url = HERE,
) -> None:
    """Write all points of one measurement to a file, page by page.

        tidegate collector export env --since 1d --out env.csv

    Args:
        measurement: For example env.
        out: The file.
        device: Only this device; may be repeated.
        field: Only this field; may be repeated.
        where: Only this tag=value; may be repeated.
        since: A duration back from now, or RFC 3339.
        until: now, or RFC 3339.
        format: csv, or one JSON object a line.
    """
    body = question(measurement, device, field, where, since, until)
    rows = asyncio.run(_export(url, body, out, format))
    print(f"{rows} rows to {out}")


@app.command
def refused(
    *, reason: str | None = None, limit: int = 100, config: Config = _CONFIG, json: bool = False
) -> None:
    """List uploads and payloads that were refused and kept.

        tidegate collector refused

    Args:
        reason: Only this code.
        limit: Most rows.
        json: Print JSON.
    """
    with open_reader(_spool(config)) as spool:
        print_refusals(spool, reason, limit, json=json)


@app.command
def quarantine(
    *, consumer: str | None = None, limit: int = 100, config: Config = _CONFIG, json: bool = False
) -> None:
    """List records that a store will never accept, and why.

        tidegate collector quarantine --consumer timeseries

    Args:
        consumer: Only this sink.
        limit: Most rows.
        json: Print JSON.
    """
    with open_reader(_spool(config)) as spool:
        print_quarantine(spool, consumer, limit, json=json)


def _spool(config: Path) -> Path:
    return load_collector_config(config).collector.data_dir / "spool.db"


async def _export(url: str, body: dict[str, Any], out: Path, format: str) -> int:  # noqa: A002
    """Write every page to ``out`` as it comes; return the number of rows."""
    count = 0
    with out.open("w", encoding="utf-8", newline="") as file, Progress(console=console) as bar:
        task = bar.add_task("rows", total=None)
        writer = csv.writer(file)
        async for page in pages(url, body):
            columns = page["columns"]
            if format == "jsonl":
                file.writelines(
                    jsonlib.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n"
                    for row in page["rows"]
                )
            else:
                if count == 0:
                    writer.writerow(columns)
                writer.writerows([[_cell(cell) for cell in row] for row in page["rows"]])
            count += len(page["rows"])
            bar.update(task, completed=count)
    return count


def _cell(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return "'" + cell
    return cell
