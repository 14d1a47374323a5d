"""An upload that is refused, and what its edge is told."""

from __future__ import annotations

from gateway_core.errors import GatewayError


class Refused(GatewayError):
    """An upload that is not taken; nothing of it was stored.

    Attributes:
        status: HTTP status.
        code: Stable, for example ``wrong_edge``.
        detail: What was wrong and what to do next.
        retry_after_s: When to try again; None: not before something is changed.
    """

    def __init__(
        self, status: int, code: str, detail: str, retry_after_s: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s
