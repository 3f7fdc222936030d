"""Reciprocal rank fusion: one ranking out of several, without comparing their scores.

Cormack, Clarke & Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", 2009.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

__all__ = ["reciprocal_rank_fusion"]


def reciprocal_rank_fusion(rankings: Iterable[Sequence[str]], *, k: int) -> list[str]:
    """Return the ids of all rankings, best first, each scored by the sum of 1 / (k + rank), ranks from 1.

    Ties are broken by id.
    """
    scores: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, id_ in enumerate(ranking, start=1):
            scores[id_] += 1 / (k + rank)
    return sorted(scores, key=lambda id_: (-scores[id_], id_))
