"""What the API takes and gives, as pydantic models: they are the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from collector.query import MAX_LIMIT, Agg, Query
from gateway_core.errors import PayloadError
from gateway_core.instant import parse_every, parse_instant


class QueryForm(BaseModel):
    """A question to the time-series store."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "measurement": "env",
                    "fields": ["temperature"],
                    "where": {"device": ["sim-env-00001"]},
                    "start": "-1h",
                    "every": "5m",
                    "agg": "mean",
                }
            ]
        },
    )

    measurement: Annotated[str, Field(description="For example env; see GET /api/v1/measurements")]
    fields: Annotated[list[str], Field(max_length=1000, description="None given: all")] = []
    where: Annotated[
        dict[str, list[str] | str], Field(max_length=20, description="Tag to accepted values")
    ] = {}
    start: Annotated[str | int | float, Field(description="RFC 3339, now, -1h, or a number")] = (
        "-1h"
    )
    stop: Annotated[str | int | float, Field(description="As start; exclusive")] = "now"
    every: Annotated[str | None, Field(description="Width of windows, for example 5m")] = None
    agg: Annotated[Agg | None, Field(description="mean when only every is given")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 10_000
    cursor: Annotated[str | None, Field(description="next of the answer before")] = None

    def query(self, now_ns: int) -> Query:
        """Return the question with its times resolved against ``now_ns``.

        Raises:
            PayloadError: ``bad_time``: a time or width is not in a form that is understood;
                ``bad_window``: start lies after stop.
        """
        try:
            start, stop = parse_instant(self.start, now_ns), parse_instant(self.stop, now_ns)
            every = parse_every(self.every) if self.every is not None else None
        except (ValueError, OverflowError) as exc:
            raise PayloadError("bad_time", str(exc)) from exc
        if start > stop:
            raise PayloadError("bad_window", "start must not lie after stop")
        return Query(
            measurement=self.measurement,
            start_ns=start,
            stop_ns=stop,
            fields=tuple(self.fields),
            where={
                tag: (values,) if isinstance(values, str) else tuple(values)
                for tag, values in self.where.items()
            },
            every_ns=every,
            agg=self.agg,
            limit=self.limit,
            cursor=self.cursor,
        )


class PageOf(BaseModel):
    """One page of a list; ``next`` is the cursor of the following page or null."""

    items: list[dict[str, Any]]
    next: str | None
