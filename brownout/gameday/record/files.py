"""The record's two files, in the drill's folder."""

from pathlib import Path

from brownout.errors import EnvironmentProblem
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.record.html import render
from brownout.gameday.record.markdown import markdown
from brownout.gameday.record.view import HTML, MARKDOWN, RecordView, view_of
from brownout.report.html import write_page


def write(journal: Journal, minutes: Minutes, drill: str, folder: Path) -> Path:
    """Write record.html and record.md into a drill's folder, whole or not at all; returns the page's path.

    Args:
        journal: what the drill did.
        minutes: what people and alerts made of it.
        drill: its name.
        folder: of the drill, in which its run folders lie.

    Raises:
        InvalidInput: there is no drill of that name.
        EnvironmentProblem: the folder cannot be written to.
    """
    view = view_of(journal, minutes, drill, folder=folder)
    write_markdown(view, folder / MARKDOWN)
    return write_html(view, folder / HTML)


def rewrite(journal: Journal, minutes: Minutes, drill: str) -> None:
    """Write them again where they were written, since something was added; nothing where that folder has gone.

    Raises:
        EnvironmentProblem: the folder cannot be written to.
    """
    folder = Path(journal.drill(drill).folder)
    if folder.is_dir():
        write(journal, minutes, drill, folder)


def write_html(view: RecordView, path: Path) -> Path:
    """Write the page, whole or not at all.

    Raises:
        EnvironmentProblem: it cannot be written.
    """
    return _put(path, render(view, beside=path.parent))


def write_markdown(view: RecordView, path: Path) -> Path:
    """Write the runbook's entry, whole or not at all.

    Raises:
        EnvironmentProblem: it cannot be written.
    """
    return _put(path, markdown(view, beside=path.parent))


def _put(path: Path, text: str) -> Path:
    try:
        write_page(path, text)
    except OSError as error:
        msg = f"the record cannot be written to {path}: {error.strerror}"
        raise EnvironmentProblem(msg) from error
    return path
