"""A provider's failure for one client alone."""

from typing import Any

import httpx

from brownout.errors import InvalidInput
from brownout.inprocess.fault import ProviderFault
from brownout.inprocess.play import async_response_for, response_for


class ChaosTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport around another: requests that a fault answers never reach it. For sync and async clients.

    `httpx.Client(transport=ChaosTransport(httpx.HTTPTransport(), provider_fault("openai", "overloaded")))`

    Without an inner transport every request must be one that a fault answers.
    """

    def __init__(self, inner: httpx.BaseTransport | httpx.AsyncBaseTransport | None, /, *faults: ProviderFault) -> None:
        if not faults:
            raise InvalidInput("a ChaosTransport needs a fault: ChaosTransport(inner, provider_fault(...))")
        self._inner: Any = inner
        self._faults = faults

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for fault in self._faults:
            response: httpx.Response | None = response_for(fault, request)
            if response is not None:
                return response
        return self._passed_on(request).handle_request(request)  # type: ignore[no-any-return]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for fault in self._faults:
            response: httpx.Response | None = await async_response_for(fault, request)
            if response is not None:
                return response
        return await self._passed_on(request).handle_async_request(request)  # type: ignore[no-any-return]

    def _passed_on(self, request: httpx.Request) -> Any:
        if self._inner is None:
            raise InvalidInput(
                f"no fault answers {request.method} {request.url.host}{request.url.path}, and there is no transport"
                " behind them to pass it on to"
            )
        return self._inner

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()
