"""docs/in-process.md says what is so: its example runs, and its table is that of the dialects."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from brownout.dialect import Failure, installed_dialects

DOCUMENT = Path(__file__).parents[2] / "docs" / "in-process.md"
ORDER = (
    "openai_chat",
    "openai_responses",
    "azure_openai",
    "anthropic",
    "gemini",
    "cohere",
    "bedrock",
    "bedrock_invoke",
    "vllm",
    "ollama",
)


def example() -> dict[str, Callable[[], None]]:
    found = re.search(r"<!-- example -->\n```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    names: dict[str, Callable[[], None]] = {}
    exec(compile(found[1], str(DOCUMENT), "exec"), names)  # noqa: S102 - our own document
    return {name: function for name, function in names.items() if name.startswith("test_")}


def table() -> str:
    dialects = installed_dialects()
    lines = [f"| | {' | '.join(name.replace('_', ' ') for name in ORDER)} |", f"|---|{':-:|' * len(ORDER)}"]
    for failure in Failure:
        marks = [
            "" if not dialects[name].offers(failure) else "○" if failure in dialects[name].pages else "●"
            for name in ORDER
        ]
        lines.append(f"| `{failure}` | {' | '.join(marks)} |")
    return "\n".join(lines)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", sorted(example()))
def test_the_example_holds(name: str) -> None:
    example()[name]()


def test_the_table_shows_what_every_dialect_offers() -> None:
    assert set(ORDER) == set(installed_dialects())
    found = re.search(r"<!-- table -->\n(.*?)\n?<!-- /table -->", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    assert found[1] == table(), f"docs/in-process.md wants this table:\n{table()}"
