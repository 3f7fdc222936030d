"""Every number and switch of the stack, by name: one catalogue for all roles.

Standard library only and cheap to import: `target-stack settings --json` must answer at once.
"""

import difflib
import json
from collections.abc import Iterator, Mapping

from target_stack.setting import ConfigurationError, Kind, Setting, SettingsError, Value

__all__ = [
    "CATALOGUE",
    "DEPENDENCIES",
    "PROVIDERS",
    "REPLICAS",
    "TERTIARY",
    "ConfigurationError",
    "Setting",
    "Settings",
    "SettingsError",
]

PROVIDERS = ("llm-primary", "llm-secondary", "llm-tertiary")
TERTIARY = PROVIDERS[-1]
"""The provider that is there only where the settings want it."""
REPLICAS = ("inference-1", "inference-2")
"""The inference workers, where the main model is self-hosted."""
DEPENDENCIES = ("vector-db", "cache", "embedding", *PROVIDERS, *REPLICAS)

IO_TIMEOUT_FLOOR_S = 0.5
"""Scaling never takes an I/O timeout below this: a network does not get faster because a run is shorter."""


def _switch(name: str, doc: str) -> Setting:
    return Setting(name=name, type="switch", default=True, doc=doc)


def _io_timeout(name: str, default: float, doc: str) -> Setting:
    doc = f"{doc} Scaling never takes it below 500 ms."
    return Setting(name=name, type="duration", default=default, doc=doc, scaled=True, floor=IO_TIMEOUT_FLOOR_S)


def _span(name: str, default: float, doc: str) -> Setting:
    return Setting(name=name, type="duration", default=default, doc=doc, scaled=True)


def _breaker(dependency: str, *, failures: int, recovery: float) -> Iterator[Setting]:
    prefix = f"{dependency}.breaker."
    yield Setting(
        name=prefix + "failures", type="integer", default=failures, doc="Consecutive failures that open the breaker."
    )
    yield Setting(
        name=prefix + "error-rate", type="share", default=0.1, doc="Share of failed calls in the window that opens it."
    )
    yield _span(prefix + "window", 10.0, "Length of the rolling window for the error rate.")
    yield Setting(
        name=prefix + "min-calls", type="integer", default=20, doc="Calls in the window before the error rate counts."
    )
    yield _span(prefix + "recovery", recovery, "How long it stays open before it lets probes through.")
    yield Setting(
        name=prefix + "probes", type="integer", default=3, doc="Half-open calls, all of which must succeed to close it."
    )
    yield Setting(
        name=prefix + "unstable-cycles",
        type="integer",
        default=3,
        doc="More open/close cycles than this within the unstable window make the dependency unstable.",
    )
    yield _span(prefix + "unstable-window", 600.0, "Window in which open/close cycles are counted.")
    yield _span(prefix + "unstable-recovery", 300.0, "Recovery time of an unstable dependency.")


def _provider(name: str) -> Iterator[Setting]:
    yield Setting(
        name=f"{name}.model",
        type="text",
        default="atlas-large,atlas-mini",
        doc="Models that the provider serves, comma-separated.",
    )
    yield Setting(
        name=f"{name}.ttft", type="duration", default=0.08, doc="Median time to the first token; sigma 0.25, lognormal."
    )
    yield Setting(
        name=f"{name}.tpot", type="duration", default=0.008, doc="Median time per output token; sigma 0.25, lognormal."
    )


def _choice(name: str, default: str, choices: tuple[str, ...], doc: str) -> Setting:
    doc = f"{doc} One of: {', '.join(choices)}."
    return Setting(name=name, type="text", default=default, doc=doc, choices=choices)


def _integer(name: str, default: int, doc: str) -> Setting:
    return Setting(name=name, type="integer", default=default, doc=doc)


def _positive(name: str, default: float, doc: str) -> Setting:
    kind: Kind = "integer" if isinstance(default, int) else "number"
    return Setting(name=name, type=kind, default=default, doc=doc, positive=True)


def _time(name: str, default: float, doc: str) -> Setting:
    return Setting(name=name, type="duration", default=default, doc=doc)


