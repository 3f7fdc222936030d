"""`detection` and `notify` of a plan, and what `chaos gameday validate` says of them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from brownout.cli.gameday import gameday
from brownout.errors import InvalidInput
from brownout.gameday.plan import Detection
from brownout.gameday.reader import read_plan
from tests.gameday.plans import TEXT, written

URL = "https://hooks.slack.com/services/T0000/not-for-your-eyes"


def test_a_plan_says_which_alerts_count_and_who_is_told(tmp_path: Path) -> None:
    more = """\
detection: {alerts: [AvailabilityBurnsFast, FirstTokenBurns], matching: {severity: page, team: "7"}}
notify: {webhook: [{env: SLACK_WEBHOOK_URL}, {env: PAGER_URL}, {env: PAGER_URL}]}
"""
    plan = read_plan(written(tmp_path, TEXT + more))
    assert plan.detection == Detection(("AvailabilityBurnsFast", "FirstTokenBurns"), {"severity": "page", "team": "7"})
    assert plan.notify == ("SLACK_WEBHOOK_URL", "PAGER_URL")


def test_a_plan_that_says_nothing_counts_every_alert_and_tells_nobody(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    assert (plan.detection, plan.notify) == (Detection(), ())
    assert plan.detection.counts("Anything", {}, {})


def test_a_label_comes_before_an_annotation_of_the_same_name() -> None:
    detection = Detection(matching={"team": "platform"})
    assert detection.counts("A", {}, {"team": "platform"})
    assert not detection.counts("A", {"team": "data"}, {"team": "platform"})


@pytest.mark.parametrize(
    "text",
    [
        f"notify: {URL}",
        f"notify: {{webhook: '{URL}'}}",
        f"notify: {{webhook: {{url: '{URL}'}}}}",
        f"notify: {{webhook: {{env: '{URL}'}}}}",
        f"notify: {{webhook: [{{env: OK}}, '{URL}']}}",
        f"notify: {{webhook: {{'{URL}': x}}}}",
        f"notify: {{'{URL}': x}}",
    ],
)
def test_a_url_in_the_file_is_refused_with_the_reason_and_not_repeated(text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_plan(written(tmp_path, f"{TEXT}{text}\n"))
    assert "it is a secret and does not belong in this file" in str(refused.value)
    assert "webhook: {env: SLACK_WEBHOOK_URL}" in str(refused.value)
    assert "not-for-your-eyes" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("notify: {}", "'webhook' is missing"),
        ("notify: {webhook: {}}", "'env' is missing"),
        ("notify: {webhook: {env: xoxb-12 34}}", "expected the name of an environment variable"),
        ("notify: {webhook: hooks}", "a webhook: got 'hooks'; expected a mapping"),
        ("notify: {mail: {env: A}}", "unknown key 'mail' of notify"),
        ("detection: {alert: [A]}", "unknown key 'alert' of detection"),
        ("detection: {alerts: {A: 1}}", "alerts: got a mapping; expected a list of names"),
        ("detection: {matching: [a]}", "matching: got a list; expected a mapping"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_plan(written(tmp_path, f"{TEXT}{text}\n"))
    line = TEXT.count("\n") + 1
    assert f"sunday.yaml:{line}:" in str(refused.value)
    assert says in str(refused.value)


def test_validate_says_which_variable_is_not_set_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, TEXT + "notify: {webhook: [{env: BROWNOUT_TEST_A}, {env: BROWNOUT_TEST_B}]}\n")
    monkeypatch.setenv("BROWNOUT_TEST_A", URL)
    monkeypatch.delenv("BROWNOUT_TEST_B", raising=False)
    said = CliRunner().invoke(gameday, ["validate", str(path)])
    assert said.exit_code == 0, said.output
    assert "Note: notify: the environment variable BROWNOUT_TEST_B is not set" in said.output
    assert "BROWNOUT_TEST_A" not in said.output
    assert "not-for-your-eyes" not in said.output
