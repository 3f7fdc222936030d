"""What the faults of a provider have in common: they say how it fails and on which requests."""

from typing import Any, TypedDict

from brownout.breakage import ProviderFailure
from brownout.dialect import Options, Selection, dialects_offering
from brownout.units import Share

from ._milliseconds import refuse_shorter

_FIRST_SEED, _LAST_SEED = 1, 2**63 - 1


class Selected(TypedDict, total=False):
    """Which of the requests for the provider's API fail: all of them, where nothing is said.

    Args:
        first: only the first so many of the requests that are meant.
        every: only every second, third, ... of them.
        share: only that share of them, at random.
        seed: with a seed, 1 or more, the same requests are taken, by their order, in every run.
        path: only requests to that path; in this and the next three, `*` stands for anything.
        header: only requests with that header, `name` or `name: value`.
        model: only requests for that model.
        tenant: only requests of that tenant, whom the caller names in the header `x-tenant-id`.
    """

    first: int | None
    every: int | None
    share: Share | None
    seed: int | None
    path: str | None
    header: str | None
    model: str | None
    tenant: str | None


def failing(failure: str, *, provider: str, **given: Any) -> ProviderFailure:
    """The breakage, where it is one that there can be.

    Args:
        failure: what happens, by the name of the vocabulary.
        provider: whose failure it is.
        **given: the other fields of `ProviderFailure`.

    Raises:
        InvalidInput: there is no such provider, or a value makes no sense.
        NotOffered: the provider has no such failure.
        ValueError: the seed is none, or a span too short to be any.
    """
    dialects_offering(provider, failure)
    breakage = ProviderFailure(provider=provider, failure=failure, **given)
    Options(
        retry_after=breakage.retry_after,
        after=breakage.after,
        delay=breakage.delay,
        gap=breakage.gap,
        factor=breakage.factor,
        model=breakage.answering,
    )
    refuse_shorter(delay=breakage.delay, gap=breakage.gap)
    Selection(first=breakage.first, every=breakage.every, share=breakage.share)
    if breakage.seed is not None and not _FIRST_SEED <= breakage.seed <= _LAST_SEED:
        msg = "seed: must be between 1 and 2^63-1"
        raise ValueError(msg)
    return breakage