def _admission() -> Iterator[Setting]:
    for tier, per_minute in (("enterprise", 1000), ("pro", 200), ("free", 20)):
        yield _positive(f"rate-limit.{tier}.per-minute", per_minute, f"Requests of one {tier} user, or one address.")
    yield _positive("rate-limit.burst", 2.0, "How many minutes' worth may come at once.")
    yield _positive("bulkhead.concurrency", 128, "Requests worked on at a time.")
    for tier, share, queue in (("enterprise", 1.0, 500), ("pro", 0.5, 200), ("free", 0.25, 50)):
        yield Setting(
            name=f"bulkhead.{tier}.share", type="share", default=share, doc=f"Share of those that {tier} may have."
        )
        yield _integer(f"bulkhead.{tier}.queue", queue, f"Requests of {tier} that may wait.")
    yield _time("bulkhead.retry-after", 30.0, "Retry-After of a request that was shed from a queue.")
    yield _span("backpressure.hold", 2.0, "How long the word of a worker counts; its Retry-After when that is longer.")
    yield _span("backpressure.patience", 2.0, "How long only the free tier is shed before pro is too.")


def _modes() -> Iterator[Setting]:
    def share(name: str, default: float, doc: str) -> Setting:
        return Setting(name=name, type="share", default=default, doc=doc)

    yield share("mode.busy", 0.9, "Utilisation of the bulkhead above which service is reduced.")
    yield _span("mode.busy-for", 30.0, "How long it must be above that.")
    yield share("mode.failing", 0.05, "Share of questions that no model answers above which service is reduced.")
    yield share("mode.dead", 0.5, "The share above which it goes into emergency mode.")
    yield _span("mode.failing-for", 10.0, "How long either share must be above that.")
    yield share("mode.calm", 0.7, "Utilisation below which a step up is possible.")
    yield share("mode.healthy", 0.01, "Share of unanswered questions below which a step up is possible.")
    yield _span("mode.recovery", 300.0, "How long both must be below that before each step up.")
    yield _span(
        "mode.window", 4.0, "Window in which questions are counted: so short that a burst is over before the 10 s are."
    )
    yield _integer("mode.min-questions", 10, "Questions in the window before their share counts.")


def _inference() -> Iterator[Setting]:
    yield Setting(name="inference.model", type="text", default="atlas-large", doc="Model that the replicas serve.")
    yield _choice(
        "inference.memory",
        "auto",
        ("auto", "host", "cuda"),
        "Memory behind the KV cache; auto takes a CUDA device where there is one.",
    )
    yield _choice(
        "inference.on-oom",
        "preempt",
        ("reject", "preempt", "die"),
        "When memory for a block is refused: the request fails, others give way and new ones wait, or the engine dies.",
    )
    yield _span("inference.dead-linger", 2.0, "How long a worker whose engine is dead answers 500 before it exits.")
    yield _span("inference.load-time", 3.0, "Loading the model, at every start.")
    yield _integer("inference.kv-blocks", 2048, "Blocks of the KV cache.")
    yield _integer("inference.block-size", 16, "Tokens in a block.")
    yield _integer("inference.kv-bytes-per-token", 4096, "Memory for the keys and values of one token.")
    yield _integer("inference.max-num-seqs", 64, "Sequences in one batch, at most.")
    yield _integer("inference.max-model-len", 4096, "Tokens of prompt and answer together, at most.")
    yield _integer("inference.max-num-batched-tokens", 2048, "Tokens of one step, unless one prompt is longer.")
    yield _time("inference.step-time", 0.006, "Median time of a step, whatever it does; sigma 0.1, lognormal.")
    yield _time("inference.prefill-time", 0.00003, "What each prompt token adds to a step.")
    yield _time("inference.decode-time", 0.0001, "What each sequence adds to a step.")
    yield _switch(
        "inference.backpressure", "Refusing requests with 503 when there is little room left. Off: they queue."
    )
    yield Setting(
        name="inference.backpressure-at",
        type="share",
        default=0.85,
        doc="Utilisation, of blocks or of seats, above which requests are refused.",
    )


