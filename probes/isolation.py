"""Whether tenants are kept apart."""

from collections import Counter

from brownout.evidence import Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe

from ._counting import too_few

THRESHOLD = "no document of another tenant"


@probe
def isolation(window: Window) -> Verdict:
    """No answer cites a document of another tenant than the one that asked.

    One is enough to fail. To pass, it must be known of every cited document whose it is. Broken answers count too: what
    they cited was shown.
    """
    owners, requests = window.knowledge.owners, window.requests
    pairs = Counter(zip(requests.tenant, requests.citations, strict=True))
    cited = sum(times for (_, documents), times in pairs.items() if documents)
    strangers = {document for _, documents in pairs for document in documents} - owners.keys()
    leaking = {
        (tenant, documents)
        for tenant, documents in pairs
        if any(tenant not in owners.get(document, (tenant,)) for document in documents)
    }
    if leaking:
        number = sum(pairs[pair] for pair in leaking)
        figure = f"{number} answer{'s' if number > 1 else ''} with a document of another tenant"
        first = next(each.id for each in requests if (each.tenant, each.citations) in leaking)
        why = f"first of all request {first}"
        return Verdict("failed", figure, THRESHOLD, cited, why, value=float(number), limit=0.0)
    if not owners:
        return inconclusive(THRESHOLD, samples=0, why="the target does not tell whose its documents are")
    if strangers:
        why = f"{len(strangers)} cited documents belong to nobody known"
        return inconclusive(THRESHOLD, samples=cited, why=why)
    if cited < MIN_SAMPLES:
        why = too_few(cited, "answers with citations")
        return inconclusive(THRESHOLD, samples=cited, why=why)
    return Verdict("passed", f"none in {cited} answers", THRESHOLD, cited, value=0.0, limit=0.0)
