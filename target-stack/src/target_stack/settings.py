"""The catalogue of settings, with one process's overrides applied.

Standard library only and cheap to import: `target-stack settings --json` must answer at once.
"""

import difflib
import json
from collections.abc import Mapping

from target_stack.catalogue import CATALOGUE
from target_stack.setting import Setting, SettingsError, Value

__all__ = ["Settings"]


class Settings:
    """The catalogue with one process's overrides and time scale applied. Read by name and type."""

    def __init__(self, overrides: Mapping[str, object] | None = None, *, time_scale: float = 1.0) -> None:
        """Raise SettingsError for an unknown name, a value of the wrong type or a time scale that is not positive."""
        if not time_scale > 0:
            msg = f"the time scale must be positive, not {time_scale}"
            raise SettingsError(msg)
        values = {name: setting.default for name, setting in CATALOGUE.items()}
        for name, value in (overrides or {}).items():
            if name not in CATALOGUE:
                near = difflib.get_close_matches(name, CATALOGUE, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else "; `target-stack settings` lists them all"
                msg = f"unknown setting {name!r}{hint}"
                raise SettingsError(msg)
            values[name] = CATALOGUE[name].parse(value)
        self._values = {name: _scale(CATALOGUE[name], value, time_scale) for name, value in values.items()}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read STACK_SETTINGS (a JSON object) and STACK_TIME_SCALE; raise SettingsError when either cannot be used."""
        text = environ.get("STACK_SETTINGS") or "{}"
        try:
            overrides = json.loads(text)
        except json.JSONDecodeError as error:
            msg = f"STACK_SETTINGS is not JSON: {error}"
            raise SettingsError(msg) from None
        if not isinstance(overrides, dict):
            msg = f"STACK_SETTINGS must be a JSON object of setting names and values, not {type(overrides).__name__}"
            raise SettingsError(msg)
        scale = environ.get("STACK_TIME_SCALE") or "1"
        try:
            time_scale = float(scale)
        except ValueError:
            msg = f"STACK_TIME_SCALE must be a number, not {scale!r}"
            raise SettingsError(msg) from None
        return cls(overrides, time_scale=time_scale)

    def switch(self, name: str) -> bool:
        """Return a switch."""
        return bool(self._values[name])

    def number(self, name: str) -> float:
        """Return a duration in seconds, a share or a plain number."""
        return float(self._values[name])

    def integer(self, name: str) -> int:
        """Return a whole number."""
        return int(self._values[name])

    def text(self, name: str) -> str:
        """Return a text."""
        return str(self._values[name])

    def words(self, name: str) -> tuple[str, ...]:
        """Return a comma-separated text as its parts."""
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())


def _scale(setting: Setting, value: Value, time_scale: float) -> Value:
    if not setting.scaled or isinstance(value, bool | str):
        return value
    # A timeout that was set below the floor stays as it was set.
    return max(value * time_scale, min(value, setting.floor))
