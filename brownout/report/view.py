"""What every form of the report shows of a run: worked out once, laid out as HTML, as Markdown or side by side."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from brownout.evidence.model import Request
from brownout.evidence.recording import Recording
from brownout.evidence.store import RunInfo
from brownout.experiment import Experiment
from brownout.judge import Judged, Judgement, windows
from brownout.report.budget import Alerts, alerts_of
from brownout.report.crosscheck import CrossCheck, cross_check
from brownout.report.figures import BEFORE, Part, Stretch, parts, stretch
from brownout.report.summary import BLOCKS, headline
from brownout.report.text import grouped
from brownout.report.written import Written, written
from brownout.units import format_seconds, format_share


@dataclass(frozen=True)
class RunView:
    """A run and its verdict, and what follows from them."""

    info: RunInfo
    experiment: Experiment
    """Scaled as it ran."""
    recording: Recording
    judgement: Judgement
    name: str = ""
    """The run folder's."""
    differences: Sequence[str] = field(default=())
    """In what this verdict is not the one that the run itself came to."""

    @cached_property
    def requests(self) -> tuple[Request, ...]:
        """By intended send time; made once, since a recording makes them anew each time."""
        return self.recording.requests

    @cached_property
    def duration(self) -> float:
        """Seconds that the charts show."""
        last = (request.intended for request in self.requests[-1:])
        return max(self.judgement.end or self.info.duration, *last, 1e-3)

    @cached_property
    def headline(self) -> str:
        return headline(self.recording, self.judgement, duration=self.duration)

    @cached_property
    def parts(self) -> list[Part]:
        steady = windows(self.experiment, self.recording, end=self.judgement.end)["steady-state before"]
        return parts(
            self.requests,
            self.recording.faults,
            end=self.duration,
            steady=None if steady is None else tuple(steady.requests),
        )

    @cached_property
    def stretches(self) -> list[Stretch]:
        return [stretch(part.name, part.seconds, part.requests) for part in self.parts]

    @cached_property
    def alerts(self) -> Alerts | None:
        """The alerts on the objective that the experiment states; None where it states none."""
        on = min((span.on for span in self.recording.faults), default=None)
        return alerts_of(self.experiment, self.requests, fault_on=on, end=self.duration, scale=self.info.scale)

    @cached_property
    def cross_check(self) -> CrossCheck | None:
        """The figures beside those of Prometheus; None where it was not asked."""
        server = self.info.environment.get("prometheus", "")
        return cross_check(self.experiment, self.recording, server=server, end=self.judgement.end)

    @cached_property
    def written(self) -> Written | None:
        """What became of the documents that were stored meanwhile; None where there were none."""
        return written(self.recording.writes, self.recording.faults, end=self.duration)

    @property
    def under_way(self) -> int:
        """Requests that were under way as the first fault came on; they count in no part of the run."""
        first = min((span.on for span in self.recording.faults), default=0.0)
        counted = sum(part.requests for part in self.stretches if part.name == BEFORE)
        return sum(request.intended < first for request in self.requests) - counted

    @property
    def between(self) -> int:
        """Requests that were asked between two faults; they count in no part of the run either."""
        return len(self.requests) - sum(part.requests for part in self.stretches) - self.under_way

    @property
    def started(self) -> str:
        return datetime.fromtimestamp(self.info.started_at, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    @property
    def command(self) -> str:
        """What to type to run it again, with the seed that was drawn."""
        words = list(self.info.command)
        if words and not any(word == "--seed" or word.startswith("--seed=") for word in words):
            words += ["--seed", str(self.info.seed)]
        return shlex.join(words)

    @property
    def blocks(self) -> list[tuple[str, list[Judged]]]:
        """The verdicts by the block that their check stands in, in the order of the run."""
        judged = self.judgement.judged
        names = [*BLOCKS, *dict.fromkeys(one.block for one in judged if one.block not in BLOCKS)]
        found = [(BLOCKS.get(name, name), [one for one in judged if one.block == name]) for name in names]
        return [(name, members) for name, members in found if members]

    @property
    def tally(self) -> list[tuple[str, int]]:
        """How many checks passed, failed, could not be decided; only what there is."""
        outcomes = [one.verdict.outcome for one in self.judgement.judged]
        return [(name, outcomes.count(name)) for name in ("passed", "failed", "inconclusive") if name in outcomes]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what it is of, and for each column a figure with a small note."""

    name: str
    cells: tuple[tuple[str, str], ...]


def glance(stretches: Sequence[Stretch]) -> list[Row]:
    """The few figures by which the parts of a run are compared; a column a part."""
    return [
        Row(
            "Requests answered",
            tuple((share(s.availability), f"{grouped(s.ok)} of {grouped(s.requests)}") for s in stretches),
        ),
        Row("Answers marked degraded", tuple((share(s.degraded_share), grouped(s.degraded)) for s in stretches)),
        Row("Time to first token of answers, p50", tuple((seconds(s.ttft_p50), "") for s in stretches)),
        Row("Time to first token of answers, p95", tuple((seconds(s.ttft_p95), "") for s in stretches)),
        Row("Time to the whole answer, p95", tuple((seconds(s.total_p95), "") for s in stretches)),
    ]


def setting(value: object) -> str:
    """A setting of the system under test, as `--set` takes it."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def times(rate: float) -> str:
    """How many times faster: `14.4×`, `1000×`."""
    return f"{rate:.0f}×" if rate >= 99.5 else f"{rate:.3g}×"


def seconds(value: float | None) -> str:
    """`1.4 s`, or a dash."""
    return "–" if value is None else format_seconds(value)


def share(value: float | None) -> str:
    """`99.6 %`, or a dash."""
    return "–" if value is None else format_share(value)
