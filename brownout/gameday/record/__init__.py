"""The record of a drill: what was expected, what happened, who noticed and when, and what is to be learned from it.

`view` puts it together from the journal, the minutes and the evidence of the runs; `html`, `markdown`, `text` and
`told` lay it out; `files` writes it into the drill's folder. Its skeleton is that of an incident's: detect, isolate,
mitigate, communicate, resolve, learn. Nothing here reads a clock: the same journal and evidence give the same bytes.
"""

from brownout.gameday.record.files import rewrite, write, write_html, write_markdown
from brownout.gameday.record.text import as_text
from brownout.gameday.record.view import RecordView, view_of

__all__ = ["RecordView", "as_text", "rewrite", "view_of", "write", "write_html", "write_markdown"]
