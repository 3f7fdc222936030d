"""The command line: `serve` one role, or print the `settings`.

Roles are imported when they are served, so that each process loads only what it needs.
"""

import argparse
import importlib
import json
import os
import sys
from typing import NoReturn

from target_stack.catalogue import CATALOGUE
from target_stack.setting import ConfigurationError
from target_stack.settings import Settings

ROLES = ("gateway", "embedding", "provider", "inference", "flags")


def main(argv: list[str] | None = None) -> None:
    """Run the command; leave with status 2 and one line on standard error when the input is no good."""
    parser = argparse.ArgumentParser(prog="target-stack", description="The reference RAG and inference stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve one role; everything else comes from STACK_* variables")
    serve.add_argument("role", choices=ROLES)
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, required=True)
    listing = commands.add_parser("settings", help="list every setting with its type, default and meaning")
    listing.add_argument("--json", action="store_true", help="as one JSON object")
    arguments = parser.parse_args(argv)
    if arguments.command == "settings":
        _print_settings(as_json=arguments.json)
    else:
        _serve(arguments.role, host=arguments.host, port=arguments.port)


def _print_settings(*, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"settings": [setting.as_json() for setting in CATALOGUE.values()]}))
        return
    for setting in CATALOGUE.values():
        scaled = " (scaled)" if setting.scaled else ""
        print(f"{setting.name} = {setting.default}  [{setting.type}]{scaled}\n    {setting.doc}")


def _serve(role: str, *, host: str, port: int) -> None:
    try:
        settings = Settings.from_environment(os.environ)
        # Only the role asked for is imported: the others' libraries would cost start-up time and memory.
        module = importlib.import_module(f"target_stack.{role}")
        module.serve(settings, os.environ, host=host, port=port)
    except ConfigurationError as error:
        _refuse(str(error))


def _refuse(message: str) -> NoReturn:
    print(f"target-stack: {message}", file=sys.stderr)
    raise SystemExit(2)
