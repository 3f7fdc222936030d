"""Who is let in when there are too many, and when service is reduced."""

from collections.abc import Iterator

from target_stack.catalogue.forms import integer, positive, share, span, time
from target_stack.setting import Setting

__all__ = ["admission"]


def admission() -> Iterator[Setting]:
    """Yield the settings of rate limits, bulkheads, backpressure and service modes."""
    for tier, per_minute in (("enterprise", 1000), ("pro", 200), ("free", 20)):
        yield positive(f"rate-limit.{tier}.per-minute", per_minute, f"Requests of one {tier} user, or one address.")
    yield positive("rate-limit.burst", 2.0, "How many minutes' worth may come at once.")
    yield positive("bulkhead.concurrency", 128, "Requests worked on at a time.")
    for tier, part, queue in (("enterprise", 1.0, 500), ("pro", 0.5, 200), ("free", 0.25, 50)):
        yield share(f"bulkhead.{tier}.share", part, f"Share of those that {tier} may have.")
        yield integer(f"bulkhead.{tier}.queue", queue, f"Requests of {tier} that may wait.")
    yield time("bulkhead.retry-after", 30.0, "Retry-After of a request that was shed from a queue.")
    yield span("backpressure.hold", 2.0, "How long the word of a worker counts; its Retry-After when that is longer.")
    yield span("backpressure.patience", 2.0, "How long only the free tier is shed before pro is too.")
    yield share("mode.busy", 0.9, "Utilisation of the bulkhead above which service is reduced.")
    yield span("mode.busy-for", 30.0, "How long it must be above that.")
    yield share("mode.failing", 0.05, "Share of questions that no model answers above which service is reduced.")
    yield share("mode.dead", 0.5, "The share above which it goes into emergency mode.")
    yield span("mode.failing-for", 10.0, "How long either share must be above that.")
    yield share("mode.calm", 0.7, "Utilisation below which a step up is possible.")
    yield share("mode.healthy", 0.01, "Share of unanswered questions below which a step up is possible.")
    yield span("mode.recovery", 300.0, "How long both must be below that before each step up.")
    yield span(
        "mode.window", 4.0, "Window in which questions are counted: so short that a burst is over before the 10 s are."
    )
    yield integer("mode.min-questions", 10, "Questions in the window before their share counts.")
