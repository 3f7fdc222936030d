"""What some targets, or what they are made by, can do as well: whoever needs it asks with `isinstance`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from brownout.attachment import Attachment
from brownout.breakage import Breakage, Place
from brownout.target.model import Document
from brownout.target.observed import Happening, Reading
from brownout.target.protocol import Say, TargetFactory

if TYPE_CHECKING:
    from brownout.load.remote import Remote


@runtime_checkable
class KnowsDocuments(Protocol):
    """A target that knows what documents the system holds; without it neither faithfulness nor isolation is judged."""

    def documents(self) -> Sequence[Document]: ...


@runtime_checkable
class TakesDocuments(Protocol):
    """A target that documents can be stored in while it runs; without it no experiment writes any."""

    async def store(self, document: Document) -> None:
        """Return when the system has acknowledged it.

        Raises:
            NotAcknowledged: it refused, or did not answer.
        """

    async def stored(self) -> Sequence[str]:
        """The id of every document that the system holds, as often as it holds it.

        Raises:
            NotAcknowledged: it does not tell.
        """


@runtime_checkable
class HasPlatform(Protocol):
    """A target whose services are run by something that tells more of them than their states."""

    async def readings(self) -> Sequence[Reading]:
        """Its figures, now. Raises `OSError` or `BrownoutError` where they cannot be read."""

    async def happenings(self) -> Sequence[Happening]:
        """What happened since the last call, each once; waits for it, a second at most. Raises as `readings` does, and
        then the next call has what this one would have told."""


@runtime_checkable
class LoadsFromElsewhere(Protocol):
    """A target that may have the load put on from another place than this process."""

    def load_from(self) -> "Remote | None":
        """Where that is; None where it is this process after all."""


@runtime_checkable
class TakesDescriptions(Protocol):
    """A registered target that is one of many: each is described in a file."""

    def of(self, path: Path) -> TargetFactory:
        """The target that the file describes.

        Raises:
            InvalidInput: the file cannot be read, or something in it is wrong.
        """


@runtime_checkable
class ChoosesProxy(Protocol):
    """A registered target whose links can go through one of several proxies."""

    proxies: tuple[str, ...]
    """Their names; it is the first unless another one is asked for."""

    def through(self, proxy: str) -> TargetFactory:
        """The same target, with its links through that one of `proxies`."""


@runtime_checkable
class Attaches(Protocol):
    """A registered target that is somebody's running system, which is said anew for each run."""

    def to(self, attachment: Attachment) -> TargetFactory:
        """The target that is meant.

        Raises:
            InvalidInput: something that it needs is not said, or wrong.
        """


@runtime_checkable
class Rehearses(Protocol):
    """A target that can say what it would do, and ask the system itself whether it could, without doing it."""

    async def rehearse(self, steps: Sequence[tuple[Place, Breakage]], say: Say) -> None:
        """Tell of every step what would be done.

        Raises:
            BrownoutError: it could not be.
        """


@runtime_checkable
class Prepares(Protocol):
    """A target that has to get ready for some breakages, which would come late otherwise."""

    async def prepare(self, place: Place, breakage: Breakage, say: Say) -> None:
        """Get ready for it, before the load is on; nothing is broken yet. `down` undoes it.

        Raises:
            FaultError: it could not be done to the system as it is.
        """


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One breakage of an experiment, to be said to somebody else who does it."""

    name: str
    """For the object that it becomes: lower-case letters, digits and `-`."""
    duration: float
    place: Place
    breakage: Breakage


@runtime_checkable
class CompilesTo(Protocol):
    """A target whose faults another engine can do."""

    async def compiled(self, to: str, steps: Sequence[CompiledStep]) -> Sequence[Mapping[str, Any]]:
        """What that engine is told, one object for each, in order.

        Raises:
            BrownoutError: it knows no such engine, or that one cannot be told this.
        """


@runtime_checkable
class KeepsLedger(Protocol):
    """A target whose faults are written down where they act as well, so that anybody can heal them from anywhere."""

    async def heal_lapsed(self, *, force: bool) -> Sequence[str]:
        """Undo every fault that nobody renews, with `force` those that somebody does; tells what it did.

        Raises:
            BrownoutError: something could not be undone.
        """


@runtime_checkable
class IsDescribed(Protocol):
    """A target factory made from a description."""

    @property
    def description(self) -> str:
        """Its text without secrets; kept with the run."""
