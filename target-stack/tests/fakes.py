"""What unit tests use in place of the machine."""


class FakeClock:
    """Both readings move only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def unix(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
