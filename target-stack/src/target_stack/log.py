"""Structured logs: what happened, one JSON object a line on standard error. The facts of an event are its `extra`."""

import logging
import sys

from pythonjsonlogger.msgspec import MsgspecFormatter

__all__ = ["configure", "log"]

log = logging.getLogger("target_stack")


def configure() -> None:
    """Write events from `info` on, and nothing that a library logs."""
    handler = logging.StreamHandler(sys.stderr)
    names = {"message": "event", "levelname": "level"}
    handler.setFormatter(MsgspecFormatter("%(message)s %(levelname)s", rename_fields=names, timestamp=True))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
