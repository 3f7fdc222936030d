"""One setting: its type, what it may be set to, and the words for what it may not."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["ConfigurationError", "Kind", "Setting", "SettingsError", "Value"]

Kind = Literal["switch", "duration", "number", "integer", "share", "text"]
Value = bool | float | int | str


class ConfigurationError(ValueError):
    """Something that a role is started with is missing or cannot be used; the message says what."""


class SettingsError(ConfigurationError):
    """A setting that does not exist, or a value that it cannot take; the message says which, and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. Durations are in seconds, shares between 0 and 1. `floor` bounds scaling from below, in seconds.

    A text with `choices` is one of them; a `positive` number is not 0.
    """

    name: str
    type: Kind
    default: Value
    doc: str
    scaled: bool = False
    floor: float = 0.0
    choices: tuple[str, ...] = ()
    positive: bool = False

    def as_json(self) -> dict[str, Value]:
        """Return what `target-stack settings --json` prints for it."""
        return {"name": self.name, "type": self.type, "default": self.default, "doc": self.doc, "scaled": self.scaled}

    def parse(self, value: object) -> Value:
        """Return `value` as this setting's type; raise SettingsError when it is of another."""
        if self.positive and value == 0:
            msg = f"setting {self.name!r} must be more than 0"
            raise SettingsError(msg)
        match self.type:
            case "switch" if isinstance(value, bool):
                return value
            case "switch" if value in ("on", "off"):
                return value == "on"
            case "text" if isinstance(value, str) and (not self.choices or value in self.choices):
                return value
            case "integer" if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return value
            case "share" if _is_number(value) and 0 <= float(str(value)) <= 1:
                return float(str(value))
            case "duration" | "number" if _is_number(value) and float(str(value)) >= 0:
                return float(str(value))
            case _:
                expected = f"one of {', '.join(self.choices)}" if self.choices else _EXPECTED[self.type]
                msg = f"setting {self.name!r}: {value!r} is not {expected}"
                raise SettingsError(msg)


_EXPECTED: dict[Kind, str] = {
    "switch": "true, false, on or off",
    "duration": "a number of seconds, 0 or more",
    "number": "a number, 0 or more",
    "integer": "a whole number, 0 or more",
    "share": "a number from 0 to 1",
    "text": "text",
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
