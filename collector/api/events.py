"""``/api/v1/events``: the closed loop, listed, opened by hand and moved on step by step."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from collector.api.forms import PageOf
from collector.api.parts import Parts
from collector.api.problem import problem
from collector.events.book import Outdated, Row, intact
from collector.events.shapes import Move, Opening, Wanted
from collector.events.workflow import CLOSED, Action, State, WrongStep, allowed
from gateway_core.instant import to_rfc3339
from gateway_core.model import Severity


def _plain(text: str) -> str:
    if any(ord(char) < 32 and char not in "\n\t" for char in text):
        raise ValueError("control characters are not text")
    return text.strip()


_TEXT = AfterValidator(_plain)
_EVENT_ID = Path(max_length=40, description="As the list gives it")

Name = Annotated[str, _TEXT, Field(min_length=1, max_length=64)]


class StepForm(BaseModel):
    """Who takes a step, and why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"actor": "operations", "comment": "pump 3 looked at"}]},
    )

    actor: Annotated[Name, Field(description="Who does it")]
    comment: Annotated[str, _TEXT, Field(max_length=4000, description="For people")] = ""
    assignee: Annotated[
        str, _TEXT, Field(max_length=64, description="For assign: the person or section")
    ] = ""
    version: Annotated[
        int | None, Field(ge=1, description="The version seen; instead of If-Match")
    ] = None


class EventForm(BaseModel):
    """An event that a person opens."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"title": "Smoke at pump 3", "device": "pump-3", "actor": "operations"}]
        },
    )

    title: Annotated[str, _TEXT, Field(min_length=1, max_length=500)]
    actor: Annotated[Name, Field(description="Who opens it")]
    comment: Annotated[str, _TEXT, Field(max_length=4000)] = ""
    edge: Annotated[str, _TEXT, Field(max_length=64)] = ""
    device: Annotated[str, _TEXT, Field(max_length=255, description="Device, feed or system")] = ""
    rule: Annotated[str, _TEXT, Field(max_length=64)] = "reported"
    severity: Severity = "major"


def event_routes(parts: Parts) -> APIRouter:
    """Return the routes of events."""
    routes = APIRouter(prefix="/api/v1/events", tags=["events"])
    book = parts.events

    @routes.get("", response_model=PageOf, summary="Events, newest first, page by page")
    async def page(
        state: State | None = None,
        closed: Annotated[bool | None, Query(description="true: verified only")] = None,
        edge: Annotated[str | None, Query(max_length=64)] = None,
        device: Annotated[str | None, Query(max_length=255)] = None,
        severity: Severity | None = None,
        assignee: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str | None, Query(max_length=1024)] = None,
    ) -> JSONResponse:
        wanted = Wanted(state, closed, edge, device, severity, assignee, limit, cursor)
        rows, following = await book.page(wanted)
        return JSONResponse({"items": [_shown(row) for row in rows], "next": following})

    @routes.post("", status_code=201, summary="Open an event by hand")
    async def create(form: EventForm) -> JSONResponse:
        text = {"en": form.title, "zh": form.title}
        opening = Opening(
            form.edge, form.device, form.rule, form.severity, text, form.actor, form.comment
        )
        row = await book.open(opening)
        place = {"Location": f"/api/v1/events/{row['id']}"}
        return JSONResponse(_shown(row), 201, headers=_tagged(row) | place)

    @routes.get("/{event}", summary="One event with every step taken, and the next ones allowed")
    async def one(event: Annotated[str, _EVENT_ID]) -> JSONResponse:
        row = await book.get(event)
        return _unknown(event) if row is None else JSONResponse(_shown(row), headers=_tagged(row))

    @routes.post(
        "/{event}/{action}",
        summary="Take one step: accept, assign, handle, feedback, verify or reopen",
        responses={
            409: {"description": "The step may not follow the event's state; `allowed` may"},
            412: {"description": "The event changed since the version in If-Match"},
        },
    )
    async def move(
        event: Annotated[str, _EVENT_ID],
        action: Action,
        form: StepForm,
        if_match: Annotated[str | None, Header(max_length=32)] = None,
    ) -> JSONResponse:
        if action == "assign" and not form.assignee:
            return problem(422, "no_assignee", "assign needs assignee: the person or section")
        version, fault = _version(if_match, form.version)
        if fault is not None:
            return fault
        assignee = form.assignee if action == "assign" else ""
        try:
            found = await book.move(
                event, Move(action, form.actor, form.comment, assignee, version)
            )
        except WrongStep as exc:
            return problem(409, "wrong_step", str(exc), state=exc.state, allowed=list(exc.allowed))
        except Outdated as exc:
            return problem(412, "outdated", f"{exc}; GET /api/v1/events/{event} and decide again")
        return (
            _unknown(event)
            if found is None
            else JSONResponse(_shown(found), headers=_tagged(found))
        )

    return routes


def _version(if_match: str | None, version: int | None) -> tuple[int | None, JSONResponse | None]:
    """Return the version that the caller saw, or what is wrong with how it says so."""
    if if_match is None or if_match.strip() == "*":
        return version, None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdecimal():
        return None, problem(400, "bad_if_match", "send the ETag of the event as it came")
    return int(text), None


def _unknown(event: str) -> JSONResponse:
    return problem(404, "unknown_event", f"no event {event!r}; GET /api/v1/events lists them")


def _tagged(row: Row) -> dict[str, str]:
    return {"ETag": f'"{row["version"]}"'}


def _shown(row: Row) -> dict[str, Any]:
    """Return an event as people see it."""
    shown = dict(row) | {"closed": row["state"] == CLOSED, "allowed": list(allowed(row["state"]))}
    shown["clock_mark"] = shown.pop("mark") or None
    for key in ("raised", "cleared", "updated"):
        shown[key] = None if row[key] is None else to_rfc3339(row[key])
    if "steps" in row:
        shown["steps"] = [each | {"time": to_rfc3339(each["time"])} for each in row["steps"]]
        for each in shown["steps"]:
            del each["event"]
        shown["intact"] = intact(row["steps"])
    return shown
