"""The policy of each use case as the feature-flag service last told it, and the task that asks.

No request waits for that service: it is asked now and then, and what it said last holds while it does not answer.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import aiohttp
import msgspec

from target_stack.clock import Clock
from target_stack.http_peer import HttpPeer
from target_stack.log import log
from target_stack.policy import PolicyName

__all__ = ["EVERY_OTHER", "FLAGS_PATH", "FlagPoller", "Flags", "PolicyFlags"]

FLAGS_PATH = "/v1/flags"
EVERY_OTHER = "*"
"""Stands for each use case that has no flag of its own."""


class Flags(msgspec.Struct, frozen=True):
    """What the service says: policies by use case."""

    policies: dict[str, PolicyName]


class PolicyFlags:
    """The last known flags. With `keep` false they are forgotten as soon as the service does not answer."""

    def __init__(self, clock: Clock, *, keep: bool) -> None:
        self._clock = clock
        self._keep = keep
        self._policies: Mapping[str, PolicyName] = {}
        self._heard_at = clock.monotonic()
        self._up = False

    @property
    def stale(self) -> bool:
        """Whether the service did not answer when it was last asked, or never was."""
        return not self._up

    @property
    def age(self) -> float:
        """Seconds since it last answered; since the start where it never has."""
        return self._clock.monotonic() - self._heard_at

    def told(self, policies: Mapping[str, PolicyName]) -> None:
        """Take what it said."""
        self._policies = policies
        self.confirmed()

    def confirmed(self) -> None:
        """It said that nothing has changed."""
        self._heard_at = self._clock.monotonic()
        if not self._up:
            log.info("flag service answers")
        self._up = True

    def failed(self, reason: str) -> bool:
        """It did not answer, or nothing that can be used; return whether the flags are still known."""
        if self._up:
            log.warning("flag service away", extra={"reason": reason, "kept": self._keep})
        self._up = False
        if not self._keep:
            self._policies = {}
        return self._keep

    def policy_of(self, use_case: str) -> PolicyName | None:
        """Return the flag of a use case, None where it has none."""
        return self._policies.get(use_case, self._policies.get(EVERY_OTHER))


class FlagPoller:
    """Asks the service every `interval` seconds, each time for at most `timeout` seconds."""

    def __init__(self, peer: HttpPeer, flags: PolicyFlags, *, interval: float, timeout: float) -> None:
        self._peer = peer
        self._flags = flags
        self._interval = interval
        self._timeout = timeout
        self._etag = ""
        self._decoder = msgspec.json.Decoder(Flags)

    async def run(self) -> None:
        """Never return."""
        while True:
            await self.poll()
            await asyncio.sleep(self._interval)

    async def poll(self) -> None:
        """Ask once."""
        headers = {"if-none-match": self._etag} if self._etag else {}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._peer.client() as client,
                client.get(FLAGS_PATH, headers=headers) as response,
            ):
                body = await response.read()
            if response.status == HTTPStatus.NOT_MODIFIED:
                self._flags.confirmed()
                return
            if response.status != HTTPStatus.OK:
                self._lost(f"status {response.status}")
                return
            policies = self._decoder.decode(body).policies
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            # A connection over a link that was cut looks alive, also when the link is back.
            self._peer.renew()
            self._lost(type(error).__name__)
            return
        self._flags.told(policies)
        self._etag = response.headers.get("etag", "")

    def _lost(self, reason: str) -> None:
        if not self._flags.failed(reason):
            self._etag = ""

    async def aclose(self) -> None:
        """Close its connection."""
        await self._peer.aclose()
