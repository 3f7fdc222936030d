"""Steps of an answer, put on a connection in their time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from brownout.dialect.answer import Chunk, Cut, Hang, Step, Wait
from brownout.dialect.wire import chunk_coded
from brownout.proxy.scheduler import Scheduler, Timer


class Player:
    """Plays steps as they are added, until it is told that there are no more."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        write: Callable[[bytes], None],
        hung: Callable[[], None],
        over: Callable[[bool], None],
    ) -> None:
        """`hung` is called when nothing will come unless `rush` is; `over` at the end, with whether that was a cut."""
        self._scheduler = scheduler
        self._write = write
        self._hung = hung
        self._over = over
        self._steps: deque[Step] = deque()
        self._complete = False
        self._rushing = False
        self._ended = False
        self._moment = scheduler.now()
        """When the last step was due: waits count from there, so that timers that are late do not add up."""
        self._timer: Timer | None = None
        self.hanging = False
        self.waiting_bytes = 0

    def add(self, steps: Iterable[Step]) -> None:
        """More to play."""
        if not self._steps:
            self._moment = max(self._moment, self._scheduler.now())
        for step in steps:
            self._steps.append(step)
            self.waiting_bytes += len(step.data) if isinstance(step, Chunk) else 0
        self._play()

    def finish(self) -> None:
        """Nothing will be added any more."""
        self._complete = True
        self._play()

    def rush(self) -> None:
        """From now on, do not wait. What was to hang goes on, or is cut where nothing follows."""
        self._rushing = True
        self._stop_timer()
        if self.hanging and self._complete and not self._steps:
            self._end(cut=True)
        self.hanging = False
        self._play()

    def stop(self) -> None:
        """Write nothing any more, and tell nobody."""
        self._ended = True
        self._stop_timer()

    def _play(self) -> None:
        while self._steps and self._timer is None and not self.hanging and not self._ended:
            step = self._steps.popleft()
            match step:
                case Chunk(data):
                    self.waiting_bytes -= len(data)
                    self._write(data)
                case Wait(seconds):
                    if not self._rushing:
                        self._moment += seconds
                        self._timer = self._scheduler.call_at(self._moment, self._wake)
                case Hang():
                    self.hanging = not self._rushing
                    if self.hanging:
                        self._hung()
                    elif self._complete and not self._steps:
                        self._end(cut=True)
                case Cut():
                    self._end(cut=True)
        if self._complete and not self._steps and self._timer is None and not self.hanging:
            self._end(cut=False)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer = None
        self._play()

    def _end(self, *, cut: bool) -> None:
        if not self._ended:
            self._ended = True
            self._over(cut)


def framed(steps: Iterable[Step]) -> Iterator[Step]:
    """Data in chunked coding; an empty chunk would be the last one."""
    for step in steps:
        if not isinstance(step, Chunk):
            yield step
        elif step.data:
            yield Chunk(chunk_coded(step.data))
