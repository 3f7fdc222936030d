"""Running one role: uvicorn without its logging, and structured logs to standard error."""

import logging
import sys

import structlog
import uvicorn
from starlette.types import ASGIApp

__all__ = ["run"]

GRACE_S = 1
"""After SIGTERM, requests under way have this long, in seconds; then they are told and cancelled."""
KEEP_ALIVE_S = 75
"""Longer than the gateway keeps its idle connections (30 s), so that it never writes into a connection just closed."""


def run(app: ASGIApp, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    uvicorn.run(
        app,
        host=host,
        port=port,
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        backlog=1024,
    )
