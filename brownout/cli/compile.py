"""`chaos compile`: an experiment as the Chaos Toolkit reads it."""

import json
from pathlib import Path
from typing import Any

import click


@click.command("compile")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write here; stdout if absent.")
@click.option("--to", metavar="ENGINE", help="Instead: the faults alone, as chaos-mesh is told them (YAML).")
@click.option("--target", metavar="NAME", help="With --to.  [default: the file's]")
@click.option("--context", metavar="NAME", help="With --to: of the kubeconfig.")
@click.option("--namespace", metavar="NAME", help="With --to: where its services are.")
@click.option("--description", type=click.Path(path_type=Path), metavar="FILE", help="With --to: as for `chaos run`.")
def compile_(source: Path, output: Path | None, to: str | None, **at: Any) -> None:
    """Compile the Brownout experiment in SOURCE to an ordinary Chaos Toolkit experiment (JSON).

    With --to chaos-mesh: to objects of Chaos Mesh. The cluster is asked for its pods' labels, and nothing is done.
    """
    from brownout.cli._told import told
    from brownout.errors import EnvironmentProblem, InvalidInput
    from brownout.reader import looks_like_chaostoolkit, read_experiment
    from brownout.toolkit.compile import compile_experiment

    with told():
        if looks_like_chaostoolkit(str(source)):
            msg = f"{source} is a Chaos Toolkit experiment already"
            raise InvalidInput(msg)
        if to is not None:
            text = _translated(source, to, **at)
        elif given := [f"--{name}" for name, value in at.items() if value is not None]:
            msg = f"{', '.join(given)}: only with --to"
            raise InvalidInput(msg)
        else:
            text = json.dumps(compile_experiment(read_experiment(source)), indent=2, ensure_ascii=False) + "\n"
        if output is None:
            click.echo(text, nl=False)
            return
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            msg = f"{output} cannot be written: {error.strerror}"
            raise EnvironmentProblem(msg) from error


def _translated(source: Path, to: str, target: str | None, **at: Any) -> str:
    import yaml

    from brownout.attachment import Attachment
    from brownout.prepare import RunOptions
    from brownout.translation import translate

    # So that everything that the engine can be told is let through.
    options = RunOptions(target=target, attachment=Attachment(**at, engine=to))
    objects = [dict(one) for one in translate(source, to, options)]
    text: str = yaml.safe_dump_all(objects, sort_keys=False)
    return text
