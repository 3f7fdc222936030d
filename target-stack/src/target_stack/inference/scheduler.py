"""Continuous batching: which sequences take part in the engine's next step. Pure decisions; the memory is given.

As in vLLM (vllm/v1/core/sched/scheduler.py): those that run come first, each needs room for one more token, and while
there is none the one that was admitted last is preempted; its blocks are freed, it goes to the front of the queue, and
what it had is computed again when it is back. Only a step without preemption admits from the queue, first come first
served. A prompt is computed in one piece (vLLM can spread a long one over several steps).
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from target_stack.inference.blocks import BlockPool, NoFreeBlocksError
from target_stack.inference.memory import OutOfMemoryError

__all__ = ["OnOom", "Phase", "Scheduler", "SchedulerConfig", "Sequence", "Step"]


class OnOom(StrEnum):
    """What happens when memory for a block cannot be had, though the cache has free blocks."""

    REJECT = "reject"  # the request that needed it fails
    PREEMPT = "preempt"  # as if the cache were full: others give way, and what is new waits
    DIE = "die"  # the engine stops for good


class Phase(StrEnum):
    """Where a sequence is."""

    NEW = "new"
    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(slots=True, eq=False, kw_only=True)
class Sequence:
    """One request: `output_tokens`, at least 1, is where the model will end it."""

    prompt_tokens: int
    output_tokens: int
    produced: int = 0
    phase: Phase = Phase.NEW
    preemptions: int = 0
    blocks: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens whose keys and values the next step needs."""
        return self.prompt_tokens + self.produced


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    """Limits, under the names of vLLM's options."""

    block_size: int
    max_num_seqs: int
    max_num_batched_tokens: int
    on_oom: OnOom


@dataclass(slots=True)
class Step:
    """What one step does, and whom it did not go well with."""

    prefill: list[Sequence] = field(default_factory=list)
    decode: list[Sequence] = field(default_factory=list)
    preempted: list[Sequence] = field(default_factory=list)
    rejected: list[Sequence] = field(default_factory=list)
    """Ended: the memory that they needed was refused."""
    out_of_memory: int = 0
    """How often memory was refused."""

    @property
    def prefill_tokens(self) -> int:
        return sum(sequence.length for sequence in self.prefill)

    @property
    def empty(self) -> bool:
        """Whether nothing can be computed just now."""
        return not self.prefill and not self.decode


class Scheduler:
    """The queue and the batch. A sequence ends once: whole, aborted or rejected."""

    def __init__(self, pool: BlockPool, config: SchedulerConfig) -> None:
        self.running: list[Sequence] = []
        self.waiting: deque[Sequence] = deque()
        self._pool = pool
        self._config = config

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self.running and not self.waiting

    @property
    def cache_usage(self) -> float:
        """Share of the blocks that is in use."""
        return self._pool.used / self._pool.blocks

    @property
    def utilisation(self) -> float:
        """Share of the capacity that is taken or asked for: of blocks or of seats, whichever is more."""
        asked = sum(self._blocks_for(sequence) for sequence in self.waiting)
        seats = len(self.running) + len(self.waiting)
        return max((self._pool.used + asked) / self._pool.blocks, seats / self._config.max_num_seqs)

    def probe(self) -> None:
        """Take a block and give it back; raise OutOfMemoryError where not even that can be had."""
        self._pool.give(self._pool.take(1))

    def add(self, sequence: Sequence) -> None:
        """Queue a new sequence; its longest must fit into the whole cache."""
        sequence.phase = Phase.WAITING
        self.waiting.append(sequence)

    def abort(self, sequence: Sequence) -> None:
        """End a sequence that nobody waits for any more. One that has ended stays as it is."""
        if sequence.phase is Phase.WAITING:
            self.waiting.remove(sequence)
        elif sequence.phase is Phase.RUNNING:
            self.running.remove(sequence)
        self._end(sequence)

    def schedule(self) -> Step:
        """Return the next step; raise OutOfMemoryError when memory is refused and the engine is to die of that."""
        step = Step()
        self._keep_running(step)
        if not step.preempted:
            self._admit(step)
        return step

    def complete(self, step: Step) -> list[Sequence]:
        """Count a token for each sequence of the step that is still there; return them, ended ones included."""
        told = [sequence for sequence in (*step.prefill, *step.decode) if sequence.phase is Phase.RUNNING]
        for sequence in told:
            sequence.produced += 1
            if sequence.produced == sequence.output_tokens:
                self.running.remove(sequence)
                self._end(sequence)
        return told

    def _keep_running(self, step: Step) -> None:
        kept = 0
        while kept < len(self.running):
            if self._make_room(self.running[kept], step):
                step.decode.append(self.running[kept])
                kept += 1

    def _make_room(self, sequence: Sequence, step: Step) -> bool:
        """Whether it runs on. Those after it in the batch give way; it does itself when it is the last."""
        while True:
            try:
                self._extend(sequence)
            except NoFreeBlocksError:
                pass
            except OutOfMemoryError:
                step.out_of_memory += 1
                if self._config.on_oom is OnOom.DIE:
                    raise
                if self._config.on_oom is OnOom.REJECT:
                    self.running.remove(sequence)
                    self._reject(sequence, step)
                    return False
            else:
                return True
            victim = self.running.pop()
            self._preempt(victim, step)
            if victim is sequence:
                return False

    def _admit(self, step: Step) -> None:
        budget = self._config.max_num_batched_tokens - len(step.decode)
        while self.waiting and len(self.running) < self._config.max_num_seqs:
            sequence = self.waiting[0]
            if step.prefill and sequence.length > budget:
                return
            try:
                self._extend(sequence)
            except NoFreeBlocksError:
                return
            except OutOfMemoryError:
                step.out_of_memory += 1
                if self._config.on_oom is OnOom.DIE:
                    raise
                if self._config.on_oom is OnOom.PREEMPT:
                    return
                self._reject(self.waiting.popleft(), step)
                continue
            budget -= sequence.length
            sequence.phase = Phase.RUNNING
            self.running.append(self.waiting.popleft())
            step.prefill.append(sequence)

    def _extend(self, sequence: Sequence) -> None:
        missing = self._blocks_for(sequence) - len(sequence.blocks)
        if missing > 0:
            sequence.blocks += self._pool.take(missing)

    def _blocks_for(self, sequence: Sequence) -> int:
        return -(-sequence.length // self._config.block_size)

    def _preempt(self, sequence: Sequence, step: Step) -> None:
        self._free(sequence)
        sequence.phase = Phase.WAITING
        sequence.preemptions += 1
        self.waiting.appendleft(sequence)
        step.preempted.append(sequence)

    def _reject(self, sequence: Sequence, step: Step) -> None:
        self._end(sequence)
        step.rejected.append(sequence)

    def _end(self, sequence: Sequence) -> None:
        self._free(sequence)
        sequence.phase = Phase.ENDED

    def _free(self, sequence: Sequence) -> None:
        self._pool.give(sequence.blocks)
        sequence.blocks = []