def _policies() -> Iterator[Setting]:
    yield _choice(
        "policy.default", "balanced", ("strict", "balanced", "available"), "Policy of a use case that is not named."
    )
    yield Setting(
        name="policy.use-cases",
        type="text",
        default="legal=strict,medical=strict,finance=strict",
        doc="Policies of use cases, for requests that ask for none, where no flag says otherwise.",
    )
    yield Setting(
        name="feature-flags",
        type="switch",
        default=False,
        doc="A flag service that says the policy of each use case, and is asked all the time. Off: there is none.",
    )
    yield _switch(
        "flags.last-known",
        "Keeping to the last known flags while the flag service is away. Off: the configured policies count then.",
    )
    yield Setting(
        name="flags.initial",
        type="text",
        default="",
        doc="Flags that the service starts with: use cases and their policies; * is every other use case.",
    )
    yield _span("flags.interval", 1.0, "Between two questions to the flag service.")
    yield _io_timeout("flags.timeout", 0.5, "One question to the flag service.")


def _switches() -> Iterator[Setting]:
    yield _switch("fallbacks", "The degradation ladder. Off: an answer without fresh retrieval is refused with 503.")
    yield _switch("failover", "Trying the next provider. Off: only the one whose turn it is, or one replica.")
    yield _switch("breaker", "Circuit breakers. Off: every call goes through and no state changes.")
    yield _switch(
        "honour-retry-after",
        "Leaving a provider alone for as long as its 429 asks. Off: the next request asks it again at once.",
    )
    yield _choice(
        "retry",
        "on",
        ("on", "off", "naive"),
        "Retries of models. Off: nothing is called twice for one request. Naive: everything is tried three times, at "
        "once, without backoff or budget.",
    )
    yield _switch(
        "deadline",
        "Deadlines that travel with every call. Off: none, and the work for a caller who has left goes on to its end.",
    )
    yield _switch("rate-limit", "So many requests a minute for each user and each address. Off: any number.")
    yield _switch("bulkhead", "A queue for each tier, and a limit on concurrent work. Off: all requests at once.")
    yield _switch(
        "backpressure",
        "Letting in fewer when inference workers say that they are nearly full. Off: they are asked all the same.",
    )
    yield _switch(
        "singleflight",
        "Giving one answer to identical questions that come at the same time. Off: each is put to a model.",
    )
    yield _switch("service-modes", "Reduced and emergency service under load or failure. Off: always full service.")
    yield _switch("hysteresis", "Changing the service's mode slowly. Off: it follows every reading at once.")
    yield _switch(
        "router", "Asking the small model first where a caller is in a hurry and the question is simple. Off: never."
    )
    yield _switch("disclosure", "Saying that an answer is degraded. Off: degraded answers claim to be at level 0.")
    yield _choice(
        "tenant-filter",
        "on",
        ("on", "fresh-only", "off"),
        "Keeping tenants' documents apart. Off: no search and no cache looks at the tenant. Fresh-only: fresh "
        "retrieval does; what stands in for it (keyword search, cached documents, cached answers) does not.",
    )
    yield _switch(
        "tombstones",
        "Never serving a document that was deleted. Off: copies of it are served as long as there are any: its row "
        "until the next purge, and what caches hold for as long as they do.",
    )
    yield _switch(
        "quarantine",
        "Never serving a document whose vector is corrupt. Off: vectors are not looked at, and their documents served.",
    )
    yield _switch("cache", "The cache, for answers and for retrieval results.")
    yield _switch(
        "exact-cache",
        "Answering from the exact cache at level 0. Off: every question reaches a provider; answers are still stored.",
    )


def _quarantine() -> Iterator[Setting]:
    def cosine(name: str, default: float, doc: str) -> Setting:
        return Setting(name=name, type="share", default=default, doc=doc)

    yield Setting(
        name="quarantine.norm-tolerance",
        type="share",
        default=0.01,
        doc="By how much a vector's length may differ from 1.",
    )
    yield cosine(
        "quarantine.text-similarity", 0.9, "Least cosine of a vector and the one that the same text had before."
    )
    yield cosine("quarantine.topic-similarity", 0.3, "Least cosine of a vector and the mean of its topic.")
    yield _integer(
        "quarantine.topic-size", 3, "Other documents of a topic that make its mean; with fewer there is none."
    )
    yield _span(
        "quarantine.retry", 1.0, "Between two tries to store the quarantine that the database does not know yet."
    )


