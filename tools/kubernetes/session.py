"""A command, and a cluster around it."""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tools.kubernetes import build, control_plane
from tools.kubernetes.cgroups import Cgroup
from tools.kubernetes.network import Network
from tools.kubernetes.node import Node
from tools.kubernetes.servers import Failed, Servers

_DESCRIPTION = """\
Runs a command with a Kubernetes cluster of its own, which ends with it. The command finds it by $KUBECONFIG and by
$BROWNOUT_TEST_KUBECONFIG. The servers are compiled once (`python -m tools.kubernetes.build`: 9 minutes) and kept in
$XDG_CACHE_HOME/brownout; etcd is Debian's package etcd-server. A node needs root, and Debian's packages docker.io,
iptables and containernetworking-plugins; --no-nodes needs neither."""

_PLACE = Path("/tmp")  # noqa: S108 - the folders in it are made by mkdtemp
_PREFIX = "brownout-kubernetes-"
_LOCK = "keeper"


def main() -> int:
    """Returns what the command returned; 2 where there is no cluster for it."""
    parser = argparse.ArgumentParser(
        prog="with_kubernetes", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-nodes", action="store_true", help="the control plane alone: objects, but no pod runs")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the servers' logs here")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND...")
    options = parser.parse_args()
    if not options.command:
        parser.error("which command?")
    if options.command[0] not in build.ALL and shutil.which(options.command[0]) is None:
        parser.error(f"there is no command {options.command[0]}")
    signal.signal(signal.SIGTERM, _leave)
    try:
        with _cluster(nodes=not options.no_nodes, logs=options.logs) as environment:
            return _run(options.command, environment)
    except (Failed, build.Unavailable) as problem:
        print(f"with_kubernetes: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    try:
        process = subprocess.Popen(command, env={**os.environ, **environment})
    except OSError as problem:
        msg = f"{command[0]}: {problem.strerror}"
        raise Failed(msg) from problem
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            # It got the same signal, and may have something to put away.
            continue
        except SystemExit:
            process.terminate()
            process.wait()
            raise
        return code if code >= 0 else 128 - code


@contextmanager
def _cluster(*, nodes: bool, logs: Path | None) -> Iterator[dict[str, str]]:
    began = time.monotonic()
    _needed(nodes=nodes)
    binaries = build.binaries(build.ALL if nodes else build.CONTROL_PLANE)
    _sweep()
    # Sockets lie in there, whose paths may not be long.
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PLACE))
    (folder / _LOCK).touch(mode=0o600)
    held = _hold(folder)
    servers = Servers((logs or folder / "logs").resolve())
    network = Network.free() if nodes else Network.none()
    node = Node(folder, binaries, network, logs=servers.logs) if nodes else None
    try:
        if node is not None:
            node.open(servers)
        access = control_plane.start(
            servers, folder, binaries, host=network.host, services=network.services, nodes=nodes
        )
        environment = {}
        if node is not None:
            environment = node.join(servers, access)
        config = str(access.kubeconfig("tester", group="system:masters"))
        print(f"with_kubernetes: up after {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        path = f"{binaries}:{os.environ['PATH']}"
        yield {"KUBECONFIG": config, "BROWNOUT_TEST_KUBECONFIG": config, "PATH": path, **environment}
        servers.look()
    finally:
        # Once more Ctrl-C must not leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        servers.end()
        if node is not None:
            node.close()
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _hold(folder: Path) -> int:
    """Mark a folder as one whose keeper lives: the lock goes with the process."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _sweep() -> None:
    """Remove what those left who were killed. Their processes ended with them."""
    for folder in _PLACE.glob(f"{_PREFIX}*"):
        try:
            lock = _hold(folder)
        except OSError:
            # It is kept, or somebody else's, or just being made.
            continue
        Cgroup(folder.name).remove()
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _needed(*, nodes: bool) -> None:
    packages = {"etcd": "etcd-server", "openssl": "openssl", "setpriv": "util-linux"}
    if nodes:
        packages |= {"containerd": "docker.io", "iptables": "iptables", "ip": "iproute2", "unshare": "util-linux"}
        packages["/usr/lib/cni/bridge"] = "containernetworking-plugins"
    lacking = sorted({package for command, package in packages.items() if shutil.which(command) is None})
    if lacking:
        msg = f"Debian's {', '.join(lacking)} is needed"
        raise Failed(msg)
    if nodes and os.geteuid() != 0:
        msg = "a node needs root; --no-nodes does not"
        raise Failed(msg)
