"""What happens to the requests that a link carries."""

from dataclasses import dataclass
from typing import ClassVar

from brownout.breakage.model import Breakage, Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFailure(Breakage):
    """An LLM provider fails, in its own words, on some requests or on all of them: see `brownout.dialect`."""

    kind: ClassVar[str] = "link.provider_failure"
    http: ClassVar[bool] = True
    provider: str
    """Or one of its dialects."""
    failure: str
    """The name of a `brownout.dialect.Failure`; or `silent`: nothing comes, and after `delay` the connection closes."""
    retry_after: float = 20.0
    after: int = 3
    delay: float = 30.0
    gap: float = 2.0
    factor: int = 100
    answering: str | None = None
    """These five are what `brownout.dialect.Options` says; the last one is its `model`."""
    first: int | None = None
    every: int | None = None
    share: float | None = None
    """These three are what `brownout.dialect.Selection` says."""
    seed: int | None = None
    """With a seed the same requests are taken, by their order, in every run; without one, chance is the target's."""
    path: str | None = None
    header: str | None = None
    model: str | None = None
    tenant: str | None = None
    """Only requests to that path, with that header (`name`, or `name: value`), for that model, of that tenant; all with
    `*` as in a file name."""

    @property
    def reach(self) -> Reach:
        """A share of the requests, of one tenant's. How many `first` are of all that will come, nobody knows."""
        named = self.tenant is not None and not set(self.tenant) & set("*?[")
        return Reach((self.share or 1.0) / (self.every or 1), self.tenant if named else None)
