"""Links count in milliseconds, as Toxiproxy does: a shorter span would silently be none."""

SHORTEST = 0.001


def refuse_shorter(**spans: float) -> None:
    """Each is nothing, or a millisecond at least; in seconds, by the name under which it was given.

    Raises:
        ValueError: one is between the two.
    """
    for name, seconds in spans.items():
        if 0 < seconds < SHORTEST:
            msg = f"{name}: 1ms at least"
            raise ValueError(msg)
