"""``tidegate edge query|export|ledger``: what a site took in, and what left it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter
from rich.progress import Progress

from edge_agent.config import load_edge_config
from gateway_core.clock import wall_ns
from gateway_core.errors import Unavailable
from gateway_core.spool.reader import open_reader
from gateway_core.units import Address
from tidegate.output import console, print_json, print_pairs, print_table
from tidegate.query import question
from tidegate.remote import ask, pour

Config = Annotated[Path, Parameter(help="The site's edge.yaml.")]
Url = Annotated[
    str | None, Parameter(help="Of the running agent's admin listener; default: as configured.")
]
Offline = Annotated[
    bool, Parameter(help="Read the site's own files; the agent must not be running.")
]
CONFIG = Path("edge.yaml")


def query(
    measurement: str,
    /,
    *,
    device: list[str] = [],  # noqa: B006  # never changed
    field: list[str] = [],  # noqa: B006
    where: list[str] = [],  # noqa: B006
    since: str = "1h",
    until: str = "now",
    every: str | None = None,
    agg: str | None = None,
    limit: int = 10_000,
    format: Literal["table", "csv", "json", "jsonl"] = "table",  # noqa: A002  # the option's name
    json: bool = False,
    offline: Offline = False,
    config: Config = CONFIG,
    url: Url = None,
) -> None:
    """Ask the site itself for points or aggregates of one measurement; needs no collector.

        tidegate edge query env --device sim-env-00001 --since 1h --every 5m --agg mean

    Args:
        measurement: For example env, feed_health, alarm.
        device: Only this device; may be repeated.
        field: Only this field; may be repeated.
        where: Only this tag=value; may be repeated.
        since: A duration back from now, or RFC 3339.
        until: now, or RFC 3339.
        every: Width of windows, for example 5m; left out: raw points.
        agg: mean, min, max, sum, count, first, last, median or p95.
        limit: Most rows, up to 100,000; when there are more, standard error says so.
        format: What to print.
        json: The same as --format json.
    """
    form = "json" if json or format == "table" else format
    body = question(measurement, device, field, where, since, until)
    body |= {"every": every, "agg": agg, "limit": limit, "format": form}
    answer = asyncio.run(_answer(config, url, body, offline=offline))
    if json or format != "table":
        sys.stdout.buffer.write(answer + (b"\n" if form == "json" else b""))
        sys.stdout.buffer.flush()
        return
    table = msgspec.json.decode(answer)
    print_table(table["columns"], table["rows"])
    _say(table["notes"])
    if table["next"]:
        print(f"more than {limit} rows: raise --limit, or use export", file=sys.stderr)


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
    every: str | None = None,
    agg: str | None = None,
    format: Literal["csv", "jsonl", "parquet"] | None = None,  # noqa: A002  # the option's name
    offline: Offline = False,
    config: Config = CONFIG,
    url: Url = None,
) -> None:
    """Write everything that the site knows of one measurement to a file.

        tidegate edge export env --since 30d --out env.parquet

    The file appears when it is whole. What a person carries away is not under the egress rules.

    Args:
        measurement: For example env, feed_health, alarm.
        out: The file.
        device: Only this device; may be repeated.
        field: Only this field; may be repeated.
        where: Only this tag=value; may be repeated.
        since: A duration back from now, or RFC 3339.
        until: now, or RFC 3339.
        every: Width of windows, for example 5m; left out: raw points.
        agg: mean, min, max, sum, count, first, last, median or p95.
        format: Left out: as the file's name ends, else csv.
    """
    ending = out.suffix.removeprefix(".")
    form = format or (ending if ending in {"csv", "jsonl", "parquet"} else "csv")
    body = question(measurement, device, field, where, since, until)
    body |= {"every": every, "agg": agg, "format": "arrow" if form == "parquet" else form}
    part = out.with_name(out.name + ".part")
    try:
        asyncio.run(_export(config, url, body, part, offline=offline))
        if form == "parquet":
            from edge_agent.export import parquet_from_arrow

            arrow = part.replace(out.with_name(out.name + ".arrow.part"))
            try:
                parquet_from_arrow(arrow, part)
            finally:
                arrow.unlink()
        part.replace(out)
    except OSError as exc:
        raise Unavailable(f"{exc.filename or out}: {exc.strerror}") from exc
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    print(f"{out.stat().st_size} bytes to {out}")


def ledger(*, last: int = 0, config: Config = CONFIG, json: bool = False) -> int:
    """Verify the ledger of everything that left the site: its hashes, its order, its end.

        tidegate edge ledger --last 10

    Exit status 1 when an entry was changed, removed, added or moved.

    Args:
        last: Print so many of its latest entries, too.
        json: Print JSON.
    """
    from edge_agent.audit import entries, verify
    from edge_agent.ledger_entry import Head
    from edge_agent.uplink import STATE_LEDGER

    folder = load_edge_config(config).edge.data_dir
    anchor = None
    if (folder / "spool.db").exists():
        with open_reader(folder / "spool.db") as spool:
            anchor = Head.parse(spool.state(STATE_LEDGER).get(STATE_LEDGER, b"").decode())
    audit = verify(folder / "ledger", anchor)
    shown = list(entries(folder / "ledger", max(0, audit.head.n - last))) if last else []
    found = {
        "entries": audit.entries,
        "batches": audit.batches,
        "first": audit.first,
        "last": audit.head.n,
        "head": audit.head.hash,
        "faults": audit.faults,
    }
    if json:
        print_json(found | ({"latest": shown} if last else {}))
    else:
        print_pairs(found)
        if shown:
            console.print()
            columns = ("n", "at", "kind", "records", "withheld", "bytes", "outcome", "detail")
            print_table(columns, ([getattr(one, c) for c in columns] for one in shown))
    return 1 if audit.faults else 0


def admin_url(config: Path, url: str | None) -> str:
    """Return the URL of the agent's admin listener."""
    if url is not None:
        return url.rstrip("/")
    address = load_edge_config(config).admin.listen[0]
    anywhere = {"::": "::1", "0.0.0.0": "127.0.0.1"}  # noqa: S104  # what to ask, not what to bind
    return f"http://{Address(anywhere.get(address.host, address.host), address.port)}"


async def _answer(config: Path, url: str | None, body: dict[str, Any], *, offline: bool) -> bytes:
    if not offline:
        return await ask("POST", f"{admin_url(config, url)}/query", body=body)
    from edge_agent.answer import answer
    from edge_agent.offline import open_history

    async with open_history(load_edge_config(config)) as history:
        return (await answer(history, body, wall_ns))[1]


async def _export(
    config: Path, url: str | None, body: dict[str, Any], part: Path, *, offline: bool
) -> None:
    """Write the answer to ``part`` as it comes."""
    shown = Progress(console=console, transient=True, disable=not console.is_terminal)
    with part.open("wb") as file, shown as bar:
        task = bar.add_task("bytes", total=None)

        def write(chunk: bytes) -> None:
            file.write(chunk)
            bar.update(task, completed=file.tell())

        if not offline:
            headers = await pour(f"{admin_url(config, url)}/export", body, write)
            _say(filter(None, [headers.get("Tidegate-Notes")]))
            return
        from edge_agent.answer import export_answer
        from edge_agent.offline import open_history

        async with open_history(load_edge_config(config)) as history:
            found = await export_answer(history, body, wall_ns)
            _say(found.notes)
            async for chunk in found.chunks:
                write(chunk)


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr)
