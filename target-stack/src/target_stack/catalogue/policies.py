"""Which policy a request is served by, and who may change that."""

from collections.abc import Iterator

from target_stack.catalogue.forms import choice, io_timeout, span, switch, text
from target_stack.setting import Setting

__all__ = ["policies"]


def policies() -> Iterator[Setting]:
    """Yield the settings of policies and feature flags."""
    yield choice(
        "policy.default", "balanced", ("strict", "balanced", "available"), "Policy of a use case that is not named."
    )
    yield text(
        "policy.use-cases",
        "legal=strict,medical=strict,finance=strict",
        "Policies of use cases, for requests that ask for none, where no flag says otherwise.",
    )
    yield switch(
        "feature-flags",
        "A flag service that says the policy of each use case, and is asked all the time. Off: there is none.",
        default=False,
    )
    yield switch(
        "flags.last-known",
        "Keeping to the last known flags while the flag service is away. Off: the configured policies count then.",
    )
    yield text(
        "flags.initial",
        "",
        "Flags that the service starts with: use cases and their policies; * is every other use case.",
    )
    yield span("flags.interval", 1.0, "Between two questions to the flag service.")
    yield io_timeout("flags.timeout", 0.5, "One question to the flag service.")
