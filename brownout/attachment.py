"""Which running system a target is attached to, where it is not one that is brought up: what a user says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Attachment:
    """As written on the command line, not yet checked."""

    context: str | None = None
    """Of the kubeconfig. There is no default: what is broken is named."""
    namespace: str | None = None
    description: Path | None = None
    """What its services and links are; None for those of the reference stack."""
    engine: str | None = None
    """Who does the work there; None for the target itself."""

    @property
    def given(self) -> tuple[str, ...]:
        """The options that say anything."""
        return tuple(self._said)

    @property
    def arguments(self) -> tuple[str, ...]:
        """As on the command line."""
        return tuple(text for name, value in self._said.items() for text in (name, str(value)))

    @property
    def _said(self) -> Mapping[str, object]:
        said = {"--context": self.context, "--namespace": self.namespace, "--description": self.description}
        return {name: value for name, value in (said | {"--engine": self.engine}).items() if value is not None}


NOWHERE = Attachment()
