"""Which target is meant by what a user wrote after `--target`, or in an experiment's `target:`.

A name is that of an installed target. A path (with a `/`, or ending in `.yaml` or `.yml`) is a description of a system
of the user's own, which the target installed as `described` makes a target of.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from brownout import registry
from brownout.attachment import NOWHERE, Attachment
from brownout.errors import EnvironmentProblem, InvalidInput, Location, shown
from brownout.target import Attaches, ChoosesProxy, TakesDescriptions, TargetFactory

DEFAULT_TARGET = "embedded"
DESCRIBED = "described"
"""The target that descriptions are for, by its name under the entry point group `brownout.targets`."""


def chosen(
    text: str, *, at: Location | None = None, attachment: Attachment = NOWHERE, proxy: str | None = None
) -> TargetFactory:
    """The target that is meant; `at` is where the user named it, and a path there is relative to that file.

    Args:
        text: what the user wrote.
        at: where.
        attachment: which running system is meant, for a target that is attached to one.
        proxy: what its links are to go through; None for what the target uses unasked.

    Raises:
        InvalidInput: there is none, its description is wrong, or its links cannot go through that proxy.
        EnvironmentProblem: it is installed, and cannot be imported.
    """
    factory = _chosen(text, at=at, attachment=attachment)
    return factory if proxy is None else _through(factory, text, proxy)


def _through(factory: TargetFactory, text: str, proxy: str) -> TargetFactory:
    if not isinstance(factory, ChoosesProxy):
        choosing = [repr(name) for name in registry.targets().names() if _chooses(name)]
        where = f" (target {', '.join(choosing)} has the choice)" if choosing else ""
        msg = f"--proxy {proxy}: the links of target {text!r} go through Brownout's own fault proxy only{where}"
        raise InvalidInput(msg)
    if proxy not in factory.proxies:
        msg = f"--proxy {shown(proxy)}: target {text!r} knows no such proxy"
        raise InvalidInput(msg, value=proxy, allowed=factory.proxies)
    return factory.through(proxy)


def _chooses(name: str) -> bool:
    with suppress(EnvironmentProblem):
        return isinstance(registry.targets().get(name), ChoosesProxy)
    return False


def _chosen(text: str, *, at: Location | None, attachment: Attachment) -> TargetFactory:
    targets = registry.targets()
    if not _is_path(text) and text in targets and isinstance(attaching := targets.get(text), Attaches):
        return attaching.to(attachment)
    if attachment.given:
        msg = f"{', '.join(attachment.given)}: target {text!r} is not attached to anything; leave that out"
        raise InvalidInput(msg)
    if _is_path(text):
        descriptions = targets.get(DESCRIBED, at=at)
        if not isinstance(descriptions, TakesDescriptions):
            msg = f"the target installed as {DESCRIBED!r} takes no descriptions"
            raise EnvironmentProblem(msg)
        return descriptions.of(Path(located(text, at=at)))
    if text == DESCRIBED and text in targets:
        msg = (
            f"target {text!r} is a system of your own: name the file that describes it (`chaos target init` writes one)"
        )
        raise InvalidInput(msg, at=at, value=text)
    if text not in targets:
        msg = f"unknown target {text!r}"
        raise InvalidInput(msg, at=at, value=text, allowed=(*targets.names(), "a path to a description"))
    return targets.get(text)


def located(text: str, *, at: Location | None = None) -> str:
    """The same, but a path is as seen from the working directory."""
    if not _is_path(text):
        return text
    path = Path(at.file).parent / text if at is not None else Path(text)
    # With a slash, by which it is known for a path again.
    return os.path.join(os.path.dirname(path) or ".", path.name)  # noqa: PTH118, PTH120 - a Path would drop the "./"


def registered(text: str) -> str:
    """The name under which that target is installed, where `chaos heal` finds it."""
    return DESCRIBED if _is_path(text) else text


def lock_name(text: str, instance: str) -> str:
    """A file name for what two runs exclude each other by: one instance of an installed target, or one description.

    A system of the user's own is one, whatever its runs call themselves.
    """
    if not _is_path(text):
        return f"{text}-{instance}"
    path = Path(text).resolve()
    return f"{DESCRIBED}-{path.stem[:40]}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"


def has_instances(text: str) -> bool:
    """Whether several of that target can be up at once."""
    return not _is_path(text)


def _is_path(text: str) -> bool:
    return "/" in text or text.endswith((".yaml", ".yml"))
