"""Shapes and tones for whatever may become of a drill or of an experiment: none is told by colour alone."""

from collections.abc import Mapping

from brownout.report.summary import ICONS

ICONS_OF_ALL: Mapping[str, str] = {
    **ICONS,
    "error": "!",
    "interrupted": "!",
    "did not end": "!",
    "running": "…",
    "not started": "–",
}
TONES: Mapping[str, str] = {
    **{name: name for name in ICONS},
    "error": "failed",
    "interrupted": "failed",
    "did not end": "failed",
    "running": "unknown",
    "not started": "unknown",
}
"""The class of the style sheet that a word is shown in."""
