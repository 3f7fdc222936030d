"""Whatever comes, in whatever order, the engine keeps its promises."""

from typing import ClassVar

from fakes import FakeMemory
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from target_stack.inference.blocks import SLAB_BYTES, BlockPool
from target_stack.inference.memory import OutOfMemoryError
from target_stack.inference.scheduler import OnOom, Phase, Scheduler, SchedulerConfig, Sequence, Step

BLOCKS, BLOCK_SIZE, SEATS = 12, 4, 3
# Two blocks in a slab.
BLOCK_BYTES = SLAB_BYTES // 2
LONGEST = BLOCKS * BLOCK_SIZE


class EngineMachine(RuleBasedStateMachine):
    on_oom: ClassVar[OnOom] = OnOom.PREEMPT

    @initialize()
    def start(self) -> None:
        self.memory = FakeMemory(BLOCKS * BLOCK_BYTES)
        self.pool = BlockPool(self.memory, blocks=BLOCKS, block_bytes=BLOCK_BYTES)
        config = SchedulerConfig(
            block_size=BLOCK_SIZE, max_num_seqs=SEATS, max_num_batched_tokens=24, on_oom=self.on_oom
        )
        self.engine = Scheduler(self.pool, config)
        self.all: list[Sequence] = []
        self.ends: dict[int, str] = {}
        self.seen: dict[int, int] = {}
        self.dead = False
        self.under_way: Step | None = None

    def end(self, sequence: Sequence, how: str) -> None:
        assert id(sequence) not in self.ends, "ended twice"
        self.ends[id(sequence)] = how

    @rule(prompt=st.integers(1, 24), output=st.integers(1, 24))
    def arrive(self, prompt: int, output: int) -> None:
        sequence = Sequence(prompt_tokens=prompt, output_tokens=output)
        self.all.append(sequence)
        self.seen[id(sequence)] = 0
        self.engine.add(sequence)

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(self.all))
        if sequence.phase is not Phase.ENDED:
            self.end(sequence, "aborted")
        self.engine.abort(sequence)

    @rule(blocks=st.integers(0, BLOCKS))
    def squeeze(self, blocks: int) -> None:
        """Somebody else takes the memory, or gives it back."""
        self.memory.capacity = blocks * BLOCK_BYTES

    @precondition(lambda self: self.under_way is None and not self.dead)
    @rule()
    def begin(self) -> None:
        try:
            step = self.engine.schedule()
        except OutOfMemoryError:
            assert self.on_oom is OnOom.DIE
            self.dead = True
            return
        both = [*step.prefill, *step.decode]
        assert len(set(map(id, both))) == len(both), "computed twice in one step"
        assert both == [] or set(map(id, both)) == set(map(id, self.engine.running)), "one that runs was left out"
        assert not step.rejected or self.on_oom is OnOom.REJECT
        for sequence in step.rejected:
            self.end(sequence, "rejected")
        for sequence in both:
            assert len(sequence.blocks) * BLOCK_SIZE >= sequence.length, "no room for what is computed"
        self.under_way = step

    @precondition(lambda self: self.under_way is not None)
    @rule()
    def finish(self) -> None:
        assert self.under_way is not None
        for sequence in self.engine.complete(self.under_way):
            self.seen[id(sequence)] += 1
            if sequence.phase is Phase.ENDED:
                self.end(sequence, "whole")
        self.under_way = None

    @precondition(lambda self: not self.dead)
    @rule()
    def run_dry(self) -> None:
        """With memory there, everything that waits is served in bounded time."""
        self.memory.capacity = BLOCKS * BLOCK_BYTES
        for _ in range(60 * (len(self.all) + 1)):
            if self.under_way is not None:
                self.finish()
            if self.engine.idle:
                break
            self.begin()
        assert self.engine.idle, "somebody starves"

    @invariant()
    def no_block_is_leaked_or_booked_twice(self) -> None:
        booked = [block for sequence in self.all for block in sequence.blocks]
        assert len(set(booked)) == len(booked) == self.pool.used
        assert set(booked) <= set(range(BLOCKS))

    @invariant()
    def memory_is_held_for_what_is_in_use_and_for_nothing_else(self) -> None:
        slabs = {block // 2 for sequence in self.all for block in sequence.blocks}
        assert self.memory.held == self.pool.held_bytes == len(slabs) * SLAB_BYTES

    @invariant()
    def no_more_run_than_have_seats(self) -> None:
        assert len(self.engine.running) <= SEATS

    @invariant()
    def everybody_is_in_one_place(self) -> None:
        running, waiting = set(map(id, self.engine.running)), set(map(id, self.engine.waiting))
        for sequence in self.all:
            assert (id(sequence) in running) == (sequence.phase is Phase.RUNNING)
            assert (id(sequence) in waiting) == (sequence.phase is Phase.WAITING)
            assert (id(sequence) in self.ends) == (sequence.phase is Phase.ENDED)
            assert sequence.phase is Phase.RUNNING or not sequence.blocks

    @invariant()
    def tokens_come_one_by_one_and_each_of_them_once(self) -> None:
        for sequence in self.all:
            assert sequence.produced == self.seen[id(sequence)] <= sequence.output_tokens
            assert (self.ends.get(id(sequence)) == "whole") == (sequence.produced == sequence.output_tokens)


class RejectingMachine(EngineMachine):
    on_oom = OnOom.REJECT


class DyingMachine(EngineMachine):
    on_oom = OnOom.DIE


TestPreempting = EngineMachine.TestCase
TestRejecting = RejectingMachine.TestCase
TestDying = DyingMachine.TestCase
for case in (TestPreempting, TestRejecting, TestDying):
    case.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, database=None)
