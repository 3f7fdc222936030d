"""Full, reduced, emergency: down fast, up slowly, and never to and fro."""

import pytest
from fakes import FakeClock
from harness import ACME, GLOBEX, INITECH, Gateway, Stack, free_port, wait_until
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from target_stack.documents import Document
from target_stack.emergency import emergency_answer
from target_stack.service_mode import Mode, ModeConfig, ServiceMode

CONFIG = ModeConfig()


class Service:
    """A service whose readings a test sets; it looks at them once a second, with ten questions a second."""

    def __init__(self, config: ModeConfig = CONFIG) -> None:
        self.clock = FakeClock()
        self.changes: list[tuple[float, Mode]] = []
        self.began = self.clock.now
        self.mode = ServiceMode(config, self.clock, on_change=self.note)

    def note(self, before: Mode, after: Mode) -> None:
        assert before is not after
        self.changes.append((self.clock.now - self.began, after))

    def goes_on(self, seconds: int, *, utilisation: float = 0.0, failing: int = 0) -> Mode:
        """So many of a hundred questions fail."""
        for _ in range(seconds):
            self.clock.advance(1)
            for number in range(100):
                self.mode.asked(failed=number < failing)
            self.mode.tick(utilisation)
        return self.mode.mode


def test_failing_models_reduce_the_service_after_ten_seconds_and_dead_ones_end_in_emergency() -> None:
    service = Service()
    assert service.goes_on(10, failing=6) is Mode.FULL
    assert service.goes_on(1, failing=6) is Mode.REDUCED
    assert service.goes_on(60, failing=6) is Mode.REDUCED, "a tenth failing is no emergency"
    service.goes_on(30, failing=100)
    assert [mode for _, mode in service.changes] == [Mode.REDUCED, Mode.EMERGENCY]


def test_a_burst_that_a_breaker_ends_changes_nothing() -> None:
    service = Service()
    service.goes_on(3, failing=100)
    assert service.goes_on(60) is Mode.FULL
    assert service.changes == []


def test_an_outage_of_everything_is_an_emergency_at_once() -> None:
    service = Service()
    service.goes_on(11, failing=100)
    assert service.changes == [(11, Mode.EMERGENCY)]


def test_a_busy_service_is_reduced_after_thirty_seconds() -> None:
    service = Service()
    assert service.goes_on(30, utilisation=0.95) is Mode.FULL
    assert service.goes_on(1, utilisation=0.95) is Mode.REDUCED
    other = Service()
    for _ in range(10):
        other.goes_on(29, utilisation=0.95)
        other.goes_on(1, utilisation=0.85)
    assert other.changes == [], "a peak is no load"


def test_the_way_up_takes_five_good_minutes_for_each_step() -> None:
    service = Service()
    service.goes_on(11, failing=100)
    since = service.clock.now - service.began
    service.goes_on(700)
    up = [(at - since, mode) for at, mode in service.changes[1:]]
    # The window has to forget the outage first.
    assert up == [(304, Mode.REDUCED), (605, Mode.FULL)]


@pytest.mark.parametrize("reading", [{"utilisation": 0.75}, {"failing": 2}])
def test_between_good_and_bad_nothing_changes(reading: dict[str, int]) -> None:
    service = Service()
    assert service.goes_on(1000, **reading) is Mode.FULL
    service.goes_on(40, failing=6)
    service.goes_on(30)
    assert service.goes_on(1000, **reading) is Mode.REDUCED


def test_a_handful_of_failures_proves_nothing() -> None:
    service = Service()
    for _ in range(30):
        service.clock.advance(2)
        service.mode.asked(failed=True)
        service.mode.tick(0.0)
    assert service.mode.mode is Mode.FULL


def test_without_hysteresis_the_service_flaps_and_switched_off_it_stays_full() -> None:
    def load_that_each_mode_removes(config: ModeConfig) -> list[tuple[float, Mode]]:
        service = Service(config)
        for _ in range(300):
            service.goes_on(1, utilisation=0.95 if service.mode.mode is Mode.FULL else 0.5)
        return service.changes

    assert len(load_that_each_mode_removes(ModeConfig(hysteresis=False))) > 200
    assert load_that_each_mode_removes(CONFIG) == [(31, Mode.REDUCED)]
    assert load_that_each_mode_removes(ModeConfig(enabled=False)) == []


class ModeMachine(RuleBasedStateMachine):
    """Whatever the readings do, steps up are single, and far from whatever was bad before them."""

    def __init__(self) -> None:
        super().__init__()
        self.service = Service()
        self.last_not_good = self.service.clock.now
        self.last_change: float | None = None
        self.before = Mode.FULL

    @rule(
        seconds=st.sampled_from([1, 5, 12, 35, 320]),
        utilisation=st.sampled_from([0.0, 0.69, 0.7, 0.9, 0.95]),
        failing=st.sampled_from([0, 1, 5, 6, 51, 100]),
    )
    def goes_on(self, seconds: int, utilisation: float, failing: int) -> None:
        for _ in range(seconds):
            self.service.goes_on(1, utilisation=utilisation, failing=failing)
            now, mode = self.service.clock.now, self.service.mode.mode
            if utilisation >= 0.7 or self.service.mode.failure_share() >= 0.01:
                self.last_not_good = now
            if mode < self.before:
                assert mode == self.before - 1, "up by more than a step"
                assert now - self.last_not_good >= CONFIG.recovery, "up too soon after something bad"
                assert self.last_change is None or now - self.last_change >= CONFIG.recovery, "up too soon again"
            if mode is not self.before:
                self.last_change = now
            self.before = mode

    @invariant()
    def a_dead_service_is_in_emergency_and_a_good_one_is_full_in_the_end(self) -> None:
        recent = self.service.clock.now - self.last_not_good
        if recent > 3 * CONFIG.recovery:
            assert self.service.mode.mode is Mode.FULL


