"""A load generator for one run: `python -m brownout.load --port 8475`. On the loopback, for one connection."""

import argparse
import asyncio
import sys

from brownout.load.order import LIMIT
from brownout.load.serving import serve

WAIT = 120.0
"""Seconds for which the run may keep it waiting."""


async def _main(port: int) -> int:
    taken: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await taken.put((reader, writer))

    # Only who may forward ports into this pod reaches its loopback.
    async with await asyncio.start_server(take, "127.0.0.1", port, limit=LIMIT) as server:
        print(f"waiting for a run on port {server.sockets[0].getsockname()[1]}", flush=True)
        try:
            async with asyncio.timeout(WAIT):
                reader, writer = await taken.get()
        except TimeoutError:
            print(f"no run came within {WAIT:g} s", file=sys.stderr)
            return 2
        server.close()
        await serve(reader, writer)
    return 0


def main() -> int:
    """Returns the exit status: 0 when the run has hung up, 2 where none came."""
    parser = argparse.ArgumentParser(prog="python -m brownout.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of the loopback; 0 for any")
    return asyncio.run(_main(parser.parse_args().port))


if __name__ == "__main__":
    sys.exit(main())
