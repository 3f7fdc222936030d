"""`chaos validate`: the Chaos Toolkit's own command, which takes Brownout experiments too."""

from pathlib import Path
from typing import Any

import click
from chaostoolkit.commands.validate import validate as chaostoolkit_validate


@click.option(
    "--target", metavar="NAME|FILE", help="Check it against this target. [default: the file's, else embedded]"
)
@click.option("--proxy", metavar="NAME", help="And against this proxy on its links, as `chaos run` takes it.")
@click.option("--context", metavar="NAME", help="For --target kubernetes, as for `chaos run`.")
@click.option("--namespace", metavar="NAME", help="Likewise.")
@click.option("--description", type=click.Path(path_type=Path), metavar="FILE", help="Likewise.")
@click.pass_context
def _validate(ctx: click.Context, /, source: str, target: str | None, proxy: str | None, **options: Any) -> None:
    """Validate the experiment in SOURCE, a Brownout or a Chaos Toolkit experiment; starts nothing.

    A Brownout experiment is checked against its target: services, links, faults that it can do, settings.
    """
    from brownout.attachment import Attachment
    from brownout.cli._told import told
    from brownout.reader import looks_like_chaostoolkit

    attachment = Attachment(*(options.pop(name) for name in ("context", "namespace", "description")))
    if looks_like_chaostoolkit(source):
        said = [name for name, value in (("--target", target), ("--proxy", proxy)) if value is not None]
        if refused := [*said, *attachment.given]:
            msg = f"{source} is a Chaos Toolkit experiment, which does not know {', '.join(refused)}"
            raise click.UsageError(msg, ctx)
        ctx.invoke(chaostoolkit_validate, source=source, **options)
        return
    with told():
        from brownout.prepare import RunOptions, check

        name = check(Path(source), RunOptions(target=target, proxy=proxy, attachment=attachment))
    through = f", through {proxy}" if proxy else ""
    click.echo(f"{source} is valid for the {name} target{through}")


def _merged() -> click.Command:
    command = click.command("validate")(_validate)
    known = {parameter.name for parameter in command.params}
    command.params += [parameter for parameter in chaostoolkit_validate.params if parameter.name not in known]
    return command


validate = _merged()
