"""The reference pages are what the signatures say."""

from pathlib import Path
from typing import Any

import pytest

from brownout import reference, registry
from brownout.errors import InvalidInput
from brownout.parameters import parameters_of


def test_the_committed_pages_are_fresh() -> None:
    assert reference.main(["--check"]) == 0, "run python -m brownout.reference"


def test_a_stale_page_is_noticed_and_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = tmp_path / reference.FAULTS
    faults.write_text("By hand.\n<!-- parameters: kill -->\nold\n<!-- end -->\nBy hand.\n")
    monkeypatch.setattr(reference, "DOCS", tmp_path)
    assert reference.main(["--check"]) == 1
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    assert (tmp_path / reference.PROBES).read_text().startswith("# Probes\n")
    assert faults.read_text().startswith("By hand.\n<!-- parameters: kill -->\n| parameter |")
    assert faults.read_text().endswith("who is killed. |\n<!-- end -->\nBy hand.\n")


def test_a_table_for_a_fault_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidInput, match="unknown fault 'kil'"):
        reference.filled("<!-- parameters: kil -->\n<!-- end -->")


def test_every_fault_on_a_service_has_its_section() -> None:
    faults = registry.faults()
    of_services = {name for name in faults.names() if "service" in {one.key for one in parameters_of(faults.get(name))}}
    assert of_services <= set(reference.sections((reference.DOCS / reference.FAULTS).read_text(encoding="utf-8")))


def test_a_table_says_type_default_and_meaning_as_the_signature_does() -> None:
    lines = reference.table(registry.faults().get("gpu_oom")).splitlines()
    assert (
        lines[2]
        == "| `service` | service | required | whose memory it is. Everybody on the same device is short of it. |"
    )
    assert lines[3] == "| `leave` | size, `64MiB` | 64 MiB | what is left. |"
    assert lines[4].startswith("| `memory` | `gpu`, `host` |  | which memory; ")
    assert lines[5].startswith("| `device` | whole number | `0` | which GPU, ")


def test_every_probe_and_parameter_of_a_registry_is_told(stand_ins: Any) -> None:
    page = reference.page(stand_ins.probes)
    for name in stand_ins.probes.names():
        assert f"\n## {name}\n" in page
    row = next(line for line in page.splitlines() if line.startswith("| `dependency`"))
    assert "| dependency | required |" in row
