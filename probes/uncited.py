"""Whether what was withdrawn stays out of the answers."""

from fnmatch import fnmatchcase

from brownout.evidence import Requests, Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.units import Duration

from ._counting import too_few

AT_ONCE = Duration(0.0)


@probe
def uncited(
    window: Window, *, documents: str, within: Duration = AT_ONCE, until_before_end: Duration = AT_ONCE
) -> Verdict:
    """No answer cites these documents: they were deleted, or must not be served for another reason.

    One is enough to fail. To pass, one of them must have been cited before the first fault, or nothing is shown. Broken
    answers count too: what they cited was shown.

    Args:
        documents: their ids, with `*` and `?` as in a file name: `*-charges-*`.
        within: only questions count that are asked later than this after the window's start: the moment the first fault
            was really on, which need not be the deletion.
        until_before_end: only answers count that are over so long before the window's end: putting documents back takes
            a moment.

    Raises:
        ValueError: the arguments make no sense.
    """
    if not documents or within < 0 or until_before_end < 0:
        msg = "documents must name some; within and until-before-end must not be below 0"
        raise ValueError(msg)
    threshold = f"no document {documents}"
    first, last = window.start + within, window.end - until_before_end
    spans = zip(window.requests.sent, window.requests.done, strict=True)
    asked = window.requests.where([first <= sent and done <= last for sent, done in spans])
    lists = asked.citations
    cited = sum(map(bool, lists))
    # Most answers share their list with many others: each is looked at once.
    such = {key for key, citations in {id(one): one for one in lists}.items() if _cites(citations, documents)}
    citing = [number for number, one in zip(asked.id, lists, strict=True) if id(one) in such] if such else []
    if citing:
        figure = f"{len(citing)} answer{'s' if len(citing) > 1 else ''} with such a document"
        why = f"first of all request {citing[0]}"
        return Verdict("failed", figure, threshold, cited, why, value=float(len(citing)), limit=0.0)
    if window.baseline is not None and not _any_cites(window.baseline.requests, documents):
        why = "none of them was cited before the first fault either"
        return inconclusive(threshold, samples=cited, why=why)
    if cited < MIN_SAMPLES:
        return inconclusive(threshold, samples=cited, why=too_few(cited, "answers with citations"))
    return Verdict("passed", f"none in {cited} answers", threshold, cited, value=0.0, limit=0.0)


def _any_cites(requests: Requests, documents: str) -> bool:
    return any(_cites(citations, documents) for citations in set(requests.citations))


def _cites(citations: tuple[str, ...], documents: str) -> bool:
    return any(fnmatchcase(document, documents) for document in citations)