def _semantic() -> Iterator[Setting]:
    def off(name: str, doc: str) -> Setting:
        return Setting(name=name, type="switch", default=False, doc=doc)

    yield _choice(
        "semantic-cache",
        "on",
        ("on", "off", "careless"),
        "Giving the answer to another question that means the same when no model answers. Careless: the answer to the "
        "nearest one, however far it is and whatever it is after.",
    )
    yield off("semantic-cache.healthy", "Giving such an answer also while all is well, instead of asking a model.")
    yield off("semantic-cache.strict", "That under the strict policy too, over the very same documents.")
    yield Setting(
        name="semantic-cache.similarity", type="share", default=0.92, doc="Cosine from which questions mean the same."
    )
    yield Setting(
        name="semantic-cache.strict-similarity", type="share", default=0.98, doc="That cosine under the strict policy."
    )
    yield _span("semantic-cache.ttl", 3600.0, "How long an answer is kept for other questions.")
    yield _positive("semantic-cache.slots", 64, "Answers kept for one intent of one tenant, at most.")


def _all() -> Iterator[Setting]:
    yield from _switches()
    yield Setting(name="main-model", type="text", default="atlas-large", doc="Model of levels 0 to 2.")
    yield Setting(name="small-model", type="text", default="atlas-mini", doc="Model of level 3.")
    yield Setting(
        name="providers.shares",
        type="text",
        default="80/15/5",
        doc="Who is asked first, in shares, by place in the chain: those behind the first are kept warm. A shorter "
        "chain takes the first ones.",
    )
    yield Setting(
        name="providers.tertiary",
        type="switch",
        default=False,
        doc="A third provider at the end of the chain. Off: there is none.",
    )
    yield _choice(
        "main-model.served-by",
        "provider",
        ("provider", "self-hosted"),
        "Who serves the main model first. Self-hosted: the inference replicas, with the providers behind them.",
    )
    yield _time("router.urgent", 5.0, "Who waits no longer than this is in a hurry.")
    yield _integer("router.simple", 0, "Signs of a hard question, at most, that a simple one has; there are four.")
    yield Setting(
        name="prices",
        type="text",
        default="atlas-large=2.00/8.00,atlas-mini=0.15/0.60",
        doc="USD per million prompt/completion tokens, per model.",
    )
    yield Setting(name="retrieval.top-k", type="integer", default=5, doc="Documents put into the prompt.")
    yield _integer(
        "retrieval.token-budget", 2000, "Tokens of documents in the prompt; one that does not fit is left out."
    )
    yield Setting(
        name="retrieval.candidates",
        type="integer",
        default=20,
        doc="Documents from each search, before they are fused.",
    )
    yield Setting(name="retrieval.rrf-k", type="integer", default=60, doc="Constant of reciprocal rank fusion.")
    yield _io_timeout("vector-db.timeout", 0.5, "One query, with pool checkout and connect.")
    yield Setting(name="vector-db.pool", type="integer", default=10, doc="Connections to the vector database at most.")
    yield _io_timeout("embedding.timeout", 1.0, "One query's embedding.")
    yield _io_timeout("ingest.timeout", 30.0, "Embedding and storing one upload of documents.")
    yield _switch("ingest.durable", "Acknowledging an upload when it is stored. Off: at once, and it is stored after.")
    yield _span("tombstones.retry", 1.0, "Between two tries to store tombstones that the database does not know yet.")
    yield _span("tombstones.purge", 60.0, "Between two removals of the rows and postings of deleted documents.")
    yield _io_timeout("cache.timeout", 0.25, "One cache command, with connect.")
    yield _io_timeout("llm.connect-timeout", 1.0, "Connecting to a provider.")
    yield _io_timeout("llm.first-token-timeout", 5.0, "From the request to a provider's first token.")
    yield _io_timeout("llm.inter-token-timeout", 2.0, "Between two tokens of a stream.")
    yield _io_timeout("llm.timeout", 30.0, "One whole call of a provider.")
    yield _integer("llm.max-attempts", 3, "Calls of providers and replicas for one request, at most.")
    yield _span("retry.backoff", 1.0, "Wait before the first retry; doubled for each more, with a jitter of 50 %.")
    yield _span("retry.backoff-cap", 60.0, "Longest wait before a retry; a longer Retry-After is not waited for.")
    yield Setting(
        name="retry.budget",
        type="share",
        default=0.1,
        doc="Retries of all requests together, as a share of the requests.",
    )
    yield _integer("retry.reserve", 10, "Retries that may be saved up while few are needed.")
    yield _io_timeout(
        "deadline.limit", 60.0, "Deadline of a request that states none, and the longest that one may state."
    )
    yield _time("deadline.margin", 0.5, "What a downstream call's time is shorter by than what the caller waits.")
    yield from _admission()
    yield from _modes()
    yield _switch("replica-health", "Sending requests only to replicas whose health check succeeds. Off: to all alike.")
    yield _span("inference.health-interval", 1.0, "Between two health checks of a replica.")
    yield _io_timeout("inference.health-timeout", 0.5, "One health check of a replica.")
    yield _integer("inference.health-failures", 2, "Failed checks in a row that take a replica out of service.")
    yield _span("exact-cache.ttl", 3600.0, "How long an answer is served to the same question over the same documents.")
    yield _span("fallback-cache.ttl", 86400.0, "How long retrieval results and last answers are kept for the ladder.")
    yield _span("balanced.max-staleness", 3600.0, "Oldest cached documents and answers under the balanced policy.")
    yield from _semantic()
    yield from _quarantine()
    yield from _policies()
    yield from _breaker("vector-db", failures=5, recovery=30.0)
    yield from _breaker("cache", failures=5, recovery=30.0)
    yield from _breaker("embedding", failures=3, recovery=60.0)
    for name in PROVIDERS:
        yield from _breaker(name, failures=3, recovery=60.0)
    for name in REPLICAS:
        # A replica that is started again is back in seconds, and its health is watched besides.
        yield from _breaker(name, failures=3, recovery=10.0)
    for name in PROVIDERS:
        yield from _provider(name)
    yield from _inference()


