"""The policy of a request: asked for, by flag or configured; and what holds while the flag service is away."""

import json
from typing import Any

import httpx
import pytest
from fakes import FakeClock
from harness import ACME, ADMIN, GLOBEX, Link, Stack, wait_ready, wait_until

from target_stack.metrics import GatewayMetrics
from target_stack.policy import AskedPolicy, policies
from target_stack.policy_choice import PolicyChoice, policies_by_use_case
from target_stack.policy_flags import PolicyFlags
from target_stack.setting import SettingsError
from target_stack.settings import Settings


def choice(flags: PolicyFlags | None = None) -> PolicyChoice:
    known, metrics = policies(Settings()), GatewayMetrics()
    return PolicyChoice(known, {"finance": "strict"}, metrics, default="balanced", flags=flags)


@pytest.mark.parametrize(
    ("asked", "use_case", "policy"),
    [
        ("auto", "finance", "strict"),
        ("auto", "support", "balanced"),
        ("auto", "", "balanced"),
        ("available", "finance", "available"),
    ],
)
def test_without_flags_the_request_decides_and_then_the_configuration(
    asked: AskedPolicy, use_case: str, policy: str
) -> None:
    assert choice().of(asked, use_case).name == policy


def test_a_flag_goes_before_the_configuration_and_the_request_before_the_flag(clock: FakeClock) -> None:
    flags = PolicyFlags(clock, keep=True)
    flags.told({"finance": "available"})
    assert choice(flags).of("auto", "finance").name == "available"
    assert choice(flags).of("auto", "support").name == "balanced"
    assert choice(flags).of("balanced", "finance").name == "balanced"
    flags.told({"*": "strict"})
    assert choice(flags).of("auto", "support").name == "strict"


def test_the_last_known_flags_hold_while_the_service_is_away(clock: FakeClock) -> None:
    flags = PolicyFlags(clock, keep=True)
    assert flags.stale
    assert flags.policy_of("finance") is None, "never heard of: the configuration decides"
    flags.told({"finance": "available"})
    assert not flags.stale
    clock.advance(60)
    assert flags.failed("ConnectError")
    assert (flags.stale, flags.age) == (True, 60)
    assert flags.policy_of("finance") == "available"
    flags.confirmed()
    assert (flags.stale, flags.age) == (False, 0)
    assert flags.policy_of("finance") == "available"


def test_without_last_known_flags_the_configuration_counts_at_once(clock: FakeClock) -> None:
    flags = PolicyFlags(clock, keep=False)
    flags.told({"finance": "available"})
    assert not flags.failed("ConnectError")
    assert flags.policy_of("finance") is None


@pytest.mark.parametrize("text", ["finance", "finance=lenient", "=strict"])
def test_policies_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"policy\.use-cases"):
        policies_by_use_case(Settings({"policy.use-cases": text}), "policy.use-cases")


# -- real processes ----------------------------------------------------------------------------------------------------


def tokens(stack: Stack) -> str:
    """Those of the harness, with a use case."""
    entries = json.loads((stack.folder / "tokens.json").read_text())
    for entry in entries:
        if entry["token"] == ACME:
            entry["use_case"] = "finance"
    path = stack.folder / "tokens-of-use-cases.json"
    path.write_text(json.dumps(entries))
    return str(path)


def put(port: int, use_case: str, body: Any, *, token: str = ADMIN) -> int:
    url = f"http://127.0.0.1:{port}/v1/flags/{use_case}"
    return httpx.put(url, json=body, headers={"authorization": f"Bearer {token}"}, trust_env=False).status_code


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_a_flag_changes_the_policy_without_a_restart_and_outlives_its_service(stack: Stack) -> None:
    where = {"STACK_TOKENS": tokens(stack)}
    service, port = stack.role("flags", **where, STACK_SETTINGS=json.dumps({"flags.initial": "finance=available"}))
    wait_ready(port)
    link = Link(port)
    settings = {"exact-cache": False, "feature-flags": True, "flags.interval": 0.05}
    with stack.gateway(settings, **where, STACK_FLAGS_URL=f"http://127.0.0.1:{link.port}") as gateway:

        def policy(token: str = ACME) -> str:
            answer = gateway.ask("When are refunds paid?", token=token, policy="auto")
            assert answer.headers["x-policy"] == answer.serving["policy"]
            return str(answer.serving["policy"])

        wait_until(lambda: gateway.metric("feature_flags_stale") == 0, "the gateway has heard the flags")
        assert policy() == "available"
        assert policy(GLOBEX) == "balanced", "it has no use case"
        assert put(port, "finance", {"policy": "balanced"}, token=ACME) == 403
        assert put(port, "finance", {"policy": "lenient"}) == 400
        assert put(port, "finance", {"policy": "balanced"}) == 204
        wait_until(lambda: policy() == "balanced", "the gateway follows")
        assert put(port, "*", {"policy": "strict"}) == 204
        wait_until(lambda: policy(GLOBEX) == "strict", "the flag of every other use case")
        link.sever()
        wait_until(lambda: gateway.metric("feature_flags_stale") == 1, "the gateway has noticed")
        assert (policy(), policy(GLOBEX)) == ("balanced", "strict")
        assert put(port, "finance", {"policy": None}) == 204
        assert put(port, "*", {"policy": None}) == 204
        assert policy() == "balanced", "it cannot know"
        link.heal()
        wait_until(lambda: policy() == "strict", "the configured policy of its use case")
        assert policy(GLOBEX) == "balanced"
        assert gateway.metric('policy_questions_total{chosen_by="configuration",policy="strict"}') >= 1
    link.close()
    service.stop()


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_a_gateway_that_starts_without_its_flag_service_uses_the_configured_policy(stack: Stack) -> None:
    where = {"STACK_TOKENS": tokens(stack), "STACK_FLAGS_URL": "http://127.0.0.1:9"}
    with stack.gateway({"exact-cache": False, "feature-flags": True}, **where) as gateway:
        assert gateway.ask("When are refunds paid?", policy="auto").serving["policy"] == "strict"
