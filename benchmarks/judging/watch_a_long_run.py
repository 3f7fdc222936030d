"""What one look at the abort conditions costs, after a minute of a run and after an hour: it must not grow.

    python benchmarks/judging/watch_a_long_run.py [--rate 100]

Prints the processor time of one look at three abort conditions over five seconds, and of adding one request, both the
median of many. The exit code is 1 where a look after an hour costs twice what it did after a minute.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace

from judge_a_million import RATE, requests

from brownout import registry
from brownout.evidence import Recording, Sample, Transition
from brownout.watch import PATIENCE

CONDITIONS = (
    ("availability", {"below": 0.5}),
    ("error_rate", {"above": 0.5, "source": "provider"}),
    ("breaker", {"dependency": "vector-db", "state": "open"}),
)
OVER = 5.0
MINUTES = (1, 10, 60)
LOOKS = 50


def look(recording: Recording, now: float) -> float:
    """Seconds of the processor that one look takes."""
    began = time.process_time()
    for name, arguments in CONDITIONS:
        registry.probes().get(name)(recording.live_window(now, OVER, pending_after=PATIENCE), **arguments)
    return time.process_time() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second")
    options = parser.parse_args()
    recording, costs, added = Recording(), [], 0.0
    recording.add_transition(Transition(0.0, "cache", None, "closed"))
    slower = RATE / options.rate
    ends = [minutes * 60.0 for minutes in MINUTES]
    for each in requests(int(options.rate * ends[-1] * 1.1)):
        due = each.intended * slower
        while ends and due >= ends[0]:
            now = ends.pop(0)
            cost = statistics.median(look(recording, now - n / 100) for n in range(LOOKS))
            costs.append(cost)
            sys.stdout.write(
                f"after {now / 60:3.0f} min, {recording.count:7} requests: one look {cost * 1000:.2f} ms, "
                f"one request {added / max(recording.count, 1) * 1e6:.1f} us\n"
            )
        began = time.process_time()
        done = None if each.done is None else due + (each.done - each.intended)
        recording.request_started(each.id, due)
        recording.add_request(replace(each, intended=due, sent=due, done=done))
        added += time.process_time() - began
        if each.id % 20 == 0:
            recording.add_sample(Sample(due, "gateway", "up", (), 1.0))
        if each.id % 500 == 0:
            # A breaker that flaps all along.
            recording.add_transition(Transition(due, "vector-db", "closed", "open"))
            recording.add_transition(Transition(due, "vector-db", "open", "closed"))
    return int(costs[-1] > 2 * costs[0])


if __name__ == "__main__":
    sys.exit(main())
