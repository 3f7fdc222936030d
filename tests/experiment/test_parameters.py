"""Signatures are the schema: what they say is what an experiment may write."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, Required, TypedDict, Unpack

import pytest

from brownout.evidence import Window
from brownout.fault import fault
from brownout.parameters import Parameter, key_of, parameters_of, parse
from brownout.probe import Verdict, inconclusive, probe
from brownout.system import ServiceName, System
from brownout.units import Bandwidth, Duration, Share, Size, UnitError


def test_parameters_are_seen_through_the_context_manager(stand_ins: Any) -> None:
    source, destination, manner = parameters_of(stand_ins.faults.get("partition"))
    assert source == Parameter("from", "from_", ServiceName, doc="who asks, and is not answered.")
    assert destination == Parameter("to", "to", ServiceName, doc="who does not answer.")
    assert (manner.type, manner.required, manner.default) == (Literal["blackhole", "reset"], False, "blackhole")
    assert manner.doc == ""


def test_a_parameter_that_may_be_none_is_of_its_other_type(stand_ins: Any) -> None:
    at_least, _ = parameters_of(stand_ins.probes.get("availability"))
    assert at_least == Parameter("at-least", "at_least", Share, required=False)


def test_annotations_may_be_text() -> None:
    def reading(window: "Window", *, within: "Duration | None" = None, share: "Share") -> "Verdict":
        raise NotImplementedError

    assert [(one.key, one.type, one.required) for one in parameters_of(reading)] == [
        ("within", Duration, False),
        ("share", Share, True),
    ]


def test_an_annotation_that_cannot_be_resolved_or_written_is_refused() -> None:
    def lost(window: Window, *, a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def untold(window: Window, *, a: dict[str, int]) -> None: ...

    with pytest.raises(TypeError, match=r"annotations cannot be resolved.*Nowhere"):
        parameters_of(lost)
    with pytest.raises(TypeError, match=r"no experiment can write a dict\[str, int\] \(parameter 'a'\)"):
        parameters_of(untold)


class Shared(TypedDict, total=False):
    """What two probes have in common.

    Args:
        at_most: the limit.
    """

    at_most: Required[Duration]
    share: Share | None


def test_parameters_that_are_shared_come_after_the_others_and_keep_their_words() -> None:
    @probe
    def sharing(window: Window, *, within: Duration = Duration(1.0), **shared: Unpack[Shared]) -> Verdict:
        raise NotImplementedError

    assert parameters_of(sharing) == (
        Parameter("within", "within", Duration, required=False, default=1.0),
        Parameter("at-most", "at_most", Duration, doc="the limit."),
        Parameter("share", "share", Share, required=False),
    )


def test_a_shared_parameter_is_held_to_the_same_rules() -> None:
    class Reserved(TypedDict, total=False):
        over: Duration

    class Untold(TypedDict, total=False):
        a: dict[str, int]

    def reserved(window: Window, **shared: Unpack[Reserved]) -> Verdict:
        raise NotImplementedError

    def untold(window: Window, **shared: Unpack[Untold]) -> Verdict:
        raise NotImplementedError

    with pytest.raises(TypeError, match="'over' is the core's own word"):
        probe(reserved)
    with pytest.raises(TypeError, match=r"untold: no experiment can write a dict\[str, int\] \(parameter 'a'\)"):
        parameters_of(untold)


def test_keys_are_names_with_hyphens() -> None:
    assert [key_of(name) for name in ("from_", "at_least", "p95", "ttft_p95")] == [
        "from",
        "at-least",
        "p95",
        "ttft-p95",
    ]


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (Duration, "1.5m", 90.0),
        (Size, "1KiB", 1024),
        (Bandwidth, "64kB/s", 64_000.0),
        (Share, "99.9%", 0.999),
        (ServiceName, " gateway ", "gateway"),
        (int, 3, 3),
        (float, 3, 3.0),
        (bool, "off", False),
        (bool, True, True),
        (Literal["a", 1], 1, 1),
    ],
)
def test_values_become_what_the_function_takes(kind: Any, raw: object, value: object) -> None:
    parsed = parse(Parameter("key", "key", kind), raw)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (int, True),
        (int, 3.0),
        (int, "3"),
        (float, float("nan")),
        (float, float("inf")),
        (float, False),
        (bool, 1),
        (bool, "maybe"),
        (str, 3),
        (str, None),
        (str, "x" * 2001),
        (Literal["1"], 1),
        (Literal[1], True),
        (Duration, 3),
        (Duration, None),
    ],
)
def test_nothing_is_guessed(kind: Any, raw: object) -> None:
    with pytest.raises(UnitError):
        parse(Parameter("key", "key", kind), raw)


def _verdict() -> Verdict:
    return inconclusive("", samples=0, why="")


def test_a_probe_takes_a_window_and_then_annotated_keywords_only() -> None:
    def no_window(*, share: Share) -> Verdict:
        return _verdict()

    def positional(window: Window, share: Share) -> Verdict:
        return _verdict()

    def open_ended(window: Window, **more: Share) -> Verdict:
        return _verdict()

    def untyped(window: Window, *, share) -> Verdict:  # type: ignore[no-untyped-def]
        return _verdict()

    def reserved(window: Window, *, over: Duration) -> Verdict:
        return _verdict()

    async def waiting(window: Window) -> Verdict:
        return _verdict()

    for wrong, why in (
        (no_window, "must take 'window' first"),
        (positional, "nothing but keyword-only"),
        (open_ended, "nothing but keyword-only"),
        (untyped, "'share' needs an annotation"),
        (reserved, "'over' is the core's own word"),
        (waiting, "a probe is pure"),
    ):
        with pytest.raises(TypeError, match=why):
            probe(wrong)  # type: ignore[arg-type]


def test_a_fault_is_a_context_manager_over_a_system() -> None:
    async def bare(system: System) -> AsyncIterator[None]:
        yield

    @asynccontextmanager
    async def other(target: System) -> AsyncIterator[None]:
        yield

    with pytest.raises(TypeError, match="@asynccontextmanager below @fault"):
        fault(bare)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must take 'system' first"):
        fault(other)
    with pytest.raises(TypeError, match="is no function"):
        fault(3)  # type: ignore[arg-type]
