"""Tests that are marked with an experiment."""

import pytest

from tests.plugin.conftest import Project


@pytest.mark.long
def test_an_experiment_is_run_before_the_tests_that_are_marked_with_it(project: Project) -> None:
    project.experiment("good")
    project.pytester.makepyfile(
        test_it="""
        import pytest

        good = pytest.mark.chaos(experiment="experiments/good.yaml")

        @good
        def test_more_can_be_asked_of_its_evidence(chaos_run):
            assert chaos_run.outcome == "passed"
            assert chaos_run.report.is_file()
            assert len(chaos_run.evidence.window("during").requests) > 20
            assert [one.title for one in chaos_run.evidence.faults] == ["partition gateway → store"]
            assert chaos_run.judge("total", p50="30s", window="during").outcome == "passed"

        @good
        def test_it_is_run_once_for_all_that_want_the_same(chaos_run):
            with pytest.raises(AssertionError, match="p50"):
                chaos_run.judge("total", p50="1us")

        @pytest.mark.chaos("experiments/good.yaml", settings={"fallback": False})
        def test_a_setting_of_the_file_may_be_overruled():
            raise AssertionError("never reached")

        @pytest.mark.chaos(experiment="experiments/gone.yaml")
        def test_what_is_not_there_is_told(): pass
        """
    )

    result = project.run_in_calm(expect={"passed": 2, "failed": 2}, apart=True)

    result.stdout.fnmatch_lines(["during: availability: at-least 99%*", "While broken", "  ✗ *"])
    result.stdout.fnmatch_lines(["error: experiments/gone.yaml: no such file; did you mean 'experiments/good.yaml'?"])
    result.stdout.fnmatch_lines(["FAILED *::test_a_setting_of_the_file_may_be_overruled - Failed: during: *"])
    assert "never reached" not in result.stdout.str()
    assert "pytest_plugin/" not in result.stdout.str()
    reports = [line.rsplit(" ", 1) for line in result.outlines if "report.html" in line and "::" in line]
    assert [(name.split("::")[1], reports[0][1] == path) for name, path in reports] == [
        ("test_more_can_be_asked_of_its_evidence:", True),
        ("test_it_is_run_once_for_all_that_want_the_same:", True),
        ("test_a_setting_of_the_file_may_be_overruled:", False),
    ]


def test_what_a_marker_cannot_say_is_told(project: Project) -> None:
    project.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.chaos(experimant="experiments/good.yaml")
        def test_it(): pass
        """
    )

    result = project.run()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pytest.mark.chaos: unknown argument 'experimant'; did you mean 'experiment'?*"])
