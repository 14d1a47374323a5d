"""``tidegate edge``: install, check, run and ask an edge agent."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlencode

import msgspec
from cyclopts import App, Parameter

from edge_agent.config import load_edge_config
from gateway_core.clock import wall_ns
from gateway_core.instant import parse_instant, to_rfc3339
from gateway_core.spool.reader import open_reader
from tidegate.edge_books import balance, gaps, print_clock, print_endurance
from tidegate.edge_camera import app as camera
from tidegate.edge_commands import command, commands
from tidegate.edge_enrol import enrol_edge
from tidegate.edge_history import CONFIG, Config, Url, admin_url, export, ledger, query
from tidegate.edge_profiles import backtest, pin, profiles, shadow, unpin
from tidegate.edge_users import app as users
from tidegate.output import console, print_json, print_pairs, print_table
from tidegate.query import instant
from tidegate.refill import resend
from tidegate.remote import ask, stream
from tidegate.spool_view import print_quarantine, print_refusals
from tidegate.usage import WrongUsage

app = App(name="edge", help="The edge agent of one site.")

for each in (
    query,
    export,
    gaps,
    balance,
    ledger,
    command,
    commands,
    profiles,
    pin,
    unpin,
    shadow,
    backtest,
):
    app.command(each)
app.command(users)
app.command(camera)
app.command(enrol_edge, name="enrol")


@app.command
def init(
    folder: Path = Path(),
    *,
    id: str,  # noqa: A002  # the option's name is the key's name
    area: str = "",
    mqtt: str | None = None,
    mqtt_listen: str | None = None,
    coap: str = "[::]:5683",
    uplink: str = "http://127.0.0.1:8090",
    admin: str = "127.0.0.1:9180",
    unknown: Literal["register", "hold", "refuse"] = "register",
    data_dir: str = "./var",
) -> None:
    """Write a new site's files, with every key explained. Overwrites nothing.

        tidegate edge init /etc/tidegate --id bz-edge-01 --uplink http://collector.example:8090

    Args:
        folder: Where to.
        id: The edge's id.
        area: Code of the area tree.
        mqtt: The broker's URL; default: mqtt://127.0.0.1:1883 unless --mqtt-listen is given.
        mqtt_listen: Where devices connect to the agent itself, without a broker; on localhost
            everybody may, elsewhere who is in secrets/users.
        coap: Where to listen for CoAP.
        uplink: The collector's intake.
        admin: Where to listen for the administrator.
        unknown: What happens to devices that a profile matches but nobody listed.
        data_dir: Where the agent keeps its data: /var/lib/tidegate-edge for the systemd unit.
    """
    from edge_agent.init import Answers, write_site

    answers = Answers(id, area, mqtt, mqtt_listen, coap, uplink, admin, unknown, data_dir)
    written = write_site(folder, answers)
    for path in written:
        print(f"wrote {path}")
    print(f"next: tidegate edge check --config {written[0]}")


@app.command
def check(*, config: Config = CONFIG, json: bool = False) -> int:
    """Read the configuration and everything it names; start nothing.

        tidegate edge check --config edge.yaml

    Args:
        json: Print JSON.
    """
    from edge_agent.check import check as check_site

    found = check_site(config)
    if json:
        faults = list(map(str, found.faults))
        print_json({"faults": faults, "counts": found.counts, "warnings": found.warnings})
    else:
        for fault in found.faults:
            print(fault, file=sys.stderr)
        for warning in found.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        print(f"{config}: " + ", ".join(f"{n} {what}" for what, n in found.counts.items()))
    return 2 if found.faults else 0


@app.command
def run(*, config: Config = CONFIG) -> int:
    """Run the agent until it is told to stop (SIGTERM).

    tidegate edge run --config edge.yaml
    """
    from edge_agent.__main__ import main

    return main(["--config", str(config)])


@app.command
def status(*, config: Config = CONFIG, url: Url = None, json: bool = False) -> None:
    """Show sources, books, lag and what the agent knows.

        tidegate edge status --json

    Args:
        json: Print JSON.
    """
    found = msgspec.json.decode(asyncio.run(ask("GET", f"{admin_url(config, url)}/status")))
    if json:
        print_json(found)
        return
    names = ("edge", "version", "uptime_s", "lag_s", "residual", "spool_bytes", "seconds_to_full")
    print_pairs({name: found[name] for name in (*names, "devices", "feeds", "systems")})
    if "clock" in found:  # not of an older agent
        print_clock(found["clock"])
    print_endurance(found["endurance"])
    console.print()
    sources = ((s["name"], s["connected"], s.get("held", "")) for s in found["sources"])
    print_table(("source", "connected", "held"), sources)
    if found.get("interrupted"):
        console.print()
        columns = ("part", "tries", "ago_s", "why")
        print_table(columns, ([each[c] for c in columns] for each in found["interrupted"]))
    listeners = [(s["name"], s["clients"]) for s in found["sources"] if s["clients"]]
    if listeners:
        console.print()
        states = tuple(listeners[0][1])
        rows = ([name, *(counts[each] for each in states)] for name, counts in listeners)
        print_table(("listener", *states), rows)
    console.print()
    books = ("name", "accepted", "delivered", "buffered", "quarantined", "dropped", "residual")
    print_table(
        ("consumer", *books[1:]), ([c.get(key) for key in books] for c in found["consumers"])
    )
    if found["refused"]:
        console.print()
        print_table(("refused", "count"), found["refused"].items())
    if found["offline"]:
        console.print()
        gone = ((e["device"], to_rfc3339(e["last_seen"]), e["said"]) for e in found["offline"])
        print_table(("offline", "last seen", "said"), gone)
    if found["retired"]:
        console.print()
        columns = ("profile", "status", "successor", "devices")
        print_table(columns, ([each[name] for name in columns] for each in found["retired"]))
    if found.get("set_aside"):
        console.print()
        columns = ("file", "since", "bytes", "why")
        print_table(columns, ([each[name] for name in columns] for each in found["set_aside"]))
    if found["commands"]:
        console.print()
        print_table(("commands", "count"), found["commands"].items())


@app.command
def tap(
    *,
    topic: str = "",
    device: str = "",
    field: str = "",
    client: str = "",
    config: Config = CONFIG,
    url: Url = None,
) -> None:
    """Watch records, or one client of the MQTT listener, one JSON line each, until interrupted.

        tidegate edge tap --device sim-env-00001

        tidegate edge tap --client room-1

    Args:
        topic: An MQTT topic filter or CoAP path; wildcards allowed.
        device: One device.
        field: Only readings with this field.
        client: Instead of records, what a client of mqtt_listen sends and what becomes of it, by
            its client id; no other filter goes with it.
    """
    asked = {"topic": topic, "device": device, "field": field, "client": client}
    wanted = urlencode({k: v for k, v in asked.items() if v})

    async def pour() -> None:
        async for line in stream(f"{admin_url(config, url)}/tap?{wanted}"):
            sys.stdout.write(line.decode())
            sys.stdout.flush()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(pour())


@app.command
def refused(
    *, reason: str | None = None, limit: int = 100, config: Config = CONFIG, json: bool = False
) -> None:
    """List payloads that no profile could read, newest last; they are kept raw.

        tidegate edge refused --reason bad_crc

    Args:
        reason: Only this rejection code.
        limit: Most rows.
        json: Print JSON, the payload in base64.
    """
    with open_reader(_spool(config)) as spool:
        print_refusals(spool, reason, limit, json=json)


@app.command
def quarantine(
    *, consumer: str | None = None, limit: int = 100, config: Config = CONFIG, json: bool = False
) -> None:
    """List records that a sink will never accept, and why.

        tidegate edge quarantine --consumer uplink

    Args:
        consumer: Only this sink.
        limit: Most rows.
        json: Print JSON.
    """
    with open_reader(_spool(config)) as spool:
        print_quarantine(spool, consumer, limit, json=json)


@app.command
def reload(*, config: Config = CONFIG, url: Url = None) -> None:
    """Make the running agent read its profiles, devices and egress file anew.

    tidegate edge reload --config site/edge.yaml
    """
    done = msgspec.json.decode(asyncio.run(ask("POST", f"{admin_url(config, url)}/reload")))
    print_pairs(done)


@app.command
def replay(
    *,
    refused: bool = True,
    sent: bool = False,
    reason: str | None = None,
    profile: str | None = None,
    since: str | None = None,
    offline: Annotated[bool, Parameter(help="The agent is stopped: work on its files.")] = False,
    config: Config = CONFIG,
    url: Url = None,
    json: bool = False,
) -> None:
    """Decode refused payloads again, after a profile was mended; or send again what was sent.

        tidegate edge replay --refused --profile acme/env --since 24h
        tidegate edge replay --sent --since 24h

    What is sent again goes through the policy of now and into the ledger; a collector takes of it
    what it does not have.

    Args:
        refused: What no profile could read.
        sent: Instead: what the collector was given since, once more.
        reason: Only this rejection code.
        profile: Only what came to an address that this profile reads.
        since: Only what was received since: a duration back from now, or RFC 3339.
        json: Print JSON.
    """
    if not (refused or sent):
        raise WrongUsage("replay what was refused (--refused) or what was sent (--sent)")
    began = parse_instant(instant(since), wall_ns()) if since else 0
    if sent:
        if since is None or offline or reason or profile:
            raise WrongUsage("--sent needs --since and a running agent, and nothing else")
        resend(admin_url(config, url), began, json=json)
        return
    if offline:
        from edge_agent.run import replay_offline

        replayed = asyncio.run(
            replay_offline(load_edge_config(config), reason, began, profile=profile)
        )
        done = msgspec.structs.asdict(replayed)
    else:
        admin = admin_url(config, url)
        asyncio.run(ask("POST", f"{admin}/reload"))
        body = {"reason": reason, "since": began, "profile": profile}
        done = msgspec.json.decode(asyncio.run(ask("POST", f"{admin}/replay", body=body)))
    if json:
        print_json(done)
    else:
        print_pairs(done)


def _spool(config: Path) -> Path:
    return load_edge_config(config).edge.data_dir / "spool.db"
