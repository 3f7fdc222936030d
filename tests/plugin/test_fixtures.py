"""Faults, load, evidence and probes as fixtures."""

import pytest

from tests.plugin.conftest import Project

PLAIN = """
import time
import pytest
from brownout.errors import InvalidInput

FAULT = {"from_": "gateway", "to": "store"}

def test_a_fault_is_on_for_a_block(chaos_target, inject, evidence):
    with inject("partition", **FAULT) as fault:
        assert chaos_target.live.target.broken
        assert fault.off is None
        assert [one.off for one in evidence.faults] == [None]
    assert not chaos_target.live.target.broken
    assert fault.on < fault.off
    assert fault.proof.works
    (span,) = evidence.faults
    assert (span.on, span.off, span.title) == (fault.on, fault.off, "partition gateway → store")

def test_the_next_one_starts_afresh(evidence):
    assert not evidence.faults and not evidence.requests

def test_it_is_healed_whatever_the_block_raises(chaos_target, inject):
    with pytest.raises(ZeroDivisionError), inject("partition", **FAULT):
        1 / 0
    assert not chaos_target.live.target.broken

def test_it_is_healed_though_nobody_leaves_the_block(inject):
    inject("partition", **FAULT).__enter__()

def test_that_one_was(chaos_target):
    assert not chaos_target.live.target.broken

def test_questions_are_judged(load, inject, judge, evidence):
    with load(rate="60/s", arrivals="constant"):
        time.sleep(0.5)
        with inject("partition", **FAULT):
            time.sleep(0.5)
    verdict = judge("availability", at_least="99%")
    assert verdict.samples == len(evidence.requests) > 40
    judge("availability", at_least="99%", window="during")
    assert judge.verdict("total", p50="1us").outcome == "failed"

def test_what_fails_is_told_with_figures(load, judge):
    with load(rate="60/s"):
        time.sleep(0.5)
    judge("total", p50="1us")

def test_too_little_is_inconclusive(judge):
    judge("availability", at_least="99%")

def test_its_own_requests_count(evidence, judge):
    for number in range(30):
        with evidence.request("own") as request:
            request.status = 503 if number == 0 else 200
    with pytest.raises(TimeoutError), evidence.request():
        raise TimeoutError
    assert [one.outcome for one in evidence.requests].count("ok") == 29
    assert evidence.requests[-1].outcome == "timeout"
    judge("availability", at_least="90%")

@pytest.mark.parametrize("call, told", [
    (lambda f: f["inject"]("partion", **FAULT), "unknown fault 'partion'; did you mean 'partition'?"),
    (lambda f: f["inject"]("partition", from_="gateway", too="store"), "did you mean 'to'?"),
    (lambda f: f["inject"]("partition", from_="gateway"), "partition: 'to' is missing"),
    (lambda f: f["inject"]("partition", from_="gateway", to="stor"), "has no service 'stor'; did you mean 'store'?"),
    (lambda f: f["inject"]("kill", service="store"), "cannot do service.kill"),
    (lambda f: f["judge"]("availability", at_least="high"), "at-least: got 'high'"),
    (lambda f: f["judge"]("availability", at_most="99%"), "did you mean 'at-least'?"),
    (lambda f: f["judge"]("ttft", p95=0.5), "p95: got 0.5"),
    (lambda f: f["judge"]("ttft", p95="1s", window="while"), "unknown stretch 'while'"),
    (lambda f: f["judge"]("ttft", p95="1s", window="during"), "no fault was on"),
    (lambda f: f["load"](rate=20), "rate: got 20"),
])
def test_mistakes_are_told(inject, judge, load, call, told):
    with pytest.raises(InvalidInput) as error:
        call({"inject": inject, "judge": judge, "load": load})
    assert told in str(error.value)
    assert "a test:" not in str(error.value)
"""

UNPROVED = """
import time
from brownout.evidence.model import Proof

def test_it(chaos_target, inject, load, judge):
    chaos_target.live.target.proof = Proof(False, "nothing was swallowed")
    with load(rate="60/s"), inject("partition", from_="gateway", to="store"):
        time.sleep(0.5)
    judge("availability", at_least="1%")
"""


def test_faults_load_and_verdicts_in_plain_tests(project: Project) -> None:
    project.pytester.makepyfile(PLAIN)

    result = project.run_in_calm(expect={"passed": 18, "failed": 1, "inconclusive": 1})

    result.stdout.fnmatch_lines(
        [
            '>       judge("total", p50="1us")',
            "E       Failed: total: p50 1us: p50 *, asked for p50 at most 1 µs; * samples",
        ]
    )
    result.stdout.fnmatch_lines(["E       Inconclusive: availability: at-least 99%: *"])
    result.stdout.no_fnmatch_line("*pytest_plugin/*")


@pytest.mark.parametrize(("how", "outcome"), [("fail", "inconclusive"), ("xfail", "xfailed")])
def test_a_fault_that_was_none_leaves_nothing_to_say(project: Project, how: str, outcome: str) -> None:
    project.pytester.makepyfile(UNPROVED)

    result = project.run("--chaos-inconclusive", how)

    assert result.parseoutcomes() == {outcome: 1}
    result.stdout.fnmatch_lines(["*availability: at-least 1%: partition gateway → store: nothing was swallowed*"])


