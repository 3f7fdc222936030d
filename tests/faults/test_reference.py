"""docs/faults.md has every fault on a service, with its parameters as they are."""

from pathlib import Path

import pytest

from brownout import reference, registry
from brownout.errors import InvalidInput
from brownout.parameters import parameters_of
from brownout.reference import filled, main, sections, table


def test_the_tables_of_the_page_are_fresh() -> None:
    assert main(["--check"]) == 0, "run python -m brownout.reference"


def test_every_fault_on_a_service_has_its_section() -> None:
    faults = registry.faults()
    of_services = {name for name in faults.names() if "service" in {one.key for one in parameters_of(faults.get(name))}}
    assert of_services <= set(sections(reference.FILE.read_text(encoding="utf-8")))


def test_a_table_says_type_default_and_meaning_as_the_signature_does() -> None:
    lines = table("gpu_oom").splitlines()
    assert (
        lines[2]
        == "| `service` | a service | must be said | whose memory it is. Everybody on the same device is short of it. |"
    )
    assert lines[3] == "| `leave` | a size | 64 MiB | what is left. |"
    assert lines[4].startswith("| `memory` | `gpu` or `host` |  | which memory; ")
    assert lines[5].startswith("| `device` | a whole number | `0` | which GPU, ")


def test_a_stale_page_is_noticed_and_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "faults.md"
    page.write_text("By hand.\n<!-- parameters: kill -->\nold\n<!-- end -->\nBy hand.\n")
    monkeypatch.setattr(reference, "FILE", page)
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert page.read_text().startswith("By hand.\n<!-- parameters: kill -->\n| | | where")
    assert page.read_text().endswith("who is killed. |\n<!-- end -->\nBy hand.\n")
    with pytest.raises(InvalidInput, match="unknown fault 'kil'"):
        filled("<!-- parameters: kil -->\n<!-- end -->")
