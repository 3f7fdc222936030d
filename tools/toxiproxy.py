"""A real Toxiproxy, to compare with and to make an image of: built once of its Go module, in about a minute."""

from dataclasses import dataclass
from pathlib import Path

from tools.go_install import Unavailable, installed

__all__ = ["VERSION", "Binaries", "Unavailable", "binaries"]

VERSION = "v2.12.0"
_MODULE = "github.com/Shopify/toxiproxy/v2/cmd"


@dataclass(frozen=True, slots=True)
class Binaries:
    """What the module's two commands are called."""

    server: Path
    cli: Path


def binaries() -> Binaries:
    """Those of the cache; built at the first call.

    Raises:
        Unavailable: there is no Go, or it could not build them.
    """
    packages = [f"{_MODULE}/{name}@{VERSION}" for name in ("server", "cli")]
    cache = installed("real Toxiproxy", f"toxiproxy-{VERSION}", packages)
    return Binaries(cache / "server", cache / "cli")
