"""`python -m brownout.proxy`: one process, many links.

The run's token comes in the environment variable BROWNOUT_PROXY_TOKEN. When the proxy is ready, exactly one line is
printed on standard output: `{"control": "http://127.0.0.1:PORT"}`, and in it `"dns": "127.0.0.1:PORT"` with `--dns`.
Everything else goes to standard error.
"""

import argparse
import asyncio
import contextlib
import gc
import ipaddress
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from brownout.proxy.address import Address
from brownout.proxy.api import Api
from brownout.proxy.bodies import proxy_specs
from brownout.proxy.collection import ProxyCollection, ProxySpec
from brownout.proxy.control import ControlServer
from brownout.proxy.errors import ApiError
from brownout.proxy.scheduler import LoopScheduler, Scheduler
from brownout.proxy.toxic import load_toxics

if TYPE_CHECKING:
    from brownout.proxy.dns.server import DnsServer

TOKEN_VARIABLE = "BROWNOUT_PROXY_TOKEN"  # noqa: S105 - the variable's name, not a token
_BAD_INPUT = 2
_GRACE_S = 2.0


def main() -> int:
    """The exit code: 0 after an orderly end, 2 for bad input or environment."""
    # Before anything else: no child, crash report or debugger of ours shall find it there.
    token = os.environ.pop(TOKEN_VARIABLE, "")
    parser = argparse.ArgumentParser(prog="python -m brownout.proxy", description="Brownout's fault proxy.")
    parser.add_argument("--control", type=_address, default="127.0.0.1:0", metavar="HOST:PORT", help="loopback only")
    parser.add_argument(
        "--dns", type=_address, metavar="HOST:PORT", help="answer DNS queries for the links' host names; loopback only"
    )
    parser.add_argument(
        "--exposed",
        action="store_true",
        help="take other addresses than the loopback's: in a container, which has a network of its own",
    )
    parser.add_argument("--die-with-stdin", action="store_true", help="exit when standard input ends (parent death)")
    parser.add_argument("--loop", choices=("auto", "asyncio", "uvloop"), default="auto", help="auto: uvloop if there")
    parser.add_argument("--seed", type=int, help="make jitter and toxicity repeatable")
    parser.add_argument(
        "--links", type=_links, default=(), metavar="JSON", help="links to begin with, as for POST /populate"
    )
    options = parser.parse_args()
    for address in (options.control, options.dns):
        if address is not None and not options.exposed and not _is_loopback(address):
            parser.error(
                f"{address.host} is not a loopback address; whoever reaches the control port can break the links "
                "(--exposed is for a container)"
            )
    if not token:
        parser.error(f"the environment variable {TOKEN_VARIABLE} must hold the token that clients will show")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="brownout.proxy: %(message)s")
    _raise_file_limit()
    load_toxics()
    try:
        with asyncio.Runner(loop_factory=_loop_factory(options.loop)) as runner:
            serving = _serve(
                token,
                options.control,
                options.dns,
                die_with_stdin=options.die_with_stdin,
                seed=options.seed,
                links=options.links,
            )
            runner.run(serving)
    except ApiError as exc:
        print(f"brownout.proxy: --links: {exc.message}", file=sys.stderr)
        return _BAD_INPUT
    except OSError as exc:
        where = f"{options.control}{f' or {options.dns}' if options.dns else ''}"
        print(f"brownout.proxy: cannot listen on {where}: {exc.strerror}", file=sys.stderr)
        return _BAD_INPUT
    return 0


async def _serve(
    token: str,
    control: Address,
    dns: Address | None,
    *,
    die_with_stdin: bool,
    seed: int | None,
    links: Sequence[ProxySpec],
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with contextlib.closing(LoopScheduler(loop)) as scheduler:
        rng = Random(seed)  # noqa: S311 - chance, not secrets
        collection = ProxyCollection(scheduler=scheduler, rng=rng, resolves=dns is not None)
        server = ControlServer(Api(collection), token=token)
        responder = None if dns is None else _responder(collection, scheduler, rng)
        for link in links:
            # Before the control port answers: whoever sees that one finds the links ready.
            await collection.add(link)
        ready = {"control": await server.start(control.host, control.port)}
        if dns is not None and responder is not None:
            ready["dns"] = str(Address(*await responder.start(dns.host, dns.port)))
        if die_with_stdin:
            threading.Thread(target=_wait_for_eof, args=(loop, stop.set), daemon=True).start()
        # What is there by now stays: no collection of garbage shall look through it while answers wait.
        gc.collect()
        gc.freeze()
        print(json.dumps(ready), flush=True)
        await stop.wait()
        if responder is not None:
            await responder.close()
        await server.close()
        await collection.close()


def _responder(collection: ProxyCollection, scheduler: Scheduler, rng: Random) -> "DnsServer":
    try:
        from brownout.proxy.dns.names import Names  # noqa: PLC0415 - needs an optional package
        from brownout.proxy.dns.server import DnsServer  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        sys.exit("brownout.proxy: dnspython is not installed; install brownout[embedded], or leave out --dns")
    return DnsServer(Names(collection, rng).ask, scheduler)


def _wait_for_eof(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    # A thread, because event loops refuse to watch files and /dev/null.
    while os.read(0, 4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop is closed: already stopping
        loop.call_soon_threadsafe(stop)
    # This thread ends with the process. Where that does not come about, the event loop is stuck, and a proxy that
    # nobody answers for must not stay.
    time.sleep(_GRACE_S)
    os._exit(1)


def _loop_factory(choice: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if choice == "asyncio":
        return None
    try:
        import uvloop  # noqa: PLC0415 - an optional package
    except ImportError:
        if choice == "uvloop":
            sys.exit("brownout.proxy: uvloop is not installed; install brownout[embedded], or leave out --loop")
        return None
    return uvloop.new_event_loop


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ApiError as exc:
        raise argparse.ArgumentTypeError(exc.message) from exc


def _links(text: str) -> Sequence[ProxySpec]:
    try:
        return proxy_specs(text.encode())
    except ApiError as exc:
        raise argparse.ArgumentTypeError(exc.message) from exc


def _is_loopback(address: Address) -> bool:
    with contextlib.suppress(ValueError):
        return address.host == "localhost" or ipaddress.ip_address(address.host).is_loopback
    return False


def _raise_file_limit() -> None:
    # Two sockets a connection; the usual soft limit of 1024 would end a blackhole at 500 clients.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
