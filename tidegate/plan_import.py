"""``tidegate collector feeds import``: bring a plan of feeds into the registry, after a preview."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.progress import Progress

from collector.config import load_collector_config
from collector.plan_file import PlanFile, read_plan
from collector.registry.database import open_database
from collector.registry.plan import FeedPlan, PlanChange
from gateway_core.clock import wall_ns
from tidegate.import_report import tell_faults, tell_some
from tidegate.output import console


def import_plan(
    file: Path,
    /,
    *,
    edge: str = "",
    yes: bool = False,
    skip_bad: bool = False,
    config: Annotated[Path, Parameter(help="The centre's collector.yaml.")] = Path(
        "collector.yaml"
    ),
) -> int:
    """Bring a plan of feeds (.xlsx or CSV) into the registry: preview, then one transaction.

        tidegate collector feeds import plan.xlsx --yes

    What the file says takes the place of what was planned at the edges that it names. With a
    mistake nothing is done, and FILE.marked says in every wrong row what to mend.

    Args:
        file: Columns edge, id, name, owner, area, group, gb_code, in Chinese or English.
        edge: Of the rows that name none.
        yes: Do not ask.
        skip_bad: Leave wrong rows out instead of doing nothing; then nothing counts as gone.
    """
    settings = load_collector_config(config)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("rows", total=None)
        found = read_plan(file, edge, lambda rows: bar.update(task, completed=rows))
    if found.faults:
        tell_faults(file, found.rows, found.faults)
        if not skip_bad:
            print("nothing was imported; mend the rows, or leave them out with --skip-bad")
            return 1
    return asyncio.run(_import(settings.registry_url, found, yes=yes))


async def _import(url: str, found: PlanFile, *, yes: bool) -> int:
    whole = not found.faults
    async with open_database(url) as database:
        plan = FeedPlan(database)
        _preview(await plan.compare(found.feeds, forget=whole))
        if not yes and not _agreed():
            print("nothing was imported")
            return 1
        with console.status("writing"):
            done = await plan.apply(found.feeds, wall_ns(), forget=whole)
    print(f"imported: {len(done.new)} new, {len(done.changed)} changed, {len(done.gone)} gone")
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        print("give --yes to import without being asked")
        return False
    return input("import this? [y/N] ").strip().lower() in {"y", "yes", "是"}


def _preview(change: PlanChange) -> None:
    print(
        f"new {len(change.new)}, changed {len(change.changed)}, as before {change.same}, "
        f"gone {len(change.gone)}"
    )
    tell_some("new", [f"{each.edge} {each.id}" for each in change.new])
    tell_some("changed", [f"{each.edge} {each.id}" for each in change.changed])
    tell_some("gone", [" ".join(key) for key in change.gone])
