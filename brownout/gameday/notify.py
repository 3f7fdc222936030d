"""Webhooks that are told when a drill starts, is aborted and ends.

The drill does not wait for them, and does not fail with them: each has a queue and a task of its own, and what could
not be delivered is said and forgotten. A webhook's URL is a secret: it comes from the environment, and stands in no
message, log or record; they call it by its variable.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Self

import httpx

from brownout.errors import EnvironmentProblem
from brownout.gameday.events import AbortAsked, DrillBegan, DrillEnded, Event, StepBegan, StepEnded
from brownout.gameday.messages import Message, StepOutcome, aborted, began, ended
from brownout.units import format_seconds

ATTEMPT = 5.0
"""Seconds for one try, from the connection to the answer."""
PAUSES = (0.5, 2.0)
"""Seconds before the second try and the third."""
CLOSING = 15.0
"""Seconds that the end of a drill waits for what is still to be delivered, at most."""

_delivering: ContextVar[bool] = ContextVar("_delivering", default=False)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One that is told."""

    name: str
    """The environment variable that holds its URL."""
    url: str = field(repr=False)


def webhooks(variables: Sequence[str], environ: Mapping[str, str]) -> Sequence[Webhook]:
    """Those of a plan (`GameDay.notify`).

    Raises:
        EnvironmentProblem: a variable is not set, or holds no URL of http or https; does not say what it holds.
    """
    found, problems = [], []
    for name in variables:
        text = environ.get(name, "").strip()
        if not text:
            problems.append(f"notify: the environment variable {name} is not set: it is to hold the webhook's URL")
        elif not _is_url(text):
            problems.append(f"notify: what {name} holds is no URL of http or https")
        else:
            found.append(Webhook(name, text))
    if problems:
        raise EnvironmentProblem("\n".join(problems))
    return found


def _is_url(text: str) -> bool:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


class WebhookNotifier:
    """A `brownout.gameday.events.Watcher`. Close it after the drill: `aclose`, or `async with`."""

    def __init__(
        self,
        urls: Sequence[Webhook],
        *,
        tell: Callable[[str], object],
        client: httpx.AsyncClient | None = None,
        attempt: float = ATTEMPT,
        pauses: Sequence[float] = PAUSES,
        closing: float = CLOSING,
    ) -> None:
        """
        Args:
            urls: who is told, from `webhooks`.
            tell: is told, in one sentence, what could not be delivered; for the terminal and the minutes.
            client: what posts; one of its own, which it closes, where there is none.
            attempt: seconds for one try.
            pauses: seconds before each try but the first.
            closing: seconds that closing waits at most.
        """
        self._webhooks = tuple(urls)
        self._tell = tell
        self._owned = client is None
        self._client = client or httpx.AsyncClient(timeout=attempt, follow_redirects=False)
        self._attempt = attempt
        self._pauses = tuple(pauses)
        self._closing = closing
        self._queues: dict[Webhook, asyncio.Queue[tuple[str, Message] | None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._began: DrillBegan | None = None
        self._experiments: dict[int, str] = {}
        self._steps: list[StepOutcome] = []
        # httpx logs the URL of every request.
        self._silence = _Silence()
        logging.getLogger("httpx").addFilter(self._silence)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def on(self, event: Event) -> None:
        """Note it, and queue what is to be told; returns at once."""
        match event:
            case DrillBegan():
                self._began = event
                self._queue("the start", began(event))
            case StepBegan():
                self._experiments[event.number] = event.experiment.name
            case StepEnded():
                name = self._experiments.get(event.number, "an experiment")
                self._steps.append(StepOutcome(event.number, name, event.outcome))
            case AbortAsked() if self._began is not None:
                self._queue("the abort", aborted(self._began, by=event.by, why=event.why))
            case DrillEnded() if self._began is not None:
                told = ended(self._began, outcome=event.outcome, said=event.said, steps=self._steps)
                self._queue("the end", told)
            case _:
                pass

    async def aclose(self) -> None:
        """Deliver what is left, for so long as closing may take, and stop. Does nothing the second time."""
        for queue in self._queues.values():
            queue.put_nowait(None)
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._closing)
        finally:
            # Also where somebody does not want to wait so long, and presses Ctrl-C.
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            self._queues.clear()
            logging.getLogger("httpx").removeFilter(self._silence)
            if self._owned:
                await self._client.aclose()

    def _queue(self, what: str, message: Message) -> None:
        for webhook in self._webhooks:
            if webhook not in self._queues:
                self._queues[webhook] = asyncio.Queue()
                self._tasks.append(asyncio.create_task(self._deliver_all(webhook, self._queues[webhook])))
            self._queues[webhook].put_nowait((what, message))

    async def _deliver_all(self, webhook: Webhook, queue: "asyncio.Queue[tuple[str, Message] | None]") -> None:
        _delivering.set(True)
        while (one := await queue.get()) is not None:
            what, message = one
            try:
                problem = await self._deliver(webhook, message)
            except asyncio.CancelledError:
                while one is not None:
                    self._undelivered(webhook, one[0], "the drill was over before it answered")
                    one = None if queue.empty() else queue.get_nowait()
                raise
            if problem is not None:
                self._undelivered(webhook, what, problem)

    def _undelivered(self, webhook: Webhook, what: str, problem: str) -> None:
        self._tell(f"the webhook of {webhook.name} was not told of {what}: {problem}")

    async def _deliver(self, webhook: Webhook, message: Message) -> str | None:
        """What went wrong for good; None where it was taken."""
        tries = 1 + len(self._pauses)
        for number in range(tries):
            if number:
                await asyncio.sleep(self._pauses[number - 1])
            problem, again = await self._try(webhook, message)
            if problem is None:
                return None
            if not again:
                return problem
        return f"{problem} ({tries} tries)"

    async def _try(self, webhook: Webhook, message: Message) -> tuple[str | None, bool]:
        """What went wrong, and whether it may be tried again."""
        try:
            async with asyncio.timeout(self._attempt):
                answer = await self._client.post(webhook.url, json=message)
        except (TimeoutError, httpx.TimeoutException):
            return f"no answer within {format_seconds(self._attempt)}", True
        except httpx.ConnectError:
            return "no connection", True
        except Exception as error:  # whatever it is, a webhook must not end a drill; its text may hold the URL
            return type(error).__name__, True
        if answer.is_success:
            return None, False
        # RFC 9110, 15.5.9 and RFC 6585, 4: the two client errors that are a matter of time.
        return f"it answered {answer.status_code}", answer.is_server_error or answer.status_code in (408, 429)


class _Silence(logging.Filter):
    """Keeps what is logged on the way of a delivery."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _delivering.get()
