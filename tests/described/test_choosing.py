"""Which system is meant, what of it can be broken, and who may break it at the same time."""

from pathlib import Path

import pytest

from brownout.errors import EnvironmentProblem, InvalidInput
from brownout.prepare import RunOptions, check, prepare
from brownout.reader import read_experiment
from brownout.state import hold_target
from brownout.targets import chosen, located, lock_name, registered
from brownout.toolkit.compile import compile_experiment
from tests.described.system import EXPERIMENT, System, system_in


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    monkeypatch.chdir(tmp_path)
    return system_in(tmp_path / "chaos")


def test_a_path_is_a_description_and_a_name_is_an_installed_target(system: System) -> None:
    described = chosen("chaos/target.yaml")

    assert described.name == registered("chaos/target.yaml") == "described"
    assert described.topology_of({}).services == ("app", "llm")
    assert chosen("embedded").name == registered("embedded") == "embedded"
    with pytest.raises(InvalidInput, match="did you mean 'embedded'"):
        chosen("embeded")
    with pytest.raises(InvalidInput, match="name the file that describes it"):
        chosen("described")
    with pytest.raises(InvalidInput, match=r"chaos/traget.yaml: no such file; did you mean 'chaos/target.yaml'"):
        chosen("chaos/traget.yaml")


def test_a_path_in_an_experiment_is_relative_to_it_and_one_given_is_not(system: System) -> None:
    assert check(system.experiment) == str(system.description)
    assert check(Path("chaos/outage.yaml")) == "chaos/target.yaml"
    assert check(Path("chaos/outage.yaml"), RunOptions(target="chaos/target.yaml")) == "chaos/target.yaml"
    with pytest.raises(InvalidInput, match=r"\./target.yaml: no such file|^target.yaml: no such file"):
        check(Path("chaos/outage.yaml"), RunOptions(target="target.yaml"))
    compiled = compile_experiment(read_experiment(Path("chaos/outage.yaml")))
    assert compiled["configuration"]["brownout_target"]["default"] == "chaos/target.yaml"
    assert located("here/") == "./here"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("partition: {from: app, to: llm, manner: reset}", "kill: {service: llm}", "did not start llm"),
        ("from: app, to: llm, manner: reset", "from: llm, to: app", "did you mean 'app → llm'?"),
        ("partition: {from: app, to: llm, manner: reset}", "dns_failure: {from: app, to: llm}", "no name can fail"),
        ("{quality: {faithfulness: 90%}}", "{degradation: {level: 0}}", "degradation: cannot be judged on this target"),
        ("{quality: {faithfulness: 90%}}", "{breaker: {dependency: llm, state: closed}}", "breaker: cannot be judged"),
        ("load: {", "load: {questions: hot, ", "did you mean|allowed: golden"),
        ("duration: 8s", "duration: 8s\nwrites: {rate: 5/s}", "takes no documents"),
        ("duration: 8s", "duration: 8s\nsettings: {retry: off}", "this target has none"),
    ],
)
def test_what_cannot_be_done_to_it_is_refused_before_anything_starts(
    system: System, old: str, new: str, says: str
) -> None:
    system.describe(system.description.read_text().split("\n")[6].strip(), "llm: {}")
    assert old in EXPERIMENT
    system.experiment.write_text(EXPERIMENT.replace(old, new))

    with pytest.raises(InvalidInput, match=says):
        check(system.experiment)


def test_two_runs_on_one_description_exclude_each_other_and_two_descriptions_do_not(
    system: System, tmp_path: Path
) -> None:
    other = system_in(tmp_path / "other")
    absolute, relative = str(system.description), "chaos/../chaos/target.yaml"

    names = [lock_name(one, "default") for one in (absolute, relative, str(other.description))]
    assert names[0] == names[1] != names[2]
    with (
        hold_target(absolute, "default", "one"),
        hold_target(str(other.description), "default", "two"),
        hold_target("embedded", "default", "three"),
    ):
        with pytest.raises(EnvironmentProblem, match=r"chaos/target.yaml is in use by run one .*; wait for it$"):
            hold_target(relative, "default", "four").__enter__()
        # It is one system, whatever a run calls itself.
        with pytest.raises(EnvironmentProblem, match="in use by run one"):
            hold_target(absolute, "second", "five").__enter__()


def test_the_run_folder_keeps_the_description_without_its_secrets(system: System) -> None:
    system.describe("TOLD:", "API_KEY: sk-1234, TOLD:")

    plan = prepare(read_experiment(system.experiment), RunOptions(runs_dir=Path("runs")))

    kept = (plan.folder / "target.yaml").read_text()
    assert kept == system.description.read_text().replace("sk-1234", "…")
    assert (plan.folder / "experiment.yaml").read_text() == EXPERIMENT


def test_breakers_that_are_described_can_be_judged(system: System) -> None:
    text = EXPERIMENT.replace("{quality: {faithfulness: 90%}}", "{breaker: {dependency: llm, becomes: open}}")
    system.experiment.write_text(text)
    with pytest.raises(InvalidInput, match="breaker: cannot be judged on this target: its description does not say"):
        check(system.experiment)

    told = f"metrics: http://127.0.0.1:{system.app}/metrics, breakers: {{metric: state, label: of}}"
    system.describe(f"ready: 127.0.0.1:{system.llm}", f"ready: 127.0.0.1:{system.llm}, {told}")
    assert check(system.experiment) == str(system.description)
