"""The control plane's client, for Brownout's fault proxy and for a real Toxiproxy server alike.

Built over the package `toxiproxy-python`, whose objects it extends. That package keeps the server's address on a
class, waits for ever and takes a 5xx for a success; here address and token belong to the instance, every call has a
timeout, and every failure is a `ControlError`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import toxiproxy
from toxiproxy.toxic import Toxic

from brownout.errors import FaultError
from brownout.proxy.counters import LinkCounters


class ControlError(FaultError):
    """The fault proxy could not be reached, or refused.

    `status` is the HTTP status, or None where there was no answer.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class UnsupportedError(ControlError):
    """The server is a Toxiproxy without Brownout's extensions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """A lease as the server knows it. Times in milliseconds."""

    lease: str
    ttl_ms: int
    remaining_ms: int
    toxics: tuple[str, ...]
    """What lives on it, as `proxy/toxic`."""
    disabled: tuple[str, ...]
    """The proxies that it keeps disabled."""


class Proxy(toxiproxy.Proxy):  # type: ignore[misc]  # the package is untyped
    """A proxy on the server, with its `name`, `listen`, `upstream` and `enabled` as they were when asked for.

    Inherited: `down()`, a context manager, and `get_toxic(name)`.
    """

    def __init__(self, client: "ToxiproxyClient", **fields: Any) -> None:
        super().__init__(**fields)
        self._client = client

    def toxics(self) -> dict[str, Toxic]:
        """The active toxics by name."""
        return {fields["name"]: Toxic(**fields) for fields in self._client.toxics(self.name)}

    def add_toxic(self, **fields: Any) -> None:
        """See `ToxiproxyClient.add_toxic`."""
        self._client.add_toxic(self.name, **fields)

    def destroy_toxic(self, toxic_name: str) -> bool:
        self._client.remove_toxic(self.name, toxic_name)
        return True

    def destroy(self) -> bool:
        self._client.remove(self.name)
        return True

    def enable(self) -> None:
        self._client.enable(self.name)
        self.enabled = True

    def disable(self) -> None:
        self._client.disable(self.name)
        self.enabled = False


class ToxiproxyClient(toxiproxy.Toxiproxy):  # type: ignore[misc]  # the package is untyped
    """Toxiproxy's API, and below it Brownout's extensions. May be shared between threads.

    Inherited: `get_proxy(name)`, `destroy(proxy)`, `destroy_all()`, `populate(proxies)`.
    Every method raises ControlError when the server cannot be reached, is too slow, or refuses.
    """

    def __init__(self, control_url: str, token: str | None = None, timeout: float = 2.0) -> None:
        """`control_url` such as `http://127.0.0.1:8474`; a password in it is the token if none is given.

        Args:
            control_url: scheme, host and port.
            token: what Brownout's server asks for; a Toxiproxy server ignores it.
            timeout: seconds to wait for a connection, and for an answer.
        """
        parts = urlsplit(control_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            msg = "a control URL looks like http://127.0.0.1:8474"
            raise ControlError(msg)
        # Without the user part, so that no error text can show it.
        self._url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._token = token or parts.password
        self._timeout = timeout

    # Toxiproxy's API, as the package has it

    def proxies(self) -> dict[str, Proxy]:
        """All proxies by name."""
        return {name: Proxy(self, **fields) for name, fields in self._call("GET", "proxies").items()}

    def running(self) -> bool:
        """Whether a server answers."""
        try:
            self.version()
        except ControlError:
            return False
        return True

    def version(self) -> str:
        """The server's version; that of Brownout begins with `brownout-`."""
        answer = self._call("GET", "version")
        # Toxiproxy before 2.7 answers in plain text.
        return str(answer["version"]) if isinstance(answer, dict) else str(answer).strip()

    def reset(self) -> bool:
        """Enable all proxies, remove all toxics."""
        self._call("POST", "reset")
        return True

    def create(
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
        """A new proxy; without `listen` on a free port of the loopback. Addresses are `host:port`.

        `http` declares that it carries HTTP/1.1, which toxics of requests need, `host` gives it a name for the
        process's DNS responder, and with `tls` it speaks TLS to its upstream; a Toxiproxy server knows none of them.
        """
        body = {"name": name, "upstream": upstream, "listen": listen or "127.0.0.1:0", "enabled": enabled is not False}
        ours = ({"http": True} if http else {}) | ({"host": host} if host else {}) | ({"tls": True} if tls else {})
        return Proxy(self, **self._call("POST", "proxies", body=body | ours))

    # Toxiproxy's API, by name

    def remove(self, proxy: str) -> None:
        """Delete a proxy."""
        self._call("DELETE", "proxies", proxy)

    def enable(self, proxy: str) -> None:
        """Listen again, on the same port."""
        self._call("POST", "proxies", proxy, body={"enabled": True})

    def disable(self, proxy: str, *, lease: str | None = None) -> None:
        """Refuse clients and drop those connected; with a lease, until that ends at the latest."""
        self._call("POST", "proxies", proxy, body={"enabled": False, **self._on(lease)})

    def toxics(self, proxy: str) -> list[dict[str, Any]]:
        """The active toxics, in Toxiproxy's JSON fields."""
        found: list[dict[str, Any]] = self._call("GET", "proxies", proxy, "toxics")
        return found

    def add_toxic(
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
        """Add a toxic; its name. With a lease, it goes when that ends. Times in attributes are milliseconds.

        A schedule changes one attribute, or the toxicity, with time: `shape` (ramp, square, random), `of` (whose
        value), `from` (default 0), `to` (default: the value given), `period` in milliseconds, `seed`.
        """
        body = {
            "type": type,
            "stream": stream,
            "name": name or f"{type}_{stream}",
            "toxicity": toxicity,
            "attributes": dict(attributes or {}),
            **self._on(lease),
            **self._by(schedule),
        }
        return str(self._call("POST", "proxies", proxy, "toxics", body=body)["name"])

    def update_toxic(
        self, proxy: str, toxic: str, *, attributes: Mapping[str, Any] | None = None, toxicity: float | None = None
    ) -> None:
        """Change what is given."""
        body: dict[str, Any] = {"attributes": dict(attributes or {})}
        if toxicity is not None:
            body["toxicity"] = toxicity
        # POST, because Toxiproxy knows PATCH only since 2.6.
        self._call("POST", "proxies", proxy, "toxics", toxic, body=body)

    def remove_toxic(self, proxy: str, toxic: str) -> None:
        """Heal one toxic."""
        self._call("DELETE", "proxies", proxy, "toxics", toxic)

    # Brownout's extensions; each raises UnsupportedError on a Toxiproxy server

    def counters(self) -> dict[str, LinkCounters]:
        """What each link has carried, swallowed and broken, by proxy name."""
        links = self._call_brownout("GET", "counters")["links"]
        return {name: LinkCounters(**counters) for name, counters in links.items()}

    def renew_lease(self, lease: str, *, ttl_ms: int) -> bool:
        """Create a lease, or push its end back to `ttl_ms` from now.

        True if it is new: where a renewal was meant, it came too late, and all that the lease held is healed.
        """
        held = self._call_brownout("POST", "leases", lease, body={"ttl_ms": ttl_ms})
        return bool(held["new"])

    def delete_lease(self, lease: str) -> None:
        """Heal all that the lease holds, and end it."""
        self._call_brownout("DELETE", "leases", lease)

    def leases(self) -> dict[str, LeaseState]:
        """The standing leases."""
        found = self._call_brownout("GET", "leases")["leases"]
        return {
            name: LeaseState(
                lease=name,
                ttl_ms=fields["ttl_ms"],
                remaining_ms=fields["remaining_ms"],
                toxics=tuple(fields["toxics"]),
                disabled=tuple(fields["disabled"]),
            )
            for name, fields in found.items()
        }

    def _on(self, lease: str | None) -> dict[str, str]:
        if lease is None:
            return {}
        # A Toxiproxy server would ignore the field and keep the fault for ever: ask whether this one knows leases.
        self.leases()
        return {"lease": lease}

    def _by(self, schedule: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
        if schedule is None:
            return {}
        # As above: it would keep the fault at full strength.
        self.leases()
        return {"schedule": dict(schedule)}

    def _call_brownout(self, method: str, *path: str, body: object = None) -> Any:
        try:
            return self._call(method, "brownout", *path, body=body)
        except _PageNotFound as exc:
            msg = (
                f"the server at {self._url} is a Toxiproxy without Brownout's {path[0]}; use `python -m brownout.proxy`"
            )
            raise UnsupportedError(msg, status=exc.status) from exc

    def _call(self, method: str, *path: str, body: object = None) -> Any:
        target = "/" + "/".join(quote(part, safe="") for part in path)
        status, reason, content = self._exchange(method, target, body)
        try:
            answer = json.loads(content) if content else None
        except ValueError:
            answer = content.decode("utf-8", "replace")
        if status < requests.codes.bad_request:
            return answer
        said = answer.get("error") if isinstance(answer, dict) else None
        msg = f"the fault proxy at {self._url} refused {method} {target}: {said or reason} ({status})"
        if status == requests.codes.not_found and said is None:
            raise _PageNotFound(msg, status=status)
        raise ControlError(msg, status=status)

    def _exchange(self, method: str, target: str, body: object) -> tuple[int, str, bytes]:
        """One request: status, its phrase, and what was answered. Raises ControlError where there is no answer."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            # A session for each call: they are not safe to share between threads, and a call on the loopback is cheap.
            with requests.Session() as session:
                session.trust_env = False  # no HTTP_PROXY in between, no .netrc in place of the token
                response = session.request(
                    method, self._url + target, json=body, headers=headers, timeout=self._timeout, allow_redirects=False
                )
        except requests.RequestException as exc:
            msg = f"no answer from the fault proxy at {self._url} to {method} {target}: {type(exc).__name__}"
            raise ControlError(msg) from exc
        return response.status_code, response.reason, response.content


class _PageNotFound(ControlError):
    """The path itself is unknown to the server, not what it names: Toxiproxy says so in plain text."""
