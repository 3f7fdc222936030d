"""Documents stored while the run lasts, and asked for as soon as they are acknowledged.

Open loop, as the questions are (`brownout.load.generator`). What each document says stands in no other, and is made of
the run's seed: who finds it has read this very document.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from brownout.clock import Clock
from brownout.evidence.model import Write, WriteOutcome
from brownout.experiment import Load, Writes
from brownout.load.generator import Ask, arrivals
from brownout.target import Caller, Document, NotAcknowledged, Question, TakesDocuments

FIRST_QUESTION = 1_000_000_001
"""The number of the question about the first document: far above those of the other load."""
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


class Record(Protocol):
    """Where writes are recorded."""

    @property
    def writes(self) -> Sequence[Write]: ...

    def add_write(self, write: Write) -> None: ...


class Writer:
    """Stores a document when it is due, asks for it when it is stored, and in the end counts what is there."""

    def __init__(
        self,
        shelf: TakesDocuments,
        writes: Writes,
        *,
        callers: Sequence[Caller],
        record: Record,
        clock: Clock,
        seed: int,
        ask: Ask,
        learn: Callable[[Document, Question], None],
    ) -> None:
        """`learn` is told of every document before it is sent, with the question that only it answers.

        Raises:
            ValueError: there are no callers.
        """
        if not callers:
            msg = "there is nobody to write a document"
            raise ValueError(msg)
        self._shelf = shelf
        self._writes = writes
        self._callers = callers
        self._record = record
        self._clock = clock
        self._seed = seed
        self._ask = ask
        self._learn = learn

    @property
    def timeout(self) -> float:
        """Seconds for which an acknowledgement is awaited."""
        return self._writes.timeout

    async def run(self, *, until: float, grace: float) -> None:
        """Write until that time of the run, then wait up to `grace` seconds for what is under way."""
        rng = random.Random(self._seed)  # noqa: S311 - nothing is drawn for even arrivals
        due = arrivals(Load(rate=self._writes.rate, arrivals="constant"), until=until, rng=rng)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
                for number, at in enumerate(due, start=1):
                    await self._clock.sleep_until(at)
                    group.create_task(self._write(number, at))
                await self._clock.sleep_until(until)
                limit.reschedule(asyncio.get_running_loop().time() + grace)

    async def take_stock(self) -> None:
        """Count how many of each written document the system holds.

        Raises:
            NotAcknowledged: it does not tell.
        """
        found = Counter(await self._shelf.stored())
        for write in self._record.writes:
            self._record.add_write(replace(write, copies=found[write.document]))

    async def _write(self, number: int, intended: float) -> None:
        rng = random.Random(f"{self._seed}:{number}")  # noqa: S311 - reproducible, not secret
        caller = rng.choice(self._callers)
        document, question = written(number, caller.tenant, rng)
        self._learn(document, question)
        sent = self._clock.now()
        outcome: WriteOutcome = "unanswered"
        error: str | None = None
        try:
            async with asyncio.timeout(max(0.0, intended + self._writes.timeout - sent)):
                await self._shelf.store(document)
            outcome = "acknowledged"
        except TimeoutError:
            outcome = "timeout"
        except NotAcknowledged as problem:
            outcome, error = "refused", str(problem)
        finally:
            self._record.add_write(
                Write(number, document.id, caller.tenant, intended, sent, self._clock.now(), outcome, error)
            )
        if outcome == "acknowledged":
            await self._ask(FIRST_QUESTION + number - 1, self._clock.now(), question, caller)


def written(number: int, tenant: str, rng: random.Random) -> tuple[Document, Question]:
    """The document of that number, and the question that it alone answers; both have its id."""
    name = "".join(rng.choices(_SYLLABLES, k=4))
    code = rng.randrange(10_000, 100_000)
    id_ = f"notice-{number}-{name}"
    text = f"The locker of notice {name} opens with the code {code}."
    return (
        Document(id_, tenant, text),
        Question(id_, tenant, f"Which code opens the locker of notice {name}?", (id_,)),
    )
