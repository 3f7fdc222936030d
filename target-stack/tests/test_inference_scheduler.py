"""Who computes when, who gives way, and what each way of running out of memory means."""

import random

import pytest
from fakes import FakeMemory

from target_stack.inference.blocks import SLAB_BYTES, BlockPool
from target_stack.inference.memory import OutOfMemoryError
from target_stack.inference.pace import Pace
from target_stack.inference.scheduler import OnOom, Phase, Scheduler, SchedulerConfig, Sequence, Step

# One block, one slab: memory can be counted in blocks.
BLOCK = SLAB_BYTES


def scheduler(
    *, blocks: int = 8, memory: FakeMemory | None = None, on_oom: OnOom = OnOom.PREEMPT, seats: int = 4, batch: int = 64
) -> Scheduler:
    pool = BlockPool(memory or FakeMemory(blocks * BLOCK), blocks=blocks, block_bytes=BLOCK)
    config = SchedulerConfig(block_size=4, max_num_seqs=seats, max_num_batched_tokens=batch, on_oom=on_oom)
    return Scheduler(pool, config)


def queued(on: Scheduler, *lengths: tuple[int, int]) -> list[Sequence]:
    sequences = [Sequence(prompt_tokens=prompt, output_tokens=output) for prompt, output in lengths]
    for sequence in sequences:
        on.add(sequence)
    return sequences


def step(on: Scheduler) -> Step:
    done = on.schedule()
    on.complete(done)
    return done


def test_a_sequence_is_prefilled_once_then_decoded_to_its_end_and_leaves_its_blocks() -> None:
    engine = scheduler()
    (one,) = queued(engine, (6, 3))
    assert step(engine).prefill == [one]
    assert len(one.blocks) == 2
    assert [step(engine).decode, step(engine).decode] == [[one], [one]]
    assert (one.phase, one.produced, engine.idle, engine.cache_usage) == (Phase.ENDED, 3, True, 0)


def test_no_more_run_than_have_seats_and_who_came_first_goes_first() -> None:
    engine = scheduler(seats=2)
    first, second, third = queued(engine, (1, 2), (1, 2), (1, 2))
    assert step(engine).prefill == [first, second]
    assert list(engine.waiting) == [third]
    assert step(engine).prefill == []
    assert step(engine).prefill == [third]


def test_prompts_of_one_step_fit_its_budget_but_the_first_goes_however_long_it_is() -> None:
    engine = scheduler(batch=8)
    first, second, third = queued(engine, (12, 2), (5, 2), (5, 2))
    assert step(engine).prefill == [first]
    assert step(engine).prefill == [second]
    assert step(engine).prefill == [third]


def test_a_prompt_that_does_not_fit_waits_until_blocks_are_free_and_nobody_overtakes_it() -> None:
    engine = scheduler(blocks=3)
    first, second, third = queued(engine, (8, 3), (8, 1), (1, 1))
    assert step(engine).prefill == [first]
    assert step(engine).prefill == []
    assert step(engine).prefill == []
    assert step(engine).prefill == [second, third]


def test_a_full_cache_preempts_the_last_admitted_who_is_computed_again_and_loses_nothing() -> None:
    engine = scheduler(blocks=3)
    first, second = queued(engine, (4, 6), (4, 6))
    step(engine)
    full = step(engine)  # the first takes the third block; the second finds none
    assert (full.decode, full.preempted) == ([first], [second])
    assert (second.phase, second.produced, second.blocks) == (Phase.WAITING, 1, [])
    while first.phase is Phase.RUNNING:
        assert step(engine).prefill == []
    again = step(engine)
    assert (again.prefill, again.prefill_tokens) == ([second], 6)
    while not engine.idle:
        step(engine)
    assert (second.produced, second.preemptions) == (6, 1)


def test_the_preempted_are_back_before_anyone_who_came_later() -> None:
    engine = scheduler(blocks=4)
    first, second, third = queued(engine, (8, 9), (4, 9), (4, 9))
    assert step(engine).prefill == [first, second, third]
    (later,) = queued(engine, (4, 1))
    assert step(engine).preempted == [third, second]
    assert list(engine.waiting) == [second, third, later]


def test_preempt_lets_others_give_way_when_memory_is_refused_and_holds_admission_until_it_is_back() -> None:
    memory = FakeMemory(2 * BLOCK)
    engine = scheduler(memory=memory)
    first, second = queued(engine, (4, 3), (4, 3))
    step(engine)
    refused = step(engine)
    assert (refused.out_of_memory, refused.decode, refused.preempted) == (1, [first], [second])
    memory.capacity = 0
    while first.phase is not Phase.ENDED:
        step(engine)
    for _ in range(3):
        assert step(engine).empty
    assert second.phase is Phase.WAITING
    memory.capacity = 4 * BLOCK
    while not engine.idle:
        step(engine)
    assert second.produced == 3


def test_reject_ends_the_one_that_needed_the_memory_and_no_other() -> None:
    memory = FakeMemory(2 * BLOCK)
    engine = scheduler(memory=memory, on_oom=OnOom.REJECT)
    first, second, third = queued(engine, (4, 3), (2, 3), (4, 3))
    admitted = step(engine)
    assert (admitted.prefill, admitted.rejected) == ([first, second], [third])
    grown = step(engine)
    assert (grown.decode, grown.rejected) == ([second], [first])
    assert step(engine).decode == [second]
    assert (first.phase, second.phase, third.phase) == (Phase.ENDED, Phase.ENDED, Phase.ENDED)
    assert memory.held == 0


def test_die_tells_whoever_drives_it_at_admission_and_later() -> None:
    engine = scheduler(memory=FakeMemory(BLOCK), on_oom=OnOom.DIE)
    queued(engine, (12, 3))
    with pytest.raises(OutOfMemoryError):
        engine.schedule()
    engine = scheduler(memory=FakeMemory(BLOCK), on_oom=OnOom.DIE)
    queued(engine, (4, 3))
    step(engine)
    with pytest.raises(OutOfMemoryError):
        engine.schedule()


def test_an_aborted_sequence_leaves_the_step_that_it_is_in() -> None:
    engine = scheduler()
    first, second = queued(engine, (4, 3), (4, 3))
    under_way = engine.schedule()
    engine.abort(first)
    assert engine.complete(under_way) == [second]
    engine.abort(first)
    engine.abort(second)
    assert (first.produced, engine.idle, engine.cache_usage) == (0, True, 0)


def test_utilisation_counts_what_is_asked_for_and_what_is_taken_in_blocks_or_seats() -> None:
    engine = scheduler(blocks=8, seats=8)
    queued(engine, (8, 3), (12, 3))
    assert engine.utilisation == 5 / 8
    step(engine)
    assert engine.utilisation == 5 / 8
    queued(engine, *[(1, 3)] * 5)
    assert engine.utilisation == 10 / 8
    assert scheduler(blocks=100, seats=4).utilisation == 0


def test_a_step_takes_longer_with_each_prompt_token_and_each_sequence() -> None:
    pace = Pace(step=0.01, prompt_token=0.001, sequence=0.0001)
    prompt, follower = (Sequence(prompt_tokens=n, output_tokens=1) for n in (100, 1))

    def seconds(of: Step) -> float:
        return pace.duration(of, random.Random(1))

    alone = seconds(Step(decode=[follower]))
    assert seconds(Step(decode=[follower] * 11)) / alone == pytest.approx(111 / 101)
    assert seconds(Step(prefill=[prompt], decode=[follower])) / alone == pytest.approx(1102 / 101)
    assert alone != pace.duration(Step(decode=[follower]), random.Random(2))
    assert 0.005 < alone < 0.02
