"""What of the documents goes into a prompt, and in which order.

Models use what stands at the start and at the end of a long context, and overlook what lies between (Liu et al., "Lost
in the Middle: How Language Models Use Long Contexts", TACL 2024). So the best document comes first, the second-best
last, and the worst lies in the middle. A document is put in whole or not at all: half a document may say the opposite.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from target_stack.documents import Document

__all__ = ["Packed", "pack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Documents as they stand in the prompt, their `tokens`, and how many were `left_out` because they did not fit."""

    documents: list[Document]
    tokens: int
    left_out: int


def pack(ranked: Sequence[Document], *, budget: int, tokens_of: Callable[[Document], int]) -> Packed:
    """Return those of `ranked`, best first, that fit into `budget` tokens together.

    A better one is never left out for the sake of a worse one; one that is too long makes way for the next that fits.
    """
    chosen: list[Document] = []
    tokens = 0
    for document in ranked:
        size = tokens_of(document)
        if tokens + size <= budget:
            chosen.append(document)
            tokens += size
    return Packed(documents=_best_at_the_ends(chosen), tokens=tokens, left_out=len(ranked) - len(chosen))


def _best_at_the_ends(ranked: list[Document]) -> list[Document]:
    """Return the first, the third, ... and then the rest backwards, so that the second comes last."""
    return ranked[::2] + ranked[1::2][::-1]
