"""The HTTP API: Toxiproxy's, and Brownout's own under `/brownout/`.

Toxiproxy's part follows its README and the behaviour of the real server, version 2.12.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from urllib.parse import unquote

import brownout
from brownout.proxy.bodies import field, parse_object, proxy_spec, proxy_specs, toxic_of, toxicity_of
from brownout.proxy.collection import ProxyCollection
from brownout.proxy.errors import ApiError, bad_request, missing_field
from brownout.proxy.leases import MAX_TTL_MS
from brownout.proxy.metrics import CONTENT_TYPE, exposition

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and what to send; None is an empty body."""

    status: HTTPStatus
    body: object = None
    content_type: str = JSON
    """With another one than JSON's, the body is text."""


Handler = Callable[[list[str], bytes], Awaitable[Reply]]


class Api:
    """Routes requests to the collection. Knows nothing of sockets."""

    def __init__(self, collection: ProxyCollection) -> None:
        self._collection = collection
        # `*` stands for a name, which is handed on.
        self._routes: dict[tuple[str, ...], dict[str, Handler]] = {
            ("version",): {"GET": self._version},
            ("metrics",): {"GET": self._metrics},
            ("proxies",): {"GET": self._list_proxies, "POST": self._create_proxy},
            ("proxies", "*"): {
                "GET": self._show_proxy,
                "POST": self._update_proxy,
                "PATCH": self._update_proxy,
                "DELETE": self._delete_proxy,
            },
            ("proxies", "*", "toxics"): {"GET": self._list_toxics, "POST": self._create_toxic},
            ("proxies", "*", "toxics", "*"): {
                "GET": self._show_toxic,
                "POST": self._update_toxic,
                "PATCH": self._update_toxic,
                "DELETE": self._delete_toxic,
            },
            ("populate",): {"POST": self._populate},
            ("reset",): {"POST": self._reset},
            ("brownout", "counters"): {"GET": self._counters},
            ("brownout", "leases"): {"GET": self._list_leases},
            ("brownout", "leases", "*"): {"POST": self._renew_lease, "DELETE": self._delete_lease},
        }

    async def handle(self, method: str, target: str, body: bytes) -> Reply:
        """Answer one request; refusals are replies too."""
        path = [unquote(part) for part in target.partition("?")[0].strip("/").split("/")]
        try:
            return await self._route(method, path)(self._names(path), body)
        except ApiError as exc:
            return Reply(exc.status, {"error": exc.message, "status": exc.status})

    def _route(self, method: str, path: list[str]) -> Handler:
        for pattern, methods in self._routes.items():
            if len(pattern) == len(path) and all(p in ("*", part) for p, part in zip(pattern, path, strict=True)):
                if method not in methods:
                    raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, f"method not allowed; allowed: {', '.join(methods)}")
                return methods[method]
        raise ApiError(HTTPStatus.NOT_FOUND, "page not found")

    @staticmethod
    def _names(path: list[str]) -> list[str]:
        return path[2:] if path[0] == "brownout" else path[1::2]

    # Toxiproxy's: proxies

    async def _version(self, _names: list[str], _body: bytes) -> Reply:
        return Reply(HTTPStatus.OK, {"version": f"brownout-{brownout.__version__}"})

    async def _metrics(self, _names: list[str], _body: bytes) -> Reply:
        return Reply(HTTPStatus.OK, exposition(self._collection.proxies()), CONTENT_TYPE)

    async def _list_proxies(self, _names: list[str], _body: bytes) -> Reply:
        return Reply(HTTPStatus.OK, {proxy.name: proxy.to_json() for proxy in self._collection.proxies()})

    async def _create_proxy(self, _names: list[str], body: bytes) -> Reply:
        proxy = await self._collection.add(proxy_spec(parse_object(body)))
        return Reply(HTTPStatus.CREATED, proxy.to_json())

    async def _populate(self, _names: list[str], body: bytes) -> Reply:
        done: list[dict[str, object]] = []
        try:
            for spec in proxy_specs(body):
                done.append((await self._collection.add_or_replace(spec)).to_json())
        except ApiError as exc:
            return Reply(exc.status, {"error": exc.message, "status": exc.status, "proxies": done or None})
        return Reply(HTTPStatus.CREATED, {"proxies": done or None})

    async def _show_proxy(self, names: list[str], _body: bytes) -> Reply:
        return Reply(HTTPStatus.OK, self._collection.get(names[0]).to_json())

    async def _update_proxy(self, names: list[str], body: bytes) -> Reply:
        self._collection.get(names[0])
        fields = parse_object(body)
        proxy = await self._collection.update(
            names[0],
            listen=field(fields, "listen", str),
            upstream=field(fields, "upstream", str),
            enabled=field(fields, "enabled", bool),
            lease=field(fields, "lease", str),
        )
        return Reply(HTTPStatus.OK, proxy.to_json())

    async def _delete_proxy(self, names: list[str], _body: bytes) -> Reply:
        await self._collection.remove(names[0])
        return Reply(HTTPStatus.NO_CONTENT)

    async def _reset(self, _names: list[str], _body: bytes) -> Reply:
        await self._collection.reset()
        return Reply(HTTPStatus.NO_CONTENT)

    # Toxiproxy's: toxics

    async def _list_toxics(self, names: list[str], _body: bytes) -> Reply:
        return Reply(HTTPStatus.OK, [toxic.to_json() for toxic in self._collection.get(names[0]).toxics_in_order()])

    async def _create_toxic(self, names: list[str], body: bytes) -> Reply:
        self._collection.get(names[0])
        toxic = toxic_of(parse_object(body))
        self._collection.add_toxic(names[0], toxic)
        return Reply(HTTPStatus.OK, toxic.to_json())

    async def _show_toxic(self, names: list[str], _body: bytes) -> Reply:
        return Reply(HTTPStatus.OK, self._collection.get(names[0]).toxic(names[1]).to_json())

    async def _update_toxic(self, names: list[str], body: bytes) -> Reply:
        proxy = self._collection.get(names[0])
        proxy.toxic(names[1])
        fields = parse_object(body)
        toxic = proxy.update_toxic(
            names[1], attributes=field(fields, "attributes", dict) or {}, toxicity=toxicity_of(fields)
        )
        return Reply(HTTPStatus.OK, toxic.to_json())

    async def _delete_toxic(self, names: list[str], _body: bytes) -> Reply:
        proxy = self._collection.get(names[0])
        proxy.remove_toxics([proxy.toxic(names[1])])
        return Reply(HTTPStatus.NO_CONTENT)

    # Ours

    async def _counters(self, _names: list[str], _body: bytes) -> Reply:
        counters = self._collection.counters()
        return Reply(HTTPStatus.OK, {"links": {name: asdict(link) for name, link in counters.items()}})

    async def _list_leases(self, _names: list[str], _body: bytes) -> Reply:
        return Reply(HTTPStatus.OK, {"leases": self._leases()})

    async def _renew_lease(self, names: list[str], body: bytes) -> Reply:
        ttl_ms = field(parse_object(body), "ttl_ms", int)
        if ttl_ms is None:
            raise missing_field("ttl_ms")
        if not 0 < ttl_ms <= MAX_TTL_MS:
            raise bad_request(f"ttl_ms must be above 0 and at most {MAX_TTL_MS}")
        new = self._collection.renew(names[0], ttl_ms=ttl_ms)
        return Reply(HTTPStatus.CREATED if new else HTTPStatus.OK, {**self._leases()[names[0]], "new": new})

    async def _delete_lease(self, names: list[str], _body: bytes) -> Reply:
        await self._collection.drop(names[0])
        return Reply(HTTPStatus.NO_CONTENT)

    def _leases(self) -> dict[str, dict[str, object]]:
        proxies = self._collection.proxies()
        return {
            name: {
                "lease": name,
                "ttl_ms": lease.ttl_ms,
                "remaining_ms": round(left_s * 1000),
                "toxics": [
                    f"{proxy.name}/{toxic.name}" for proxy in proxies for toxic in proxy.toxics if toxic.lease == name
                ],
                "disabled": [proxy.name for proxy in proxies if name in proxy.disabled_by],
            }
            for name, (lease, left_s) in self._collection.leases().items()
        }
