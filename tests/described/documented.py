"""The commands and jobs that the documentation shows, so that what a reader pastes is what is tested."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "fastapi_assistant"


def _block(page: str, marker: str, language: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (found,) = re.findall(rf"<!-- {re.escape(marker)} -->\n```{language}\n(.*?)```\n", text, re.DOTALL)
    return str(found)


def command(page: str, name: str) -> str:
    """The commands of the block that follows `<!-- command: NAME -->`."""
    return _block(page, f"command: {name}", "sh")


def job(name: str) -> Any:
    """The job that follows `<!-- job: NAME -->`."""
    return yaml.safe_load(_block("ci.md", f"job: {name}", "yaml"))
