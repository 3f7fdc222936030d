"""`chaos heal`: undo what dead runs left broken."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from brownout.healing import Healed


@click.command()
@click.option("--run", "only", metavar="ID", help="Only this run.")
@click.option("--force", is_flag=True, help="With --run: even if it still runs. Its target is taken from under it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def heal(only: str | None, force: bool, as_json: bool) -> None:
    """Undo what runs that are no more left broken.

    Every fault is written to a ledger before it is injected, so this finds whatever a killed run left: its faults are
    undone, its processes ended, its scratch files removed. A run that is still going on is left alone.

    Exit codes: 0 nothing is left broken, 2 something is.
    """
    import asyncio

    from brownout import registry
    from brownout.cli._told import told
    from brownout.errors import EXIT_BAD_INPUT
    from brownout.healing import heal_runs
    from brownout.ledger import Ledger

    if force and only is None:
        msg = "--force needs --run ID: which of the runs is to be ended?"
        raise click.UsageError(msg)
    with told(), Ledger.open() as ledger:
        healed = asyncio.run(heal_runs(ledger, registry.targets().get, only=only, force=force))
    if as_json:
        click.echo(json.dumps({"runs": [_as_json(one) for one in healed]}, indent=2))
    else:
        for line in _in_words(healed):
            click.echo(line)
    if any(one.outcome == "broken" for one in healed):
        sys.exit(EXIT_BAD_INPUT)


def _as_json(one: "Healed") -> dict[str, object]:
    return {"run": one.run, "outcome": one.outcome, "faults": list(one.faults), "did": list(one.did)}


def _in_words(healed: Sequence["Healed"]) -> Sequence[str]:
    if not healed:
        return ["Nothing is broken: every run has ended."]
    return [_line(one) for one in healed]


def _line(one: "Healed") -> str:
    did, faults = "; ".join(one.did), ", ".join(one.faults)
    match one.outcome:
        case "alive":
            return f"{one.run}: {did}; left alone" + (f"; broken: {faults}" if faults else "")
        case "broken":
            return f"{one.run}: COULD NOT BE HEALED: {did}" + (f"; broken: {faults}" if faults else "")
        case "healed":
            return f"{one.run}: healed: {did or 'nothing was left of it'}" + (
                f"; it had broken {faults}" if faults else ""
            )
