"""Nothing at all; the template for a toxic."""

from dataclasses import dataclass

from brownout.proxy.toxic import Stage, register


@dataclass(frozen=True, slots=True, kw_only=True)
class NoopAttributes:
    """None."""


@register("noop", NoopAttributes)
class Noop(Stage[NoopAttributes]):
    """Passes everything on, as `Stage` does. Override what you want to break."""