@pytest.mark.parametrize(("scope", "targets"), [("session", 1), ("module", 2), ("function", 4)])
def test_a_target_lasts_as_long_as_it_is_told_to(project: Project, scope: str, targets: int) -> None:
    text = "def test_one(chaos_target): pass\ndef test_two(chaos_target): pass\n"
    project.pytester.makepyfile(test_a=text, test_b=text)

    result = project.run("-o", f"chaos_scope={scope}")

    assert result.parseoutcomes() == {"passed": 4}, result.stdout.str()
    assert project.brought_up() == targets


def test_a_test_may_ask_for_a_target_of_its_own(project: Project) -> None:
    project.pytester.makepyfile(
        """
        import pytest

        fragile = pytest.mark.chaos(settings={"fallback": False}, scope="module")

        def test_the_usual_one(chaos_target): assert chaos_target.live.target.fallback

        @fragile
        def test_another(chaos_target): assert not chaos_target.live.target.fallback

        @fragile
        def test_the_same(chaos_target, request):
            assert not chaos_target.live.target.fallback
            assert request.node.name == "test_the_same[fallback=off]"
        """
    )

    project.run_in_calm(expect={"passed": 3})
    assert project.brought_up() == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--chaos-target", "smal"], "chaos_target: unknown target 'smal'; did you mean 'small'?*"),
        (["--chaos-set", "fallbak=off"], "chaos_target: command line: unknown setting 'fallbak'; did you mean*"),
        (["-o", "chaos_scope=sesion"], "*chaos_scope: got 'sesion'; expected one of session, module, function"),
    ],
)
def test_a_target_that_cannot_be_is_told_without_a_traceback(project: Project, options: list[str], told: str) -> None:
    project.pytester.makepyfile("def test_it(chaos_target): pass")

    result = project.run(*options)

    assert result.ret != 0
    pytest.LineMatcher([*result.outlines, *result.errlines]).fnmatch_lines([told])
    assert "pytest_plugin/" not in result.stdout.str()


@pytest.mark.long
def test_two_workers_have_a_target_each(project: Project) -> None:
    project.pytester.makepyfile(
        """
        import time, pytest
        from pathlib import Path

        @pytest.mark.parametrize("number", range(2))
        def test_it(chaos_target, inject, number, worker_id):
            Path(worker_id).write_text(chaos_target.url)
            with inject("partition", from_="gateway", to="store"):
                while len(list(Path().glob("gw?"))) < 2:
                    time.sleep(0.02)
        """
    )

    result = project.run_apart("-n", "2")

    assert result.parseoutcomes() == {"passed": 2}, result.stdout.str()
    assert len({path.read_text() for path in project.path.glob("gw?")}) == 2


ASYNC = """
import asyncio, time, pytest

@pytest.mark.{mark}
async def test_the_loop_is_free_meanwhile(chaos_target, load, inject, judge):
    beats = 0
    async def beat():
        nonlocal beats
        while True:
            await {sleep}(0.01)
            beats += 1
    {start}
    async with load(rate="60/s"), inject("partition", from_="gateway", to="store"):
        assert chaos_target.live.target.broken
        await {sleep}(0.5)
    {stop}
    assert not chaos_target.live.target.broken
    assert beats > 10
    judge("availability", at_least="99%")

@pytest.mark.{mark}
async def test_a_cancelled_block_heals(chaos_target, inject):
    with pytest.raises(TimeoutError):
        {limit}
            async with inject("partition", from_="gateway", to="store"):
                await {sleep}(60)
    assert not chaos_target.live.target.broken

def test_a_plain_one_beside_them(chaos_target, inject):
    with inject("partition", from_="gateway", to="store"):
        assert chaos_target.live.target.broken
"""


def test_with_pytest_asyncio(project: Project) -> None:
    words = {
        "mark": "asyncio",
        "sleep": "asyncio.sleep",
        "start": "beating = asyncio.create_task(beat())",
        "stop": "beating.cancel()",
        "limit": "async with asyncio.timeout(0.1):",
    }
    project.pytester.makepyfile(ASYNC.format(**words))
    project.options = ["-p", "no:cacheprovider"]

    project.run_in_calm("-o", "asyncio_default_fixture_loop_scope=function", expect={"passed": 3}, apart=True)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_with_anyio(project: Project, backend: str) -> None:
    words = {
        "mark": "anyio",
        "sleep": "anyio.sleep",
        "start": "async with anyio.create_task_group() as beating:\n        beating.start_soon(beat)",
        "stop": "    beating.cancel_scope.cancel()",
        "limit": "with anyio.fail_after(0.1):",
    }
    text = ASYNC
    for part in ("async with load", "    assert chaos_target.live.target.broken\n        await {sleep}(0.5)"):
        text = text.replace(f"    {part}", f"        {part}".replace("\n", "\n    "))
    project.pytester.makepyfile(
        text.format(**words).replace("import asyncio,", "import anyio,")
        + f"""
@pytest.fixture
def anyio_backend():
    return {backend!r}
"""
    )

    project.run_in_calm(expect={"passed": 3})


def test_two_sessions_of_one_process_each_have_a_run_of_their_own(project: Project) -> None:
    project.pytester.makepyfile("def test_it(chaos_target):\n    assert chaos_target.url\n")

    for _ in range(2):
        assert project.run().parseoutcomes() == {"passed": 1}

    assert project.brought_up() == 2
