"""What the faults of a provider have in common: they say how it fails and on which requests."""

from typing import Any

from brownout.breakage import ProviderFailure
from brownout.dialect import Options, Selection, dialects_offering

_FIRST_SEED, _LAST_SEED = 1, 2**63 - 1


def failing(failure: str, *, provider: str, **given: Any) -> ProviderFailure:
    """The breakage, where it is one that there can be.

    Args:
        failure: what happens, by the name of the vocabulary.
        provider: whose failure it is.
        **given: the other fields of `ProviderFailure`.

    Raises:
        InvalidInput: there is no such provider, or a value makes no sense.
        NotOffered: the provider has no such failure.
        ValueError: the seed is none.
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
    Selection(first=breakage.first, every=breakage.every, share=breakage.share)
    if breakage.seed is not None and not _FIRST_SEED <= breakage.seed <= _LAST_SEED:
        msg = "seed: must be between 1 and 2^63-1"
        raise ValueError(msg)
    return breakage
