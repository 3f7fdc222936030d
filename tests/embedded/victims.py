"""Tiny services to break: real processes on real ports, up in a tenth of a second, that do on command what may fail."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

from brownout.breakage import Breakage, Place, ServicePlace
from brownout.evidence.model import Proof
from brownout.fixtures.embedded.links import Links
from brownout.fixtures.embedded.ports import HOST, HeldPorts
from brownout.fixtures.embedded.processes import Spec, Supervised, environment
from brownout.fixtures.embedded.services import Services
from brownout.fixtures.embedded.supervisor import family
from brownout.fixtures.embedded.supervisor.cgroups import CONTROLLERS, hierarchies
from brownout.system import Topology
from brownout.target import ServiceState
from tests.embedded.helpers import PATIENCE

SCALE = 0.1
"""Of the supervisor's back-off: 100 ms, 200 ms, 400 ms, ..."""
VICTIM = """
import errno, json, os, select, signal, socket, subprocess, sys, threading, time

kept = []
stubborn = threading.Event()


def do(what, argument):
    if what == "open":
        kept.append(os.open("/dev/null", os.O_RDONLY))
    elif what == "allocate":
        kept.append(bytearray(argument))
    elif what == "write":
        with open("written", "wb", buffering=0) as file:
            file.write(b"x" * argument)
    elif what == "sync":
        with open("synced", "wb", buffering=0) as file:
            for _ in range(0, argument, 4096):
                file.write(os.urandom(4096))
                os.fsync(file.fileno())
    elif what == "clock":
        return [int(time.time()), time.monotonic()]
    elif what == "spawn":
        code = "import time; time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], start_new_session=True)
        kept.append(child)
        return child.pid
    elif what == "burn":
        threading.Thread(target=burn, daemon=True).start()
    elif what == "ignore":
        stubborn.set()
    return os.getpid()


def burn():
    while True:
        pass


def serve(connection):
    with connection, connection.makefile("rw") as file:
        for line in file:
            try:
                answer = do(*json.loads(line))
            except MemoryError:
                answer = "MemoryError"
            except OSError as error:
                answer = errno.errorcode[error.errno]
            file.write(json.dumps(answer) + "\\n")
            file.flush()


signal.signal(signal.SIGTERM, lambda *_: stubborn.is_set() or os._exit(0))
threading.stack_size(256 * 1024)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    # A thread that waits in accept(2) has a descriptor set aside already.
    select.select([server], [], [])
    try:
        connection, _ = server.accept()
    except OSError:
        time.sleep(0.02)
        continue
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""


class Talk:
    """An open connection to a victim."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection(HOST, port))

    async def __call__(self, what: str, argument: int = 0, *, patience: float = PATIENCE) -> Any:
        """Have it do something; returns its pid, or the name of the error that it met."""
        self._writer.write(json.dumps([what, argument]).encode() + b"\n")
        async with asyncio.timeout(patience):
            line = await self._reader.readline()
        if not line:
            raise ConnectionResetError
        return json.loads(line)

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Victims:
    """Some victims under a supervisor of their own."""

    def __init__(self, supervised: Supervised, names: Sequence[str]) -> None:
        self.supervised = supervised
        self.held = HeldPorts()
        self.ports = ports = dict(self.held.hold(names, {}))
        self._talks: list[Talk] = []
        self.services = Services(supervised, {name: self._ready(name) for name in ports})

    @classmethod
    @contextlib.asynccontextmanager
    async def up(cls, logs: Path, *names: str, scale: float = SCALE) -> AsyncIterator[Self]:
        supervised = Supervised(logs, [])
        victims = cls(supervised, names)
        try:
            await supervised.open()
            for name in names:
                await supervised.start(victims.spec(name))
            for name in names:
                await victims.answers(name)
            supervised.keep(names, scale=scale)
            try:
                yield victims
            finally:
                await asyncio.gather(*(talk.close() for talk in victims._talks))
        finally:
            await supervised.close()
            victims.held.release()

    def spec(self, name: str) -> Spec:
        argv: Sequence[str] = [sys.executable, "-I", "-S", "-c", VICTIM, str(self.ports[name])]
        return Spec(name, argv, env=environment(), cwd=self.supervised.scratch)

    def _ready(self, name: str) -> Callable[[], Awaitable[bool]]:
        async def ready() -> bool:
            try:
                await self.pid(name)
            except OSError:
                return False
            return True

        return ready

    async def talk(self, name: str) -> Talk:
        """Open a connection that lasts."""
        talk = await Talk.to(self.ports[name])
        self._talks.append(talk)
        return talk

    async def pid(self, name: str, *, patience: float = 0.3) -> int:
        """What the victim says that it is. Raises `OSError` where it says nothing."""
        talk = await Talk.to(self.ports[name])
        try:
            return int(await talk("pid", patience=patience))
        finally:
            await talk.close()

    async def answers(self, name: str, *, within: float = PATIENCE) -> int:
        """Wait until it answers; its pid."""
        async with asyncio.timeout(within):
            while True:
                try:
                    return await self.pid(name)
                except OSError:
                    await asyncio.sleep(0.01)

    async def silent(self, name: str) -> bool:
        """Whether it gives no answer."""
        try:
            await self.pid(name)
        except OSError:
            return True
        return False

    async def inject(self, name: str, breakage: Breakage, *, ttl: float = 30.0, lease: str = "lease") -> None:
        await self.services.inject(ServicePlace(name), breakage, lease=lease, ttl=ttl)

    async def prove(self, name: str, breakage: Breakage, *, lease: str = "lease") -> Proof:
        return await self.services.prove(ServicePlace(name), breakage, lease=lease)

    async def heal(self, lease: str = "lease") -> None:
        await self.services.heal(lease)

    async def state(self, name: str) -> ServiceState:
        return next(one for one in await self.services.states() if one.name == name)

    async def until(
        self, holds: Callable[[ServiceState], bool], name: str, *, within: float = PATIENCE
    ) -> ServiceState:
        async with asyncio.timeout(within):
            while not holds(state := await self.state(name)):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.01)
        return state


class VictimTarget:
    """The embedded target's own faults, on victims instead of the reference stack."""

    def __init__(self, victims: Victims, topology: Topology, links: Links | None = None) -> None:
        self.topology = topology
        self._services = victims.services
        self._links = links
        self._of: dict[str, Place] = {}

    async def inject(self, place: Place, breakage: Breakage, *, lease: str, ttl: float) -> None:
        self._of[lease] = place
        await self._at(place).inject(place, breakage, lease=lease, ttl=ttl)

    async def renew(self, lease: str, *, ttl: float) -> None:
        await self._at(self._of[lease]).renew(lease, ttl=ttl)

    async def heal(self, place: Place, breakage: Breakage, *, lease: str) -> None:
        await self._at(place).heal(lease)

    async def prove(self, place: Place, breakage: Breakage, *, lease: str) -> Proof:
        return await self._at(place).prove(place, breakage, lease=lease)

    def _at(self, place: Place) -> Any:
        return self._services if isinstance(place, ServicePlace) else self._links


def states_of(pid: int) -> set[str]:
    """The states of a family's processes, as /proc has them."""
    return {member.state for member in family.family(pid)}


def runs(pid: int) -> bool:
    """Whether there is such a process; what is left of one is none."""
    return family.look(pid) is not None


def files(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def cgroups(scratch: Path) -> list[str]:
    """The cgroups that bear a scratch folder's name."""
    folders = {one.folder for controller in CONTROLLERS for one in hierarchies(controller)}
    return [str(one) for folder in folders for one in Path(folder).glob(f"{scratch.name}*")]
