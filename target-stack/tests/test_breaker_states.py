"""Whatever calls overlap in whatever way, the breaker keeps its promises."""

import pytest
from fakes import FakeClock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from target_stack.breaker import BreakerConfig, CircuitBreaker, CircuitOpenError, Permit, State, Transition

CONFIG = BreakerConfig(failures=3, min_calls=8, error_rate=0.5, recovery=60, probes=3, unstable_recovery=300)


class BreakerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.breaker = CircuitBreaker(CONFIG, self.clock, on_transition=self.note)
        self.open_until = 0.0
        self.under_way: list[Permit] = []
        self.probes: set[Permit] = set()
        self.succeeded = 0

    def note(self, transition: Transition) -> None:
        if transition.to_state is State.OPEN:
            unstable = "unstable" in transition.reason
            self.open_until = self.clock.now + (CONFIG.unstable_recovery if unstable else CONFIG.recovery)
        if transition.to_state is State.CLOSED:
            assert self.succeeded == CONFIG.probes, "closed by anything but all of its probes"
        self.succeeded = 0
        self.probes.clear()

    @rule(calls=st.integers(1, 5))
    def begin(self, calls: int) -> None:
        for _ in range(calls):
            before, admits = self.breaker.state, self.breaker.admits
            try:
                permit = self.breaker.acquire()
            except CircuitOpenError:
                assert not admits, "refused what it said it would admit"
                assert before is not State.CLOSED, "a closed breaker refused a call"
                continue
            assert admits, "admitted what it said it would refuse"
            assert before is not State.OPEN or self.clock.now >= self.open_until, "let through too early"
            self.under_way.append(permit)
            if self.breaker.state is State.HALF_OPEN:
                self.probes.add(permit)

    @precondition(lambda self: self.breaker.state is State.OPEN)
    @rule(calls=st.integers(1, 5))
    def begin_when_the_recovery_is_over(self, calls: int) -> None:
        self.clock.now = max(self.clock.now, self.open_until)
        self.begin(calls)
        assert self.breaker.state is State.HALF_OPEN, "open for longer than its recovery time"

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), verdict=st.sampled_from(["success", "failure", "release"]))
    def finish_one(self, data: st.DataObject, verdict: str) -> None:
        call = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        getattr(self, verdict)(call)

    @precondition(lambda self: self.under_way)
    @rule(calls=st.integers(1, 5), verdict=st.sampled_from(["success", "failure", "release"]))
    def finish_the_oldest(self, calls: int, verdict: str) -> None:
        """Calls from before the breaker opened come in while it is half-open."""
        for _ in range(min(calls, len(self.under_way))):
            getattr(self, verdict)(self.under_way.pop(0))

    def success(self, call: Permit) -> None:
        if call in self.probes:
            self.probes.remove(call)
            self.succeeded += 1
        call.success()

    def failure(self, call: Permit) -> None:
        was_probe, before = call in self.probes, self.breaker.state
        call.failure("timeout")
        if was_probe:
            assert self.breaker.state is State.OPEN, "one failed probe must re-open it"
        elif before is not State.CLOSED:
            assert self.breaker.state is before, "a call from before it opened changed the state"

    def release(self, call: Permit) -> None:
        """A 429, our own 503, a client who left."""
        before = self.breaker.state
        self.probes.discard(call)
        call.release()
        assert self.breaker.state is before, "a call without a verdict changed the state"

    @precondition(lambda self: self.breaker.state is State.CLOSED)
    @rule()
    def break_down(self) -> None:
        """Calls that were under way stay so: their verdicts come later, in another state."""
        for _ in range(CONFIG.failures):
            if self.breaker.state is State.CLOSED:
                self.breaker.acquire().failure("timeout")
        assert self.breaker.state is State.OPEN

    # Exact in binary, so that "exactly its recovery time" can be meant literally.
    @rule(seconds=st.sampled_from([0.125, 1, 9.875, 10, 59.875, 60, 240, 300, 700]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def half_open_lets_through_no_more_than_its_probes(self) -> None:
        if self.breaker.state is State.HALF_OPEN:
            assert len(self.probes) + self.succeeded <= CONFIG.probes

    @invariant()
    def open_refuses_until_the_recovery_time_is_over(self) -> None:
        left = self.open_until - self.clock.now
        if self.breaker.state is State.OPEN and left > 0:
            with pytest.raises(CircuitOpenError) as refused:
                self.breaker.acquire()
            assert refused.value.retry_in == left


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, database=None)
