"""The control plane's client for async code: the one place where its blocking calls go to threads."""

import asyncio
from collections.abc import Mapping
from typing import Any

from brownout.proxy.client import Proxy, ToxiproxyClient
from brownout.proxy.counters import LinkCounters


class AsyncToxiproxyClient:
    """What injecting needs of `ToxiproxyClient`, each call in a worker thread.

    A call that is cancelled still ends with the client's timeout.
    """

    def __init__(self, client: ToxiproxyClient) -> None:
        self._client = client

    async def create(
        self,
        upstream: str,
        name: str,
        listen: str | None = None,
        enabled: bool | None = None,
        *,
        http: bool = False,
        host: str | None = None,
        tls: bool = False,
    ) -> Proxy:
        create = self._client.create
        return await asyncio.to_thread(create, upstream, name, listen, enabled, http=http, host=host, tls=tls)

    async def disable(self, proxy: str, *, lease: str | None = None) -> None:
        await asyncio.to_thread(self._client.disable, proxy, lease=lease)

    async def enable(self, proxy: str) -> None:
        await asyncio.to_thread(self._client.enable, proxy)

    async def version(self) -> str:
        return await asyncio.to_thread(self._client.version)

    async def toxics(self, proxy: str) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self._client.toxics, proxy)

    async def remove_toxic(self, proxy: str, toxic: str) -> None:
        await asyncio.to_thread(self._client.remove_toxic, proxy, toxic)

    async def add_toxic(
        self,
        proxy: str,
        *,
        type: str,  # noqa: A002 - the field's name in Toxiproxy's API
        stream: str = "downstream",
        name: str | None = None,
        toxicity: float = 1.0,
        attributes: Mapping[str, Any] | None = None,
        lease: str | None = None,
        schedule: Mapping[str, Any] | None = None,
    ) -> str:
        return await asyncio.to_thread(
            self._client.add_toxic,
            proxy,
            type=type,
            stream=stream,
            name=name,
            toxicity=toxicity,
            attributes=attributes,
            lease=lease,
            schedule=schedule,
        )

    async def counters(self) -> dict[str, LinkCounters]:
        return await asyncio.to_thread(self._client.counters)

    async def renew_lease(self, lease: str, *, ttl_ms: int) -> bool:
        return await asyncio.to_thread(self._client.renew_lease, lease, ttl_ms=ttl_ms)

    async def delete_lease(self, lease: str) -> None:
        await asyncio.to_thread(self._client.delete_lease, lease)
