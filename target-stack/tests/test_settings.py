"""The catalogue, its types, its scale, and the words for a mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from target_stack.catalogue import CATALOGUE
from target_stack.catalogue.names import DEPENDENCIES, PROVIDERS
from target_stack.pricing import PriceTable
from target_stack.setting import SettingsError
from target_stack.settings import Settings


def test_every_dependency_has_a_breaker_with_its_preset() -> None:
    settings = Settings()
    presets = {
        name: (settings.integer(f"{name}.breaker.failures"), settings.number(f"{name}.breaker.recovery"))
        for name in DEPENDENCIES
    }
    assert presets == {
        "vector-db": (5, 30),
        "cache": (5, 30),
        "embedding": (3, 60),
        "llm-primary": (3, 60),
        "llm-secondary": (3, 60),
        "llm-tertiary": (3, 60),
        "inference-1": (3, 10),
        "inference-2": (3, 10),
    }


def test_defaults_are_valid_values_of_their_settings() -> None:
    for setting in CATALOGUE.values():
        assert setting.parse(setting.default) == setting.default


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"vector-db.timeot": 1}, "unknown setting 'vector-db.timeot'; did you mean 'vector-db.timeout'?"),
        ({"vector-db.timeout": "500ms"}, "setting 'vector-db.timeout': '500ms' is not a number of seconds, 0 or more"),
        ({"vector-db.timeout": -1}, "setting 'vector-db.timeout': -1 is not a number of seconds, 0 or more"),
        ({"fallbacks": 1}, "setting 'fallbacks': 1 is not true, false, on or off"),
        ({"inference.on-oom": "explode"}, "setting 'inference.on-oom': 'explode' is not one of reject, preempt, die"),
        ({"cache.breaker.error-rate": 10}, "setting 'cache.breaker.error-rate': 10 is not a number from 0 to 1"),
    ],
)
def test_a_mistake_is_named(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(overrides)
    assert str(raised.value) == message


def test_time_scale_shortens_spans_and_keeps_io_timeouts_above_their_floor() -> None:
    settings = Settings({"cache.timeout": 0.1}, time_scale=0.1)
    assert settings.number("vector-db.breaker.recovery") == 3
    assert settings.number("llm.timeout") == 3
    assert settings.number("vector-db.timeout") == 0.5
    assert settings.number("cache.timeout") == 0.1, "set below the floor, so left alone"
    assert settings.number("llm-primary.ttft") == 0.08
    assert settings.integer("vector-db.breaker.failures") == 5


def test_overrides_are_scaled_like_defaults() -> None:
    assert Settings({"vector-db.breaker.recovery": 6}, time_scale=0.5).number("vector-db.breaker.recovery") == 3


def test_cost_follows_the_price_table() -> None:
    prices = PriceTable.from_settings(Settings({"prices": "atlas-large=2/8,atlas-mini=1/1"}))
    assert prices.cost_usd("atlas-large", prompt_tokens=1000, completion_tokens=100) == pytest.approx(0.0028)


@pytest.mark.parametrize("prices", ["atlas-large=2", "atlas-large=2/8"])
def test_a_price_table_with_a_gap_is_refused(prices: str) -> None:
    with pytest.raises(SettingsError, match="prices"):
        PriceTable.from_settings(Settings({"prices": prices}))


def run(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "target_stack", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=60, check=False)


def test_the_settings_command_prints_the_catalogue() -> None:
    listed = json.loads(run("settings", "--json").stdout)["settings"]
    assert [setting["name"] for setting in listed] == list(CATALOGUE)
    assert all(set(setting) == {"name", "type", "default", "doc", "scaled"} for setting in listed)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"STACK_SETTINGS": '{"fallback": false}'}, "unknown setting 'fallback'; did you mean 'fallbacks'?"),
        ({"STACK_SETTINGS": "{"}, "STACK_SETTINGS is not JSON"),
        ({"STACK_TIME_SCALE": "0"}, "the time scale must be positive"),
        ({}, "the gateway needs STACK_TOKENS"),
    ],
)
def test_a_role_refuses_bad_input_with_one_line_and_status_2(environ: dict[str, str], message: str) -> None:
    done = run("serve", "gateway", "--port", "0", **environ)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_readme_lists_every_setting() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    for setting in CATALOGUE.values():
        owner, _, rest = setting.name.partition(".")
        kind = "<dependency>" if rest.startswith("breaker.") else "<provider>"
        generic = f"{kind}.{rest}" if rest.startswith("breaker.") or owner in PROVIDERS else setting.name
        assert f"| `{generic}` | {setting.type} |" in readme
