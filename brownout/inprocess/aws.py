"""An answer for botocore: HTTP bytes on a socket that is none, read by the client's own machinery."""

import http.client
import io
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from urllib3 import HTTPHeaderDict
from urllib3.response import HTTPResponse

from brownout.dialect import Answer, Chunk, Cut, Hang, Step, Wait, on_the_wire
from brownout.inprocess.fault import Outage, ProviderFault
from brownout.inprocess.pace import FOREVER, Pace

Send = Callable[[Any, Any], Any]


def sender(original: Send, faults: Callable[[], tuple[ProviderFault, ...]]) -> Send:
    """A `send` of botocore's session that asks the faults first."""

    def send(session: Any, request: Any) -> Any:
        url = urlsplit(request.url)
        path = f"{url.path}?{url.query}" if url.query else url.path
        for fault in faults():
            outcome = fault.answer(request.method, url.hostname or "", path, _body(request))
            if isinstance(outcome, Outage):
                raise _unreached(outcome, session, request, fault.pace)
            if outcome is not None:
                return _response(outcome, session, request, fault.pace)
        return original(session, request)

    return send


def _body(request: Any) -> bytes:
    body = request.body or b""
    return body.encode() if isinstance(body, str) else bytes(body) if isinstance(body, bytes | bytearray) else b""


def _limit(session: Any, phase: str) -> float | None:
    """A timeout of the session in seconds; botocore keeps urllib3's object for both phases."""
    limit: float | None = getattr(session._timeout, f"{phase}_timeout")
    return limit


def _unreached(outage: Outage, session: Any, request: Any, pace: Pace) -> Exception:
    from botocore import exceptions  # noqa: PLC0415 - for those who have it

    if outage is Outage.REFUSED:
        refused = ConnectionRefusedError(111, "Connection refused")
        return exceptions.EndpointConnectionError(endpoint_url=request.url, error=refused)  # type: ignore[no-any-return]
    connecting = outage is Outage.UNREACHABLE
    pace.spend(FOREVER, _limit(session, "connect" if connecting else "read"))
    kind = exceptions.ConnectTimeoutError if connecting else exceptions.ReadTimeoutError
    return kind(endpoint_url=request.url, error=TimeoutError("timed out"))  # type: ignore[no-any-return]


def _response(answer: Answer, session: Any, request: Any, pace: Pace) -> Any:
    from botocore.awsrequest import AWSResponse  # noqa: PLC0415 - for those who have it

    connection: Any = _Socket(on_the_wire(answer), pace, _limit(session, "read"))
    plain = http.client.HTTPResponse(connection, method=request.method)
    plain.begin()
    raw = HTTPResponse(
        body=plain,
        headers=HTTPHeaderDict(plain.getheaders()),
        status=plain.status,
        version=plain.version,
        reason=plain.reason,
        preload_content=False,
        decode_content=False,
        original_response=plain,
        request_method=request.method,
        # As the session has it: a body that is cut short goes unnoticed here.
        enforce_content_length=False,
    )
    response = AWSResponse(request.url, raw.status, raw.headers, raw)
    if not request.stream_output:
        # As the session itself does: the body is read before anyone looks at the response.
        _ = response.content
    return response


class _Socket:
    """As much of a socket as `http.client` asks for."""

    def __init__(self, steps: Iterator[Step], pace: Pace, limit: float | None) -> None:
        self._file = io.BufferedReader(_Incoming(steps, pace, limit))

    def makefile(self, mode: str) -> io.BufferedIOBase:
        return self._file


class _Incoming(io.RawIOBase):
    """What arrives on a connection, when, and how it ends."""

    def __init__(self, steps: Iterator[Step], pace: Pace, limit: float | None) -> None:
        self._steps, self._pace, self._limit = steps, pace, limit
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            step = next(self._steps, Cut())
            if isinstance(step, Cut):
                return 0
            if isinstance(step, Chunk):
                self._rest = step.data
            elif self._pace.spend(_seconds(step), self._limit):
                raise TimeoutError("timed out")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _seconds(step: Wait | Hang) -> float:
    return step.seconds if isinstance(step, Wait) else FOREVER
