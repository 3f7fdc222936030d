"""Errors a user can act on. Whatever else escapes is a bug of ours."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EXIT_PASSED = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INCONCLUSIVE = 3
EXIT_ABORTED = 4


_MOST_ALLOWED = 20
"""Of a longer list than this, the nearest name says more than the rest."""


class BrownoutError(Exception):
    """Base of every error that is told to the user in one message, without a traceback."""


class EnvironmentProblem(BrownoutError):
    """This machine or target cannot do what was asked: a port in use, a read-only folder, a missing package."""


class FaultError(BrownoutError):
    """A fault could not be injected or healed."""


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file; line and column count from 1, as editors do."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class InvalidInput(BrownoutError):
    """Something the user wrote is wrong: says where, what was seen, what is allowed and what was likely meant."""

    def __init__(
        self,
        problem: str,
        *,
        at: Location | None = None,
        value: object = None,
        allowed: Iterable[str] = (),
        nearest: str | None = None,
    ) -> None:
        self.problem = problem
        self.at = at
        self.value = value
        self.allowed = tuple(allowed)
        if nearest is None and isinstance(value, str):
            nearest = nearest_name(value, self.allowed)
        self.nearest = nearest
        super().__init__(self._text())

    def _text(self) -> str:
        text = f"{self.at}: {self.problem}" if self.at else self.problem
        if self.nearest is not None:
            text += f"; did you mean {self.nearest!r}?"
        if self.allowed:
            more = len(self.allowed) - _MOST_ALLOWED
            text += f" (allowed: {', '.join(self.allowed[:_MOST_ALLOWED])}{f', and {more} more' if more > 0 else ''})"
        return text


class InvalidInputs(InvalidInput):
    """Several independent mistakes, one line each, in the order in which they stand in the file."""

    MOST = 10
    """More lines than this help nobody."""

    def __init__(self, problems: Sequence[InvalidInput]) -> None:
        def place(problem: InvalidInput) -> tuple[int, int]:
            return (problem.at.line, problem.at.column) if problem.at else (0, 0)

        self.problems = tuple(sorted(problems, key=place))
        first = self.problems[0]
        super().__init__(first.problem, at=first.at, value=first.value, allowed=first.allowed, nearest=first.nearest)

    def _text(self) -> str:
        lines = [str(problem) for problem in self.problems[: self.MOST]]
        if len(self.problems) > self.MOST:
            lines.append(f"and {len(self.problems) - self.MOST} more")
        return "\n".join(lines)


def refuse(problems: Sequence[InvalidInput]) -> None:
    """Raise what was found wrong, if anything: one problem as itself, several as `InvalidInputs`."""
    distinct = list({str(problem): problem for problem in problems}.values())
    if len(distinct) == 1:
        raise distinct[0]
    if distinct:
        raise InvalidInputs(distinct)


def shown(value: object) -> str:
    """A value as error texts show it: quoted where it is text, on one line, cut where it is long."""
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def said(error: BaseException) -> str:
    """What an error says for itself; the kind of it as well, where it was not written for the user."""
    if isinstance(error, BrownoutError):
        return str(error)
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def nearest_name(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that the user most likely meant, or None where nothing is close."""
    found = difflib.get_close_matches(name[:200], list(allowed), n=1, cutoff=0.6)
    return found[0] if found else None
