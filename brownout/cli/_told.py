"""How a command tells a user what is wrong: one message on stderr, exit code 2, no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def told() -> Iterator[None]:
    """Turn a `BrownoutError` into its message and exit code 2."""
    from brownout.errors import EXIT_BAD_INPUT, BrownoutError

    try:
        yield
    except BrownoutError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
