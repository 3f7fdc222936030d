"""The counters as Prometheus scrapes them: under Toxiproxy's names where it has one, else under our own."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from brownout.proxy.counters import LinkCounters
from brownout.proxy.proxy import Proxy
from brownout.proxy.toxic import Stream

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format (its documentation, "Exposition formats")."""

_GAUGES = ("connections_active",)


def exposition(proxies: Sequence[Proxy]) -> str:
    """The page of metrics.

    Toxiproxy's two (its `METRICS.md`) count bytes as they come off a socket and as they go to one. Unlike there, they
    grow while a connection lasts, not when it ends, and need no flag.
    """
    lines: list[str] = []
    for name, attribute in (("received", "received"), ("sent", "forwarded")):
        samples = (
            (
                {
                    "direction": stream.value,
                    "listener": str(proxy.listen),
                    "proxy": proxy.name,
                    "upstream": str(proxy.upstream),
                },
                getattr(flow, attribute),
            )
            for proxy in proxies
            for stream, flow in (
                (Stream.DOWNSTREAM, proxy.counters.downstream),
                (Stream.UPSTREAM, proxy.counters.upstream),
            )
        )
        lines += _family(f"toxiproxy_proxy_{name}_bytes_total", "counter", samples)
    snapshots = {proxy.name: proxy.counters.snapshot() for proxy in proxies}
    for name in (field.name for field in fields(LinkCounters)):
        kind, suffix = ("gauge", "") if name in _GAUGES else ("counter", "_total")
        links = (({"proxy": proxy}, getattr(counters, name)) for proxy, counters in snapshots.items())
        lines += _family(f"brownout_link_{name}{suffix}", kind, links)
    return "".join(f"{line}\n" for line in lines)


def _family(name: str, kind: str, samples: Iterator[tuple[dict[str, str], int]]) -> list[str]:
    lines = [f"{name}{_labels(labels)} {value}" for labels, value in samples]
    return [f"# TYPE {name} {kind}", *lines] if lines else []


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
