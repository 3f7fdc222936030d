"""What is kept of earlier questions, and for how long."""

from collections.abc import Iterator

from target_stack.catalogue.forms import choice, io_timeout, positive, share, span, switch
from target_stack.setting import Setting

__all__ = ["caches"]


def caches() -> Iterator[Setting]:
    """Yield the settings of the caches."""
    yield io_timeout("cache.timeout", 0.25, "One cache command, with connect.")
    yield span("exact-cache.ttl", 3600.0, "How long an answer is served to the same question over the same documents.")
    yield span("fallback-cache.ttl", 86400.0, "How long retrieval results and last answers are kept for the ladder.")
    yield span("balanced.max-staleness", 3600.0, "Oldest cached documents and answers under the balanced policy.")
    yield choice(
        "semantic-cache",
        "on",
        ("on", "off", "careless"),
        "Giving the answer to another question that means the same when no model answers. Careless: the answer to the "
        "nearest one, however far it is and whatever it is after.",
    )
    yield switch(
        "semantic-cache.healthy",
        "Giving such an answer also while all is well, instead of asking a model.",
        default=False,
    )
    yield switch(
        "semantic-cache.strict", "That under the strict policy too, over the very same documents.", default=False
    )
    yield share("semantic-cache.similarity", 0.92, "Cosine from which questions mean the same.")
    yield share("semantic-cache.strict-similarity", 0.98, "That cosine under the strict policy.")
    yield span("semantic-cache.ttl", 3600.0, "How long an answer is kept for other questions.")
    yield positive("semantic-cache.slots", 64, "Answers kept for one intent of one tenant, at most.")
