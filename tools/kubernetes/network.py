"""Which addresses a cluster has: none that this machine uses already."""

import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Network

from tools.kubernetes.servers import Failed

_FIRST, _LAST = 201, 240
"""Of the networks 10.N.0.0/16 those that are tried."""


@dataclass(frozen=True, slots=True)
class Network:
    """A cable from this machine to the node, and the pods' and the services' addresses behind it."""

    device: str
    """The cable's end on this machine."""
    host: str
    node: str
    pods: IPv4Network
    services: IPv4Network

    @classmethod
    def free(cls) -> "Network":
        """One that has no route yet.

        Raises:
            Failed: all have.
        """
        routes = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
        for number in range(_FIRST, _LAST + 1):
            if f"10.{number}." not in routes:
                return cls._numbered(number)
        msg = f"all networks from 10.{_FIRST}.0.0/16 to 10.{_LAST}.0.0/16 are in use"
        raise Failed(msg)

    @classmethod
    def none(cls) -> "Network":
        """Where there is no node: the loopback, and addresses for services that nobody reaches."""
        made = cls._numbered(_FIRST)
        return cls("", "127.0.0.1", "", made.pods, made.services)

    @classmethod
    def _numbered(cls, number: int) -> "Network":
        inside = f"10.{number}"
        pods, services = IPv4Network(f"{inside}.64.0/18"), IPv4Network(f"{inside}.128.0/18")
        return cls(f"brownout-{number}", f"{inside}.0.1", f"{inside}.0.2", pods, services)
