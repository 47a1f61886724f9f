"""Why a request was not done, and the status that says so over HTTP."""

from __future__ import annotations

from runner.errors import RunnerError

BAD_REQUEST, UNAUTHENTICATED, FORBIDDEN, WRONG_METHOD, BUSY, TOO_LARGE = 400, 401, 403, 405, 409, 413


class Refused(RunnerError):
    """A request that is answered with `status` and had no effect."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
