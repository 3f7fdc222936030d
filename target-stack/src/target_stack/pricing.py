"""What an answer costs, from a table of prices per model."""

from dataclasses import dataclass

from target_stack.setting import SettingsError
from target_stack.settings import Settings

__all__ = ["Price", "PriceTable"]

TOKENS_PER_UNIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    prompt: float
    completion: float


class PriceTable:
    """Prices by model name."""

    def __init__(self, prices: dict[str, Price]) -> None:
        self._prices = prices

    @classmethod
    def from_settings(cls, settings: Settings) -> "PriceTable":
        """Parse the `prices` setting; raise SettingsError when an entry is not `model=prompt/completion`."""
        prices = {}
        for entry in settings.words("prices"):
            model, _, figures = entry.partition("=")
            prompt, _, completion = figures.partition("/")
            try:
                prices[model] = Price(float(prompt), float(completion))
            except ValueError:
                msg = f"setting 'prices': {entry!r} is not MODEL=PROMPT/COMPLETION in USD per million tokens"
                raise SettingsError(msg) from None
        for name in ("main-model", "small-model"):
            if settings.text(name) not in prices:
                msg = f"setting 'prices' has no price for {name} {settings.text(name)!r}"
                raise SettingsError(msg)
        return cls(prices)

    def cost_usd(self, model: str, *, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the cost of one call in USD; raise KeyError for a model without a price."""
        price = self._prices[model]
        return (prompt_tokens * price.prompt + completion_tokens * price.completion) / TOKENS_PER_UNIT
