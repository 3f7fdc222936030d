"""A system of one's own as the fixtures' target: nothing but its description is named."""

import pytest

from tests.described.system import system_in
from tests.plugin.conftest import Project

TEST = """
import time
import httpx

def test_the_app_says_that_its_provider_is_away(chaos_target, inject, load, judge, evidence):
    with load(rate="40/s", arrivals="constant", timeout="5s"):
        with inject("partition", from_="app", to="llm", manner="reset"):
            with evidence.request("by hand") as request:
                answer = httpx.post(f"{chaos_target.url}/v1/chat/completions", json=QUESTION, timeout=5.0)
                request.status = answer.status_code
            time.sleep(1)
    assert request.status >= 500
    judge("availability", below="10%", window="during")

QUESTION = {"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
"""
IN_VAIN = """
def test_a_probe_that_could_only_mislead_is_refused(judge):
    judge("disclosed", share="100%")
"""


@pytest.mark.process
def test_a_description_is_brought_up_broken_and_judged(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    system = system_in(project.path / "chaos")
    monkeypatch.setenv("TOLD", "x")
    project.pytester.makepyfile(test_own=TEST, test_in_vain=IN_VAIN)

    result = project.run_in_calm("--chaos-target", "chaos/target.yaml", expect={"passed": 1, "failed": 1}, apart=True)

    result.stdout.fnmatch_lines(["*disclosed*does not say such a thing*"])
    assert system.listening() == []
    assert project.brought_up() == 1
