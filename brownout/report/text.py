"""Strings from outside, made safe to show: they come from files and from the system under test."""

import re

_ILLEGAL = re.compile(
    # Everything that XML 1.0 does not allow (https://www.w3.org/TR/xml/#charsets), DEL and the C1 controls, which a
    # terminal obeys, and the bidirectional overrides, with which a line can be made to read as another.
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
_SPACE = re.compile(r"\s+")


def clean(text: object) -> str:
    """Any text with what no reader, terminal or XML parser should be given replaced by `�`. Newlines and tabs stay."""
    return _ILLEGAL.sub("\ufffd", str(text))


def line(text: object, *, limit: int = 300) -> str:
    """The same on one line, shortened to `limit` characters."""
    short = _SPACE.sub(" ", clean(text)).strip()
    return short if len(short) <= limit else short[: limit - 1].rstrip() + "…"


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 check`, `2 checks`, `1 200 requests`."""
    return f"{grouped(count)} {noun if count == 1 else many or noun + 's'}"


def grouped(count: int) -> str:
    """A count with thin spaces between its thousands."""
    return f"{count:,}".replace(",", "\u2009")


def listing(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1] if parts else ""
