"""The alerting rules on burn rates, as Prometheus itself reads them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from brownout.cli.gameday import gameday
from brownout.errors import InvalidInput
from brownout.gameday import burnrates
from brownout.gameday.burnrates import rules
from brownout.slo import ALERTS
from target_stack.metrics import GatewayMetrics

TESTS = Path(__file__).with_name("burn-rates.test.yml")
with_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: apt-get install prometheus")


def promtool(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["promtool", *arguments], cwd=cwd, check=False, capture_output=True, text=True)


def test_the_shipped_rules_are_fresh() -> None:
    assert burnrates.main(["--check"]) == 0, "run python -m brownout.gameday.burnrates"


@with_promtool
def test_prometheus_fires_them_when_it_should_and_not_when_it_should_not() -> None:
    said = promtool("test", "rules", TESTS.name, cwd=TESTS.parent)
    assert said.returncode == 0, said.stdout + said.stderr


@with_promtool
@pytest.mark.parametrize("hour", ["1h", "60s", "5m"])
def test_prometheus_takes_them_whatever_an_hour_is(hour: str, tmp_path: Path) -> None:
    said = CliRunner().invoke(gameday, ["rules", "--hour", hour, "--scraped-every", "1s"])
    (tmp_path / "rules.yml").write_text(said.output)
    checked = promtool("check", "rules", "rules.yml", cwd=tmp_path)
    assert "SUCCESS: 22 rules found" in checked.stdout, checked.stderr


def alerts(text: str) -> dict[str, str]:
    groups: list[dict[str, Any]] = yaml.safe_load(text)["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}


def test_they_are_those_of_the_report_over_windows_that_shrink_with_the_hour() -> None:
    text = rules(hour=60, scraped_every=1)
    found = alerts(text)
    assert list(found) == [
        *("AvailabilityBurnsFast", "AvailabilityBurns", "AvailabilityBurnsSlowly"),
        *("FirstTokenBurnsFast", "FirstTokenBurns", "FirstTokenBurnsSlowly"),
    ]
    limits = [float(re.findall(r"> ([\d.]+)", found[name])[0]) for name in list(found)[:3]]
    assert limits == pytest.approx([alert.burn * 0.001 for alert in ALERTS])
    # 5 min, 30 min, 1 h, 6 h, 3 d
    assert {"[5s]", "[30s]", "[1m]", "[6m]", "[72m]"} == set(re.findall(r"\[\w+\]", text))


def test_windows_that_hold_too_few_scrapes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="it takes 12 min at least"):
        rules(hour=60)
    said = CliRunner().invoke(gameday, ["rules", "--hour", "60s"])
    assert (said.exit_code, "too short for 4 scrapes, one every 15 s" in said.output) == (2, True), said.output
    assert CliRunner().invoke(gameday, ["rules", "--hour", "soon"]).exit_code == 2
    assert CliRunner().invoke(gameday, ["rules", "--hour", "0s"]).exit_code == 2


def test_every_series_that_they_read_is_one_of_the_gateways() -> None:
    known = {sample.name for family in GatewayMetrics().registry.collect() for sample in family.samples}
    known |= {f"{family.name}_total" for family in GatewayMetrics().registry.collect() if family.type == "counter"}
    queries = " ".join(query for one in burnrates.INDICATORS for query in (one.bad, one.of))
    used = set(re.findall(r"\b([a-z][a-z_]+)(?=\[|\{)", queries))
    assert len(used) == 6
    assert used <= known
