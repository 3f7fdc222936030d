"""The self-hosted model: its replicas, their memory and their pace."""

from collections.abc import Iterator

from target_stack.catalogue.forms import choice, integer, io_timeout, share, span, switch, text, time
from target_stack.setting import Setting

__all__ = ["inference"]


def inference() -> Iterator[Setting]:
    """Yield the settings of the inference workers."""
    yield text("inference.model", "atlas-large", "Model that the replicas serve.")
    yield choice(
        "inference.memory",
        "auto",
        ("auto", "host", "cuda"),
        "Memory behind the KV cache; auto takes a CUDA device where there is one.",
    )
    yield choice(
        "inference.on-oom",
        "preempt",
        ("reject", "preempt", "die"),
        "When memory for a block is refused: the request fails, others give way and new ones wait, or the engine dies.",
    )
    yield span("inference.dead-linger", 2.0, "How long a worker whose engine is dead answers 500 before it exits.")
    yield span("inference.load-time", 3.0, "Loading the model, at every start.")
    yield integer("inference.kv-blocks", 2048, "Blocks of the KV cache.")
    yield integer("inference.block-size", 16, "Tokens in a block.")
    yield integer("inference.kv-bytes-per-token", 4096, "Memory for the keys and values of one token.")
    yield integer("inference.max-num-seqs", 64, "Sequences in one batch, at most.")
    yield integer("inference.max-model-len", 4096, "Tokens of prompt and answer together, at most.")
    yield integer("inference.max-num-batched-tokens", 2048, "Tokens of one step, unless one prompt is longer.")
    yield time("inference.step-time", 0.006, "Median time of a step, whatever it does; sigma 0.1, lognormal.")
    yield time("inference.prefill-time", 0.00003, "What each prompt token adds to a step.")
    yield time("inference.decode-time", 0.0001, "What each sequence adds to a step.")
    yield switch(
        "inference.backpressure", "Refusing requests with 503 when there is little room left. Off: they queue."
    )
    yield share(
        "inference.backpressure-at", 0.85, "Utilisation, of blocks or of seats, above which requests are refused."
    )
    yield switch("replica-health", "Sending requests only to replicas whose health check succeeds. Off: to all alike.")
    yield span("inference.health-interval", 1.0, "Between two health checks of a replica.")
    yield io_timeout("inference.health-timeout", 0.5, "One health check of a replica.")
    yield integer("inference.health-failures", 2, "Failed checks in a row that take a replica out of service.")
    yield span(
        "inference.connection-lifetime",
        0.0,
        "For how long new requests to a replica use the same connections, for one behind which there are several; 0: "
        "for as long as they last.",
    )
