"""A centre's registry of profiles: plans that a real key signed, real bundles, reports kept."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from device_profiles.bundle import digest_of, pack_text
from device_profiles.plan import Entry, Plan, Report, Task, Withdrawn, decode_report, seal_plan
from device_profiles.signing import Signer, make_key


@dataclass
class FakeRegistry:
    """Serves one edge.

    Attributes:
        signer: The registry's key; another one makes plans that nobody trusts.
        url: Where it listens.
        key_file: The public key, as a site is given it.
        bundles: Digest to bytes.
        plan: As it is sent; None: 404.
        reports: As they came.
        asked: Digests of bundles that were asked for.
        refuse: Status of the answer to reports; 204: they are taken.
    """

    signer: Signer
    url: str
    key_file: Path
    edge: str = "e1"
    serial: int = 0
    bundles: dict[str, bytes] = field(default_factory=dict)
    plan: bytes | None = None
    reports: list[Report] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refuse: int = 204

    def add(
        self, text: str, version: str, role: str = "active", profile: str = "test/env"
    ) -> Entry:
        """Take a profile in; return the entry that names it."""
        data = pack_text(text.replace("version: 1.0.0", f"version: {version}")).encode()
        digest = digest_of(data)
        self.bundles[digest] = data
        return Entry(profile, version, digest, len(data), role)

    def offer(
        self,
        *entries: Entry,
        withdrawn: tuple[Withdrawn, ...] = (),
        tasks: tuple[Task, ...] = (),
        serial: int | None = None,
        signer: Signer | None = None,
        edge: str = "",
    ) -> None:
        """Have a new plan."""
        self.serial = self.serial + 1 if serial is None else serial
        name = self.signer.public.id
        plan = Plan(name, edge or self.edge, self.serial, 1, entries, withdrawn, tasks)
        self.plan = seal_plan(plan, signer or self.signer)

    def said(self, kind: str) -> list[tuple[str, str]]:
        """Version and detail of the reports of a kind."""
        return [(each.version, each.detail) for each in self.reports if each.kind == kind]


@contextlib.asynccontextmanager
async def open_registry(folder: Path) -> AsyncIterator[FakeRegistry]:
    """Listen on a free port; the key is made in ``folder``."""
    signer = make_key(folder / "registry.key")
    made = FakeRegistry(signer, "", folder / "registry.key.pub")

    async def plan(request: web.Request) -> web.Response:
        assert request.headers["Tidegate-Edge"] == made.edge
        if made.plan is None:
            return web.Response(status=404)
        etag = f'"{digest_of(made.plan)}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=made.plan, headers={"ETag": etag})

    async def bundle(request: web.Request) -> web.Response:
        digest = request.match_info["digest"]
        made.asked.append(digest)
        found = made.bundles.get(digest)
        return web.Response(status=404) if found is None else web.Response(body=found)

    async def report(request: web.Request) -> web.Response:
        if made.refuse == 204:
            made.reports.append(decode_report(await request.read()))
        return web.Response(status=made.refuse)

    app = web.Application()
    app.router.add_get("/v1/profiles/plan", plan)
    app.router.add_get("/v1/profiles/bundles/{digest}", bundle)
    app.router.add_post("/v1/profiles/reports", report)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()
