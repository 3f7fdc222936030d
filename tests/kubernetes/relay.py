"""A TCP relay before the API server, which can be cut: so the server is away for one of its clients alone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import yaml


class Relay:
    """One. While it is cut it closes every connection, and makes no new one."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut = False

    def cut(self) -> None:
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._cut = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._upstream)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        self._writers -= {writer, far_writer}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def relayed(kubeconfig: Path, to: Path) -> AsyncIterator[Relay]:
    """A kubeconfig like the one given, by way of a relay."""
    config = yaml.safe_load(await asyncio.to_thread(kubeconfig.read_text))
    (cluster,) = (one["cluster"] for one in config["clusters"])
    url = urlsplit(cluster["server"])
    assert url.hostname is not None
    relay = Relay(url.hostname, url.port or 443)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    cluster |= {"server": f"https://127.0.0.1:{port}", "tls-server-name": cluster.get("tls-server-name", url.hostname)}
    await asyncio.to_thread(to.write_text, yaml.safe_dump(config))
    try:
        yield relay
    finally:
        relay.cut()
        server.close()
