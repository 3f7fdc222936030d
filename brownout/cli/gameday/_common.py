"""What the commands of `chaos gameday` share."""

from datetime import date, datetime
from pathlib import Path

import click

PLAN = click.argument("plan", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def current_time() -> datetime:
    """The one place where these commands take the time."""
    from datetime import UTC

    return datetime.now(UTC)


def day(text: str) -> datetime:
    from datetime import UTC

    try:
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    except ValueError:
        msg = f"{text!r}: expected a date such as 2027-12-24"
        raise click.UsageError(msg) from None
