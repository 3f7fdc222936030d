"""Running one role: uvicorn without its logging, and structured logs to standard error."""

import contextlib
import gc

import uvicorn
from starlette.types import ASGIApp

from target_stack import log

__all__ = ["Exit", "run"]

GRACE_S = 1
"""After SIGTERM, requests under way have this long, in seconds; then they are told and cancelled."""
KEEP_ALIVE_S = 75
"""Longer than the gateway keeps its idle connections (30 s), so that it never writes into a connection just closed."""
COLLECT_AFTER = 20_000
"""More containers than were freed, until the garbage collector looks at the new ones. Python's own 700 are reached
several times in every request, each time for next to nothing: hardly anything here is part of a cycle."""
STARTUP_FAILURE = 3
"""Exit status when the server could not begin to serve: its port was taken, or the application failed to start."""


class Exit:
    """Lets an application end its own process, in the same order as SIGTERM would."""

    def __init__(self) -> None:
        self.status = 0
        self._server: uvicorn.Server | None = None

    def attach(self, server: uvicorn.Server) -> None:
        """Say which server is to stop."""
        self._server = server

    def __call__(self, status: int) -> None:
        """Stop serving; the process will exit with `status`."""
        self.status = status
        if self._server is not None:
            self._server.should_exit = True


def run(app: ASGIApp, *, host: str, port: int, leave: Exit | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until the application says through `leave` that it is over."""
    log.configure()
    gc.set_threshold(COLLECT_AFTER)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        # The gateway reads X-Forwarded-For itself; nobody else does.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        backlog=1024,
    )
    server = uvicorn.Server(config)
    if leave is not None:
        leave.attach(server)
    with contextlib.suppress(KeyboardInterrupt):  # SIGINT, which uvicorn has heeded and raises again
        server.run()
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)
    if leave is not None and leave.status:
        raise SystemExit(leave.status)
