"""A provider's failure for every client in the process: between each HTTP library and the network.

What is replaced is the one method behind which each library's network begins: `handle_request` and
`handle_async_request` of the HTTP transports of httpx and httpx2, `send` of botocore's session. Clients that were made
before are met as well. A client whose transport is a mock already has no network, and is left alone.
"""

import importlib
import importlib.util
import threading
from collections.abc import Callable
from typing import Any

from brownout.errors import InvalidInput
from brownout.inprocess.fault import ProviderFault
from brownout.inprocess.play import async_response_for, response_for

_lock = threading.Lock()
_entered: list[ProviderFault] = []
_undo: list[Callable[[], None]] = []


def begin(fault: ProviderFault) -> None:
    """Let a fault answer, before those that were entered earlier.

    Raises:
        InvalidInput: it is entered already.
        Exception: what a library raises that cannot be imported; then it is not entered.
    """
    with _lock:
        if fault in _entered:
            raise InvalidInput("this fault is entered already; make another one")
        # A fault of AWS's brings botocore in; the others need it not, and it is slow to import.
        wanted = ["httpx", "httpx2"]
        if any(host.endswith("amazonaws.com") for dialect in fault.dialects for host in dialect.hosts):
            wanted.append("botocore")
        try:
            for library in wanted:
                _intercept(library)
        except BaseException:
            _restore_unless_needed()
            raise
        _entered.append(fault)


def end(fault: ProviderFault) -> None:
    """Let it answer no longer; with the last one, everything is as it was."""
    with _lock:
        _entered.remove(fault)
        _restore_unless_needed()


def _restore_unless_needed() -> None:
    if not _entered:
        while _undo:
            _undo.pop()()
        _intercepted.clear()


_intercepted: set[str] = set()


def _intercept(name: str) -> None:
    if name in _intercepted or importlib.util.find_spec(name) is None:
        return
    if name == "botocore":
        from brownout.inprocess.aws import sender  # noqa: PLC0415 - for those who have it

        session = importlib.import_module("botocore.httpsession").URLLib3Session
        _replace(session, "send", sender(session.send, lambda: tuple(reversed(_entered))))
        _intercepted.add(name)
        return
    library = importlib.import_module(name)
    _replace(library.HTTPTransport, "handle_request", _sync(library.HTTPTransport.handle_request))
    _replace(
        library.AsyncHTTPTransport, "handle_async_request", _async(library.AsyncHTTPTransport.handle_async_request)
    )
    _intercepted.add(name)


def _replace(owner: Any, name: str, replacement: object) -> None:
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    _undo.append(lambda: setattr(owner, name, original))


def _sync(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def handle_request(transport: Any, request: Any) -> Any:
        for fault in tuple(reversed(_entered)):
            response = response_for(fault, request)
            if response is not None:
                return response
        return original(transport, request)

    return handle_request


def _async(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    async def handle_async_request(transport: Any, request: Any) -> Any:
        for fault in tuple(reversed(_entered)):
            response = await async_response_for(fault, request)
            if response is not None:
                return response
        return await original(transport, request)

    return handle_async_request
