"""The consistency policy of a request: its own, else its use case's flag, else its use case's configured one."""

from collections.abc import Mapping
from typing import get_args

from target_stack.clock import Clock
from target_stack.http_peer import HttpPeer
from target_stack.metrics import GatewayMetrics
from target_stack.naming import Resolver
from target_stack.policy import AskedPolicy, Policy, PolicyName, policies
from target_stack.policy_flags import FlagPoller, PolicyFlags
from target_stack.setting import SettingsError
from target_stack.settings import Settings
from target_stack.variables import required

__all__ = ["PolicyChoice", "policies_by_use_case", "policy_choice"]

_BY = ("request", "flag", "configuration")


def policies_by_use_case(settings: Settings, name: str) -> dict[str, PolicyName]:
    """Return a text setting `finance=strict,...` as a mapping; raise SettingsError where it is none."""
    names: dict[str, PolicyName] = {each: each for each in get_args(PolicyName)}
    found = {}
    for entry in settings.words(name):
        use_case, _, policy = entry.partition("=")
        if not use_case or policy not in names:
            msg = f"setting {name!r}: {entry!r} is not USE-CASE=POLICY with POLICY one of {', '.join(names)}"
            raise SettingsError(msg)
        found[use_case] = names[policy]
    return found


class PolicyChoice:
    """Chooses for each request. `flags` is None where there is no flag service."""

    def __init__(
        self,
        known: Mapping[PolicyName, Policy],
        configured: Mapping[str, PolicyName],
        metrics: GatewayMetrics,
        *,
        default: PolicyName,
        flags: PolicyFlags | None = None,
    ) -> None:
        self._known = known
        self._configured = configured
        self._default = default
        self._flags = flags
        self._questions = metrics.policy_questions
        for policy in known:
            for by in _BY:
                self._questions.labels(policy, by)
        if flags is not None:
            metrics.watch_flags(stale=lambda: flags.stale, age=lambda: flags.age)

    def of(self, asked: AskedPolicy, use_case: str) -> Policy:
        """Return the policy of a request, and count it."""
        policy, by = self._chosen(asked, use_case)
        self._questions.labels(policy, by).inc()
        return self._known[policy]

    def _chosen(self, asked: AskedPolicy, use_case: str) -> tuple[PolicyName, str]:
        if asked != "auto":
            return asked, "request"
        flag = self._flags.policy_of(use_case) if self._flags is not None else None
        if flag is not None:
            return flag, "flag"
        return self._configured.get(use_case, self._default), "configuration"


def policy_choice(
    settings: Settings,
    environ: Mapping[str, str],
    clock: Clock,
    metrics: GatewayMetrics,
    *,
    resolver: Resolver | None,
) -> tuple[PolicyChoice, FlagPoller | None]:
    """Return what chooses, and what asks the flag service meanwhile; raise ConfigurationError where it cannot be."""
    configured = policies_by_use_case(settings, "policy.use-cases")
    (default,) = (name for name in get_args(PolicyName) if name == settings.text("policy.default"))
    if not settings.switch("feature-flags"):
        return PolicyChoice(policies(settings), configured, metrics, default=default), None
    timeout = settings.number("flags.timeout")
    flags = PolicyFlags(clock, keep=settings.switch("flags.last-known"))
    poller = FlagPoller(
        HttpPeer(required(environ, "STACK_FLAGS_URL"), connect_timeout=timeout, resolver=resolver),
        flags,
        interval=settings.number("flags.interval"),
        timeout=timeout,
    )
    return PolicyChoice(policies(settings), configured, metrics, default=default, flags=flags), poller
