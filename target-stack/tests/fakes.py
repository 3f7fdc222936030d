"""What unit tests use in place of the machine."""

from target_stack.inference.memory import OutOfMemoryError


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


class FakeMemory:
    """A block store of so many bytes; a test may change how many. It knows what was written."""

    name = "fake"

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.pieces: dict[int, bytearray] = {}
        self._next = 0

    @property
    def held(self) -> int:
        return sum(map(len, self.pieces.values()))

    def allocate(self, size: int) -> int:
        if self.held + size > self.capacity:
            raise OutOfMemoryError
        self._next += 1
        self.pieces[self._next] = bytearray(size)
        return self._next

    def write(self, handle: int, offset: int, size: int) -> None:
        assert offset + size <= len(self.pieces[handle])
        self.pieces[handle][offset : offset + size] = b"x" * size

    def release(self, handle: int) -> None:
        del self.pieces[handle]