TestModeMachine = ModeMachine.TestCase
TestModeMachine.settings = settings(max_examples=15, stateful_step_count=12, deadline=None, database=None)


def test_the_emergency_answer_quotes_and_cites_and_claims_nothing_else() -> None:
    long = " ".join(f"Sentence number {n} of this document." for n in range(50))
    documents = [
        Document(id="a", tenant="t", title="Refunds", text="Refunds take 14 days. They go to the card."),
        Document(id="b", tenant="t", title="Long", text=long),
    ]
    text = emergency_answer(documents)
    assert '- Refunds: "Refunds take 14 days. They go to the card." [a]' in text
    assert "emergency mode" in text
    assert len(text) < 800
    assert "No document matches" in emergency_answer([])


QUICK = {
    "mode.failing-for": 0.3,
    "mode.window": 2,
    "mode.min-questions": 3,
    "mode.recovery": 2.0,
    "exact-cache": False,
    "retry": "off",
}
QUICK |= {f"{name}.breaker.recovery": 0.5 for name in ("llm-primary", "vector-db", "cache", "embedding")}
REFUNDS = "When are refunds paid?"


def mode(gateway: Gateway) -> float:
    return gateway.metric("service_mode")


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_with_every_dependency_dead_answers_are_honest_and_service_comes_back(stack: Stack) -> None:
    provider, port = stack.provider("llm-primary", {"llm-primary.ttft": 0.001, "llm-primary.tpot": 0.001})
    environ = {"STACK_PROVIDERS": f"llm-primary=http://127.0.0.1:{port}"}
    with stack.gateway(QUICK | {"fallback-cache.ttl": 0}, **environ) as gateway:
        with stack.postgres.paused(), stack.valkey.paused(), stack.embedding.paused(), provider.paused():
            provider.popen.kill()
            asked = "Are refunds paid to the card?"
            wait_until(lambda: gateway.ask(asked, token=INITECH[0]).status != 200 and mode(gateway) == 2, "emergency")
            answer = gateway.stream(asked)
            assert answer.done
            assert "emergency mode" in answer.text
            assert "Refunds are paid within 14 days" in answer.text
            serving = answer.serving
            assert (serving["degradation_level"], serving["service_mode"]) == (4, "emergency")
            assert (serving["model"], serving["provider"], serving["retrieval"]) == ("none", "gateway", "keyword")
            assert serving["attempts"] == {}, "no dependency is asked"
            assert serving["citations"][0] == "acme-refunds"
            assert any("emergency" in warning for warning in serving["warnings"])
            assert answer.headers["x-service-mode"] == "emergency"
            theirs = gateway.ask(asked, token=GLOBEX)
            assert set(theirs.serving["citations"]) <= {"globex-refunds"}
            assert gateway.ask(asked, policy="strict").status == 503
            favoured = gateway.ask(asked, token=INITECH[0])
            assert favoured.serving["provider"] == "gateway"
            assert gateway.metric('fallback_total{kind="emergency"}') >= 3
        stack.role(
            "provider",
            at=port,
            STACK_PROVIDER_NAME="llm-primary",
            STACK_SETTINGS='{"llm-primary.ttft": 0.001, "llm-primary.tpot": 0.001}',
        )
        wait_until(lambda: mode(gateway) == 1, "one step up")
        reduced = gateway.ask(REFUNDS)
        assert (reduced.serving["model"], reduced.serving["service_mode"]) == ("atlas-mini", "reduced")
        assert gateway.ask(REFUNDS, token=INITECH[0]).serving["model"] == "atlas-large"
        wait_until(lambda: mode(gateway) == 0, "and another")
        wait_until(lambda: gateway.ask(REFUNDS).serving["degradation_level"] == 0, "all is well")
        assert gateway.ask(REFUNDS).serving["warnings"] == []


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_without_modes_an_outage_stays_an_error(stack: Stack) -> None:
    dead = {"STACK_PROVIDERS": f"llm-primary=http://127.0.0.1:{free_port()},{_second(stack)}"}
    settings = QUICK | {"service-modes": False, "cache": False, "failover": False}
    with stack.gateway(settings, **dead) as gateway:
        assert {gateway.ask(REFUNDS, token=ACME).status for _ in range(20)} == {503}
        assert mode(gateway) == 0


def _second(stack: Stack) -> str:
    return f"llm-secondary=http://127.0.0.1:{stack.secondary_port}"
