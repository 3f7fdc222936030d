"""What can be switched off or weakened: an experiment is worth what it can catch."""

from collections.abc import Iterator

from target_stack.catalogue.forms import choice, switch
from target_stack.setting import Setting

__all__ = ["switches"]


def switches() -> Iterator[Setting]:
    """Yield every defence and every other part that can be on or off."""
    yield switch("fallbacks", "The degradation ladder. Off: an answer without fresh retrieval is refused with 503.")
    yield switch("failover", "Trying the next provider. Off: only the one whose turn it is, or one replica.")
    yield switch("breaker", "Circuit breakers. Off: every call goes through and no state changes.")
    yield switch(
        "honour-retry-after",
        "Leaving a provider alone for as long as its 429 asks. Off: the next request asks it again at once.",
    )
    yield choice(
        "retry",
        "on",
        ("on", "off", "naive"),
        "Retries of models. Off: nothing is called twice for one request. Naive: everything is tried three times, at "
        "once, without backoff or budget.",
    )
    yield switch(
        "deadline",
        "Deadlines that travel with every call. Off: none, and the work for a caller who has left goes on to its end.",
    )
    yield switch("rate-limit", "So many requests a minute for each user and each address. Off: any number.")
    yield switch("bulkhead", "A queue for each tier, and a limit on concurrent work. Off: all requests at once.")
    yield switch(
        "backpressure",
        "Letting in fewer when inference workers say that they are nearly full. Off: they are asked all the same.",
    )
    yield switch(
        "singleflight",
        "Giving one answer to identical questions that come at the same time. Off: each is put to a model.",
    )
    yield switch("service-modes", "Reduced and emergency service under load or failure. Off: always full service.")
    yield switch("hysteresis", "Changing the service's mode slowly. Off: it follows every reading at once.")
    yield switch(
        "router", "Asking the small model first where a caller is in a hurry and the question is simple. Off: never."
    )
    yield switch("disclosure", "Saying that an answer is degraded. Off: degraded answers claim to be at level 0.")
    yield choice(
        "tenant-filter",
        "on",
        ("on", "fresh-only", "off"),
        "Keeping tenants' documents apart. Off: no search and no cache looks at the tenant. Fresh-only: fresh "
        "retrieval does; what stands in for it (keyword search, cached documents, cached answers) does not.",
    )
    yield switch(
        "tombstones",
        "Never serving a document that was deleted. Off: copies of it are served as long as there are any: its row "
        "until the next purge, and what caches hold for as long as they do.",
    )
    yield switch(
        "quarantine",
        "Never serving a document whose vector is corrupt. Off: vectors are not looked at, and their documents served.",
    )
    yield switch("cache", "The cache, for answers and for retrieval results.")
    yield switch(
        "exact-cache",
        "Answering from the exact cache at level 0. Off: every question reaches a provider; answers are still stored.",
    )
