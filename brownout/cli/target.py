"""`chaos target`: a system of the user's own, described so that it can be broken."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from brownout.system import Topology

OPENAI = "https://api.openai.com/v1"
_OF_REQUESTS = "provider_failure"
"""What can be done to a link that carries HTTP alone."""


@click.group()
def target() -> None:
    """Describe a system of your own, and see what of it can be broken."""


@target.command()
@click.option("--app", metavar="URL", help="Where it answers.  [default: http://127.0.0.1:8000]")
@click.option("--start", metavar="COMMAND", help="What starts it. Without: it runs already.")
@click.option("--workdir", metavar="FOLDER", default=".", show_default=True, help="Where it is started.")
@click.option("--llm-env", metavar="NAME", help="What tells it its provider's base URL.  [default: OPENAI_BASE_URL]")
@click.option("--llm", metavar="URL", help=f"That base URL.  [default: {OPENAI}]")
@click.option("--model", help="What the questions name as their model.")
@click.option("--token-env", metavar="NAME", help="The variable that holds the bearer token for its door.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("chaos"), show_default=True)
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing: take what is given, and the defaults.")
def init(folder: Path, *, workdir: str, force: bool, yes: bool, **given: str | None) -> None:
    """Write a description of your system, questions for it, and a first experiment.

    Exit codes: 0 written, 2 not: something that was given is wrong, or the files are there already.
    """
    import os

    from brownout import scaffold
    from brownout.cli._told import told
    from brownout.errors import EnvironmentProblem, InvalidInput
    from brownout.prepare import check as check_experiment

    def asked(name: str, question: str, default: str) -> str:
        found = given[name]
        if found is None and not yes:
            found = click.prompt(question, default=default, show_default=bool(default)).strip()
        return default if found is None else found

    app = asked("app", "Where does your app answer?", "http://127.0.0.1:8000")
    start = asked("start", "Which command starts it? (empty: it runs already)", "")
    llm_env = asked("llm_env", "Which environment variable tells it its LLM provider's base URL?", "OPENAI_BASE_URL")
    llm = asked("llm", "What is that URL?", os.environ.get(llm_env) or OPENAI)
    with told():
        answers = scaffold.Answers(
            app=app,
            llm=llm,
            llm_env=llm_env,
            start=start or None,
            workdir=os.path.relpath(workdir, folder),
            model=given["model"],
            token_env=given["token_env"],
        )
        files = scaffold.files_for(answers)
        there = [folder / name for name in files if (folder / name).exists()]
        if there and not force:
            msg = f"{', '.join(map(str, there))}: there already; --force overwrites"
            raise InvalidInput(msg)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            msg = f"{folder} cannot be written to: {error.strerror}"
            raise EnvironmentProblem(msg) from error
        experiment = folder / scaffold.EXPERIMENT
        check_experiment(experiment)
    for name in files:
        click.echo(f"wrote {folder / name}")
    questions = scaffold.RATE * scaffold.DURATION
    click.echo(f"A run asks some {questions} questions; where the provider is paid for, they cost what they cost.")
    if not start:
        click.echo(f"For a run, let your app's {llm_env} be {scaffold.base_url(answers)}")
    click.echo(f"Next: chaos run {experiment}")


@target.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Say what of the system that FILE describes can be broken, and what cannot. Starts nothing.

    Exit codes: 0 the description is right, 2 it is not.
    """
    from brownout.cli._told import told
    from brownout.errors import EnvironmentProblem
    from brownout.targets import chosen

    with told():
        # With a slash it is a path, whatever it is called.
        factory = chosen(str(file) if "/" in str(file) else f"./{file}")
        if lacks := factory.check():
            msg = f"{file} cannot be used on this machine: {'; '.join(lacks)}"
            raise EnvironmentProblem(msg)
        topology = factory.topology_of({})
    for line in _lines(topology):
        click.echo(line)


def _lines(topology: "Topology") -> list[str]:
    def can(prefix: str) -> str:
        return ", ".join(sorted(one.removeprefix(prefix) for one in topology.capabilities if one.startswith(prefix)))

    lines = []
    for service in topology.services:
        ours = service not in topology.attached
        what = can("service.") if ours else "not started by Brownout; only its links can be broken"
        lines.append(f"{service}: {what}")
    for link in topology.links:
        http = link in topology.http_links
        found = can("link.") if http else can("link.").replace(f"{_OF_REQUESTS}, ", "")
        lines.append(f"{' → '.join(link)} ({'HTTP' if http else 'no HTTP'}): {found}")
    lines += [f"cannot {what}: {why}" for what, why in sorted(topology.lacking.items())]
    for why in dict.fromkeys(topology.unjudged.values()):
        probes = ", ".join(probe for probe, reason in topology.unjudged.items() if reason == why)
        lines.append(f"cannot judge {probes}: {why}")
    return lines
