"""Who answers: models, providers, their prices, the limits on calling them, and what calls may be repeated."""

from collections.abc import Iterator

from target_stack.catalogue.forms import choice, integer, io_timeout, share, span, switch, text, time
from target_stack.catalogue.names import PROVIDERS
from target_stack.setting import Setting

__all__ = ["models"]


def models() -> Iterator[Setting]:
    """Yield the settings of models and providers."""
    yield text("main-model", "atlas-large", "Model of levels 0 to 2.")
    yield text("small-model", "atlas-mini", "Model of level 3.")
    yield text(
        "providers.shares",
        "80/15/5",
        "Who is asked first, in shares, by place in the chain: those behind the first are kept warm. A shorter "
        "chain takes the first ones.",
    )
    yield switch("providers.tertiary", "A third provider at the end of the chain. Off: there is none.", default=False)
    yield choice(
        "main-model.served-by",
        "provider",
        ("provider", "self-hosted"),
        "Who serves the main model first. Self-hosted: the inference replicas, with the providers behind them.",
    )
    yield time("router.urgent", 5.0, "Who waits no longer than this is in a hurry.")
    yield integer("router.simple", 0, "Signs of a hard question, at most, that a simple one has; there are four.")
    yield text(
        "prices", "atlas-large=2.00/8.00,atlas-mini=0.15/0.60", "USD per million prompt/completion tokens, per model."
    )
    yield io_timeout("llm.connect-timeout", 1.0, "Connecting to a provider.")
    yield io_timeout("llm.first-token-timeout", 5.0, "From the request to a provider's first token.")
    yield io_timeout("llm.inter-token-timeout", 2.0, "Between two tokens of a stream.")
    yield io_timeout("llm.timeout", 30.0, "One whole call of a provider.")
    yield integer("llm.max-attempts", 3, "Calls of providers and replicas for one request, at most.")
    yield span("retry.backoff", 1.0, "Wait before the first retry; doubled for each more, with a jitter of 50 %.")
    yield span("retry.backoff-cap", 60.0, "Longest wait before a retry; a longer Retry-After is not waited for.")
    yield share("retry.budget", 0.1, "Retries of all requests together, as a share of the requests.")
    yield integer("retry.reserve", 10, "Retries that may be saved up while few are needed.")
    yield io_timeout(
        "deadline.limit", 60.0, "Deadline of a request that states none, and the longest that one may state."
    )
    yield time("deadline.margin", 0.5, "What a downstream call's time is shorter by than what the caller waits.")
    for name in PROVIDERS:
        yield from _provider(name)


def _provider(name: str) -> Iterator[Setting]:
    yield text(f"{name}.model", "atlas-large,atlas-mini", "Models that the provider serves, comma-separated.")
    yield time(f"{name}.ttft", 0.08, "Median time to the first token; sigma 0.25, lognormal.")
    yield time(f"{name}.tpot", 0.008, "Median time per output token; sigma 0.25, lognormal.")