CATALOGUE: dict[str, Setting] = {setting.name: setting for setting in _all()}


class Settings:
    """The catalogue with one process's overrides and time scale applied. Read by name and type."""

    def __init__(self, overrides: Mapping[str, object] | None = None, *, time_scale: float = 1.0) -> None:
        """Raise SettingsError for an unknown name, a value of the wrong type or a time scale that is not positive."""
        if not time_scale > 0:
            msg = f"the time scale must be positive, not {time_scale}"
            raise SettingsError(msg)
        values = {name: setting.default for name, setting in CATALOGUE.items()}
        for name, value in (overrides or {}).items():
            if name not in CATALOGUE:
                near = difflib.get_close_matches(name, CATALOGUE, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else "; `target-stack settings` lists them all"
                msg = f"unknown setting {name!r}{hint}"
                raise SettingsError(msg)
            values[name] = CATALOGUE[name].parse(value)
        self._values = {name: _scale(CATALOGUE[name], value, time_scale) for name, value in values.items()}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read STACK_SETTINGS (a JSON object) and STACK_TIME_SCALE; raise SettingsError when either cannot be used."""
        text = environ.get("STACK_SETTINGS") or "{}"
        try:
            overrides = json.loads(text)
        except json.JSONDecodeError as error:
            msg = f"STACK_SETTINGS is not JSON: {error}"
            raise SettingsError(msg) from None
        if not isinstance(overrides, dict):
            msg = f"STACK_SETTINGS must be a JSON object of setting names and values, not {type(overrides).__name__}"
            raise SettingsError(msg)
        scale = environ.get("STACK_TIME_SCALE") or "1"
        try:
            time_scale = float(scale)
        except ValueError:
            msg = f"STACK_TIME_SCALE must be a number, not {scale!r}"
            raise SettingsError(msg) from None
        return cls(overrides, time_scale=time_scale)

    def switch(self, name: str) -> bool:
        """Return a switch."""
        return bool(self._values[name])

    def number(self, name: str) -> float:
        """Return a duration in seconds, a share or a plain number."""
        return float(self._values[name])

    def integer(self, name: str) -> int:
        """Return a whole number."""
        return int(self._values[name])

    def text(self, name: str) -> str:
        """Return a text."""
        return str(self._values[name])

    def words(self, name: str) -> tuple[str, ...]:
        """Return a comma-separated text as its parts."""
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())


def _scale(setting: Setting, value: Value, time_scale: float) -> Value:
    if not setting.scaled or isinstance(value, bool | str):
        return value
    # A timeout that was set below the floor stays as it was set.
    return max(value * time_scale, min(value, setting.floor))
