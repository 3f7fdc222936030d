"""`chaos run`: the Chaos Toolkit's own command, which takes Brownout experiments too.

An ordinary Chaos Toolkit experiment is handed to the original command, untouched.
"""

import copy
import os
import sys
from pathlib import Path
from typing import Any

import click
from chaostoolkit.commands.run import run as chaostoolkit_run

# What only one of the two formats understands. Given to the other it is refused: an option that is silently ignored is
# how an experiment comes to do something else than its author believes.
_OURS = frozenset(
    {
        *("target", "proxy", "scale", "seed", "setting", "port", "runs_dir", "instance"),
        *("prometheus", "no_abort", "as_json", "events"),
        *("context", "namespace", "description", "engine", "dry_run"),
    }
)
_THEIRS = frozenset(
    parameter.name for parameter in chaostoolkit_run.params if parameter.name not in {"source", "journal_path"}
)


def _given(ctx: click.Context, names: frozenset[str | None]) -> list[str]:
    source = click.core.ParameterSource
    return sorted(
        parameter.opts[0]
        for parameter in ctx.command.params
        if parameter.name in names
        and ctx.get_parameter_source(str(parameter.name)) in (source.COMMANDLINE, source.ENVIRONMENT)
    )


@click.option(
    "--target",
    metavar="NAME|FILE",
    help="Where to run it (see `chaos doctor`), or a description.  [default: the file's, else embedded]",
)
@click.option(
    "--proxy",
    metavar="NAME",
    help="What its links go through, where the target has the choice: fault-proxy or toxiproxy, with --target docker.",
)
@click.option(
    "--scale",
    type=float,
    default=1.0,
    help="0.01 to 100: multiply every duration, the system's own timers included. Latencies do not shrink with it.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of load and target; drawn if absent.")
@click.option(
    "--set",
    "setting",
    metavar="NAME=VALUE",
    multiple=True,
    help="Set something on the system under test, such as breaker=off. Repeatable.",
)
@click.option("--port", metavar="SERVICE=PORT", multiple=True, help="Give a service a fixed port. Repeatable.")
@click.option(
    "--runs-dir",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where run folders are made.",
)
@click.option(
    "--instance", default="default", show_default=True, help="Name of the target's instance: two runs at once need two."
)
@click.option(
    "--prometheus",
    metavar="URL|auto",
    help="Ask this Prometheus server as well, or start one that scrapes the target; "
    "a bearer token is taken from BROWNOUT_PROMETHEUS_TOKEN.",
)
@click.option(
    "--no-abort",
    is_flag=True,
    help="Play to the end even when an abort condition is breached: the whole verdict table.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON; progress as JSON lines on stderr.")
@click.option(
    "--events",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write what happens to this file as it happens, one JSON object a line, the verdict last; - is stdout.",
)
@click.option("--context", metavar="NAME", help="Of the kubeconfig, for --target kubernetes. There is no default.")
@click.option("--namespace", metavar="NAME", help="Where its services are. There is no default.")
@click.option(
    "--description",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Which workloads are its services and links.  [default: those of target-stack/kubernetes]",
)
@click.option(
    "--engine",
    metavar="NAME",
    help="Have this do what it can: chaos-mesh, where that is installed (kubernetes).  [default: Brownout itself]",
)
@click.option("--dry-run", is_flag=True, help="Show every call that the faults would make, and do none (kubernetes).")
@click.pass_context
def _run(ctx: click.Context, /, source: str, **options: Any) -> None:
    """Run the experiment in SOURCE.

    SOURCE is a Brownout experiment, or a Chaos Toolkit experiment (a file or URL, JSON or YAML).

    Exit codes for a Brownout experiment: 0 passed, 1 failed, 2 bad input or environment, 3 inconclusive, 4 aborted.
    """
    from brownout.reader import looks_like_chaostoolkit

    ours = {name: options.pop(name) for name in _OURS}
    if looks_like_chaostoolkit(source):
        if refused := _given(ctx, _OURS):
            msg = f"{source} is a Chaos Toolkit experiment, which does not know {', '.join(refused)}"
            raise click.UsageError(msg, ctx)
        ctx.invoke(chaostoolkit_run, source=source, **options)
        return
    if refused := _given(ctx, _THEIRS):
        msg = f"{source} is a Brownout experiment, which does not know {', '.join(refused)}"
        raise click.UsageError(msg, ctx)
    from brownout.attachment import Attachment
    from brownout.prepare import RunOptions
    from brownout.prometheus.check import TOKEN
    from brownout.toolkit.execute import execute

    as_json, no_abort, events = ours.pop("as_json"), ours.pop("no_abort"), ours.pop("events")
    if as_json and str(events) == "-":
        msg = "--json and --events - both want stdout: give --events a file"
        raise click.UsageError(msg, ctx)
    attachment = Attachment(*(ours.pop(name) for name in ("context", "namespace", "description", "engine")))
    dry_run = ours.pop("dry_run")
    run_options = RunOptions(
        settings=ours.pop("setting"),
        ports=ours.pop("port"),
        heed_aborts=not no_abort,
        command=["chaos", *sys.argv[1:]],
        prometheus_token=os.environ.get(TOKEN) or None,
        attachment=attachment,
        **ours,
    )
    if dry_run:
        from brownout.cli._told import told
        from brownout.rehearsal import rehearse

        with told():
            rehearse(Path(source), run_options, say=click.echo)
        ctx.exit(0)
    journal = Path(options["journal_path"]) if _given(ctx, frozenset({"journal_path"})) else None
    verbose = bool(ctx.parent and ctx.parent.params.get("verbose"))
    ctx.exit(
        execute(
            Path(source),
            run_options,
            settings=ctx.obj["settings_path"],
            journal=journal,
            verbose=verbose,
            as_json=as_json,
            events=events,
        )
    )


def _merged() -> click.Command:
    """Our options beside all of the original's, so that nothing the original takes is lost."""
    command = click.command("run")(_run)
    known = {parameter.name for parameter in command.params}
    for parameter in chaostoolkit_run.params:
        if parameter.name not in known:
            theirs = copy.copy(parameter)
            if isinstance(theirs, click.Option) and parameter.name in _THEIRS:
                theirs.help = f"(Chaos Toolkit experiments only) {theirs.help or ''}".strip()
            command.params.append(theirs)
    return command


run = _merged()
