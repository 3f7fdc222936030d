"""The target of the plugin's tests: up at once, fails while it is broken unless its fallback is on."""

from collections.abc import Mapping
from dataclasses import dataclass

from brownout.breakage import Breakage, Place
from brownout.system import Topology
from brownout.target import Say, Setting, TargetOptions
from tests.tiny import Tiny


@dataclass
class Small(Tiny):
    """Each time it is made another one, as targets are."""

    name: str = "small"
    fallback: bool = True

    def __call__(self) -> "Small":
        return Small()

    def settings(self) -> Mapping[str, Setting]:
        return {"fallback": Setting("fallback", "switch", "on", "answer while the store is away")}

    def topology_of(self, settings: Mapping[str, object]) -> Topology:
        return self.topology

    async def up(self, options: TargetOptions, say: Say) -> None:
        await super().up(options, say)
        self.fallback = bool(options.settings.get("fallback", True))

    async def inject(self, place: Place, breakage: Breakage, *, lease: str, ttl: float) -> None:
        self.broken = True
        self.answer_status = 200 if self.fallback else 503

    async def heal(self, place: Place, breakage: Breakage, *, lease: str) -> None:
        self.broken = False
        self.answer_status = 200


small = Small()
