"""The run folder's files that are written once the verdict is there. The evidence has been written all along."""

import json
from pathlib import Path
from typing import Any

from chaostoolkit import encoder

from brownout.judge import Judgement
from brownout.run import Run


def write_folder(run: Run, judgement: Judgement, journal: dict[str, Any]) -> Path:
    """Write journal.json, junit.xml and report.html; returns the report's path.

    Args:
        run: the run, closed.
        judgement: its verdict.
        journal: what the engine returned.

    Raises:
        OSError: a file cannot be written.
    """
    from brownout.report.html import write_report  # noqa: PLC0415 - templates load late
    from brownout.report.junit import write_junit  # noqa: PLC0415 - likewise
    from brownout.report.view import RunView  # noqa: PLC0415 - likewise

    text = json.dumps(journal, indent=2, ensure_ascii=False, default=encoder) + "\n"
    (run.plan.folder / "journal.json").write_text(text, encoding="utf-8")
    write_junit(run.plan.folder / "junit.xml", run.info, judgement)
    report = run.plan.folder / "report.html"
    write_report(report, RunView(run.info, run.experiment, run.recording, judgement, run.plan.folder.name))
    return report
