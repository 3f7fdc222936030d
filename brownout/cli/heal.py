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
@click.option("--target", metavar="NAME", help="One that keeps a ledger of its own: kubernetes. Heals what that holds.")
@click.option("--context", metavar="NAME", help="With --target: of the kubeconfig.")
@click.option("--namespace", metavar="NAME", help="With --target: where its services are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def heal(only: str | None, force: bool, as_json: bool, **at: str | None) -> None:
    """Undo what runs that are no more left broken.

    Every fault is written to a ledger before it is injected, so this finds whatever a killed run left: its faults are
    undone, its processes ended, its scratch files removed. A run that is still going on is left alone.

    With --target, --context and --namespace it heals what the cluster's own ledger holds and nobody renews, whoever
    left it and from wherever; with --force what is renewed as well.

    Exit codes: 0 nothing is left broken, 2 something is.
    """
    import asyncio

    from brownout import registry
    from brownout.cli._told import told
    from brownout.errors import EXIT_BAD_INPUT
    from brownout.healing import heal_runs
    from brownout.ledger import Ledger

    if at["target"] is not None:
        _of_target(at["target"], context=at["context"], namespace=at["namespace"], force=force, as_json=as_json)
        return
    if at["context"] or at["namespace"]:
        msg = "--context and --namespace belong to --target"
        raise click.UsageError(msg)
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


def _of_target(name: str, *, context: str | None, namespace: str | None, force: bool, as_json: bool) -> None:
    import asyncio

    from brownout.attachment import Attachment
    from brownout.cli._told import told
    from brownout.errors import InvalidInput
    from brownout.target import KeepsLedger
    from brownout.targets import chosen

    with told():
        target = chosen(name, attachment=Attachment(context, namespace))()
        if not isinstance(target, KeepsLedger):
            msg = f"--target: {name} keeps no ledger of its own; plain `chaos heal` heals it"
            raise InvalidInput(msg)
        did = asyncio.run(target.heal_lapsed(force=force))
    lines = did or ["Nothing is broken that nobody renews."]
    click.echo(json.dumps({"did": list(did)}, indent=2) if as_json else "\n".join(lines))


def _as_json(one: "Healed") -> dict[str, object]:
    return {"run": one.run, "outcome": one.outcome, "faults": list(one.faults), "did": list(one.did)}


def _in_words(healed: Sequence["Healed"]) -> Sequence[str]:
    if not healed:
        return ["Nothing is broken: every run has ended."]
    return [line for one in healed for line in _of_one(one)]


def _of_one(one: "Healed") -> Sequence[str]:
    """A line of what became of it, and below it one for each fault and one for each thing that was done."""
    match one.outcome:
        case "alive":
            head, broken = f"{'; '.join(one.did)}; left alone", "has broken"
        case "broken":
            head, broken = f"COULD NOT BE HEALED: {'; '.join(one.did)}", "has broken"
        case "healed":
            head, broken = "healed" if one.did else "healed: nothing was left of it", "had broken"
    done = one.did if one.outcome == "healed" else ()
    return [f"{one.run}: {head}", *(f"  {broken} {fault}" for fault in one.faults), *(f"  {deed}" for deed in done)]
