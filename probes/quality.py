"""How good the answers are, held against questions whose answers are known."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Unpack

from brownout.evidence import Requests, Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.statistics import mean_interval_of_counts
from brownout.units import Share, format_share

from ._counting import answers, asked_for, check_share, too_few
from ._whose import Whose, chosen

DEPTH = 5
"""Documents that recall looks at: recall@5."""
Scores = Counter[float]
"""How many answers got each score, from 0 to 1."""


@probe
def quality(
    window: Window,
    *,
    faithfulness: Share | None = None,
    recall: Share | None = None,
    refusals: Share | None = None,
    **whose: Unpack[Whose],
) -> Verdict:
    """Faithfulness, recall and refusals of the complete answers, each the mean over the answers that it applies to.

    No model judges another: what is compared is in the documents. Degraded answers count like any other, so an
    experiment that allows for them states a lower share.

    Args:
        faithfulness: of the statements that an answer cites a document for, the share that the document makes. On a
            system of the user's own: of the facts that its questions name, the share that the answer states.
        recall: of the documents that hold the answer, the share among the first five that the answer cites.
        refusals: of the answers to questions that no document answers, the share that cites nothing.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    limits = {"faithfulness": faithfulness, "recall": recall, "refusals": refusals}
    stated = {name: limit for name, limit in limits.items() if limit is not None}
    for name, limit in stated.items():
        check_share(name, limit)
    if not stated:
        msg = "quality needs at least one of faithfulness, recall and refusals"
        raise ValueError(msg)
    threshold = ", ".join(f"{name} at least {asked_for(limit)}" for name, limit in stated.items())
    given = answers(window)
    scores = {name: MEASURES[name](window, given) for name in stated}
    enough = {name: one for name, one in scores.items() if one.total() >= MIN_SAMPLES}
    means = {name: sum(score * times for score, times in one.items()) / one.total() for name, one in enough.items()}
    broken = [name for name, mean in means.items() if mean < stated[name]]
    if not broken and len(means) < len(stated):
        name = next(name for name in stated if name not in means)
        return inconclusive(threshold, samples=scores[name].total(), why=_lacking(window, name, scores[name]))
    worst = min(broken or means, key=lambda name: means[name] - stated[name])
    low, high = mean_interval_of_counts(scores[worst])
    return Verdict(
        "failed" if broken else "passed",
        ", ".join(f"{name} {format_share(mean)}" for name, mean in means.items()),
        threshold,
        scores[worst].total(),
        value=means[worst],
        limit=stated[worst],
        unit="share",
        low=max(low, 0.0),
        high=min(high, 1.0),
    )


def _faithfulness(_: Window, given: Requests) -> Scores:
    scores = Scores()
    for (claims, supported), times in Counter(zip(given.claims, given.claims_supported, strict=True)).items():
        if claims:
            scores[(supported or 0) / claims] += times
    return scores


def _recall(window: Window, given: Requests) -> Scores:
    scores = Scores()
    for (question, cited), times in Counter(zip(given.question, given.citations, strict=True)).items():
        known = window.knowledge.questions.get(question)
        if known is not None and known.sources:
            found = len(set(known.sources).intersection(cited[:DEPTH]))
            scores[found / min(len(set(known.sources)), DEPTH)] += times
    return scores


def _refusals(window: Window, given: Requests) -> Scores:
    unanswerable = {id_ for id_, known in window.knowledge.questions.items() if not known.sources}
    scores = Scores()
    for (question, cited), times in Counter(zip(given.question, given.citations, strict=True)).items():
        if question in unanswerable:
            scores[float(not cited)] += times
    return scores


MEASURES: Mapping[str, Callable[[Window, Requests], Scores]] = {
    "faithfulness": _faithfulness,
    "recall": _recall,
    "refusals": _refusals,
}


def _lacking(window: Window, name: str, scores: Scores) -> str:
    if name != "faithfulness" and not window.knowledge.questions:
        return "nothing is known of the questions' answers"
    what = {
        "faithfulness": "graded answers with citations",
        "recall": "answers to questions that documents answer",
        "refusals": "answers to questions that no document answers",
    }[name]
    return f"{too_few(scores.total(), what)} the {name}"
