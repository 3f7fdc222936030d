"""What can go wrong with a dependency, and whose fault it is.

Only the dependency's own faults open its breaker: a 429 asks for patience, and a 503 that this system sent on purpose
(backpressure) says nothing about the provider behind it.
"""

from enum import StrEnum

__all__ = ["DependencyError", "ErrorSource", "FailureKind", "StackError", "out_of_time", "source_of_status"]


class ErrorSource(StrEnum):
    """Whose fault an error is; the words of the `error_source` field."""

    PROVIDER = "provider"
    OWN_SYSTEM = "own_system"
    RATE_LIMIT = "rate_limit"


class FailureKind(StrEnum):
    """How a call of a dependency failed."""

    REFUSED = "refused"  # by our own breaker: the call was not made
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    STATUS = "status"
    MALFORMED = "malformed"
    CUT = "cut"  # it began to answer and stopped
    DEADLINE = "deadline"  # the request's own time was up, before or while it was called


class DependencyError(Exception):
    """A call of a dependency that gave no result. The reason is fit for a log: it quotes no payload."""

    def __init__(
        self,
        dependency: str,
        reason: str,
        *,
        kind: FailureKind,
        source: ErrorSource = ErrorSource.PROVIDER,
        retry_after: str | None = None,
        backpressure: bool = False,
    ) -> None:
        """`retry_after` is the dependency's own header; `backpressure`: it refused because it is nearly full."""
        super().__init__(f"{dependency}: {reason}")
        self.dependency = dependency
        self.reason = reason
        self.kind = kind
        self.source = source
        self.retry_after = retry_after
        self.backpressure = backpressure


class StackError(Exception):
    """A request that ends in an error body. The message is for the caller: no token, no prompt, no internals."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        kind: str = "server_error",
        source: ErrorSource = ErrorSource.OWN_SYSTEM,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.kind = kind
        self.source = source
        self.retry_after = retry_after

    def body(self) -> dict[str, object]:
        """Return the error object, in the shape of the OpenAI API with `error_source` added."""
        return {"message": self.message, "type": self.kind, "code": self.code, "error_source": self.source.value}


def out_of_time(dependency: str) -> DependencyError:
    """Return the failure of a call that its request had no time for. It is not the dependency's fault."""
    reason = "the request's time was up"
    return DependencyError(dependency, reason, kind=FailureKind.DEADLINE, source=ErrorSource.OWN_SYSTEM)


def source_of_status(status: int, *, declared: str | None) -> ErrorSource:
    """Return whose fault an HTTP error status is; `declared` is what the answer says of itself in `error_source`."""
    if status == 429:
        return ErrorSource.RATE_LIMIT
    if declared == ErrorSource.OWN_SYSTEM or status < 500:
        return ErrorSource.OWN_SYSTEM
    return ErrorSource.PROVIDER
