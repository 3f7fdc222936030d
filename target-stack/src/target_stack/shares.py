"""Which provider is asked first: by share of the requests, so that those behind the primary are warm when it fails.

Smooth weighted round robin, as nginx has it (ngx_http_upstream_get_peer): each turn every candidate earns its share,
and the richest pays for all. A random draw would have the same shares in the long run, but might leave a provider with
5 % cold for a hundred requests; here no gap is much longer than its share says, and nothing has to be drawn.
"""

from collections.abc import Collection, Mapping

from target_stack.setting import ConfigurationError

__all__ = ["Shares", "shares_from"]


class Shares:
    """Turns of those who have a share; of two that are equally due the first comes first."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._shares = {name: share for name, share in shares.items() if share > 0}
        self._credit = dict.fromkeys(self._shares, 0.0)

    def take(self, able: Collection[str]) -> str | None:
        """Return whose turn it is among these; None where none of them has a share.

        Who is not able earns nothing, so that it is not overrun when it is able again.
        """
        credit, whole = self._credit, 0.0
        for name, share in self._shares.items():
            if name in able:
                credit[name] += share
                whole += share
        chosen = max((name for name in self._shares if name in able), key=credit.__getitem__, default=None)
        if chosen is not None:
            credit[chosen] -= whole
        return chosen


def shares_from(text: str, names: Collection[str]) -> dict[str, float]:
    """Return the share of each by its place in the chain: `80/15/5`. Where the chain is shorter, the rest is nobody's.

    Raises ConfigurationError where the text says something else, or leaves all of them without a share.
    """
    try:
        shares = [float(part) for part in text.split("/")]
    except ValueError:
        shares = []
    found = dict(zip(names, (*shares, *[0.0] * len(names)), strict=False))
    if not shares or not all(0 <= share < float("inf") for share in shares) or not any(found.values()):
        msg = f"providers.shares: {text!r} does not give the providers shares such as 80/15/5"
        raise ConfigurationError(msg)
    return found
