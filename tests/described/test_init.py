"""`chaos target`: a few answers become a description, questions and a first experiment, which are valid."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from brownout.cli.target import target
from brownout.fixtures.described.reader import read_description
from brownout.prepare import check


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def chaos_target(*arguments: str, says: str = "") -> Result:
    return CliRunner().invoke(target, arguments, input=says)


def test_its_questions_are_few_and_their_answers_are_written() -> None:
    answers = "http://127.0.0.1:5000\npython -m shop.bot\nLLM_URL\nhttps://llm.example/api/v2\n"

    done = chaos_target("init", says=answers)

    assert done.exit_code == 0, done.output
    assert done.output.count("?") == 4
    assert "Next: chaos run chaos/llm_outage.yaml" in done.output
    found = read_description(Path("chaos/target.yaml"))
    app, llm = found.parts
    assert (found.door.url, app.start, app.workdir) == (
        "http://127.0.0.1:5000",
        ("python", "-m", "shop.bot"),
        Path.cwd().resolve(),
    )
    assert app.env == {"LLM_URL": "{links.llm}/api/v2"}
    assert (found.wires[0].upstream, found.wires[0].tls, llm.start) == ("llm.example:443", True, ())
    assert check(Path("chaos/llm_outage.yaml")) == "chaos/target.yaml"


def test_flags_answer_them_and_an_app_that_runs_is_told_where_the_link_is() -> None:
    done = chaos_target("init", "--yes", "--app", "http://127.0.0.1:5000", "--model", "m: 1", "--token-env", "TOKEN")

    assert done.exit_code == 0, done.output
    assert "let your app's OPENAI_BASE_URL be http://127.0.0.1:9001/v1" in done.output
    found = read_description(Path("chaos/target.yaml"))
    assert (found.parts[0].start, found.wires[0].listen, found.door.token_env) == ((), "127.0.0.1:9001", "TOKEN")
    assert check(Path("chaos/llm_outage.yaml")) == "chaos/target.yaml"


def test_what_is_there_is_not_overwritten_unless_asked() -> None:
    assert chaos_target("init", "--yes").exit_code == 0
    written = Path("chaos/target.yaml").read_text()

    refused = chaos_target("init", "--yes", "--start", "other")
    assert refused.exit_code == 2
    assert "chaos/target.yaml" in refused.output
    assert "--force overwrites" in refused.output
    assert Path("chaos/target.yaml").read_text() == written

    assert chaos_target("init", "--yes", "--start", "other", "--force").exit_code == 0
    assert Path("chaos/target.yaml").read_text() != written


def test_a_url_that_is_none_is_refused_and_nothing_is_written() -> None:
    for given in (("--app", "localhost:8000"), ("--llm", "api.openai.com")):
        done = chaos_target("init", "--yes", *given)
        assert done.exit_code == 2
        assert f"{given[0]}: '{given[1]}' is no URL" in done.output
    assert not Path("chaos").exists()


def test_check_says_what_can_be_broken_and_what_cannot() -> None:
    chaos_target("init", "--yes", "--start", "uvicorn app:app", "--folder", "here")

    done = chaos_target("check", "here/target.yaml")

    assert done.exit_code == 0, done.output
    assert "app: " in done.output
    assert "freeze" in done.output
    assert "llm: not started by Brownout; only its links can be broken" in done.output
    assert "app → llm (HTTP): blackhole, " in done.output
    assert "cannot judge breaker: " in done.output

    Path("here/target.yaml").write_text("door: {}")
    wrong = chaos_target("check", "here/target.yaml")
    assert wrong.exit_code == 2
    assert "here/target.yaml:1:1: door: 'url' is missing" in wrong.output
