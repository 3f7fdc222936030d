"""Asking a Prometheus server, through prometheus-api-client.

The library is synchronous; whoever asks from an event loop does so on a thread.
"""

import ast
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brownout.errors import BrownoutError, EnvironmentProblem

TIMEOUT = 5.0
"""Seconds that one answer may take. A server that is asked every second and needs longer is no help to a run."""
MOST_SERIES = 1000
"""Of one answer. All of them are kept every second: a query that gives more is meant to be summed up."""
_LONGEST = 200


class NoAnswer(BrownoutError):
    """The server did not answer, or answered with something else than the result of the query."""


class BadQuery(NoAnswer):
    """The server understood the request and refuses the query."""


@dataclass(frozen=True, slots=True)
class Point:
    """One series of an answer."""

    labels: tuple[tuple[str, str], ...]
    """Sorted by name, the metric's name among them as `__name__`."""
    value: float


class Prometheus:
    """A server that answers PromQL. To be closed.

    Args:
        url: its base, as `http://127.0.0.1:9090`.
        token: sent as a bearer token; never shown.
        own: whether it is this machine's own: then no proxy and no `~/.netrc` of the environment is between.

    Raises:
        EnvironmentProblem: prometheus-api-client is not installed.
    """

    def __init__(self, url: str, *, token: str | None = None, own: bool = False) -> None:
        try:
            import requests  # noqa: PLC0415 - with it
            from prometheus_api_client import exceptions, prometheus_connect  # noqa: PLC0415 - an extra
        except ImportError:
            raise EnvironmentProblem(missing() or "prometheus-api-client cannot be imported") from None
        self.url = url
        self._refused = exceptions.PrometheusApiClientException
        self._session = requests.Session()
        self._session.trust_env = not own
        # What it says of its own parameters leaves out that most of them may be None.
        connect: Any = prometheus_connect.PrometheusConnect
        self._server = connect(
            url=url,
            headers={"Authorization": f"Bearer {token}"} if token else None,
            session=self._session,
            timeout=TIMEOUT,
            # Whoever asks every second tries again by itself.
            retry=0,
        )

    def ask(self, query: str, *, at: float | None = None) -> Sequence[Point]:
        """The result of a query that gives an instant vector or a scalar.

        Args:
            query: in PromQL.
            at: the Unix time for which, in seconds; the server's own now where None.

        Raises:
            BadQuery: the server refuses the query, or it gives more than `MOST_SERIES`.
            NoAnswer: there is no result.
        """
        try:
            result = self._server.custom_query(query, params=None if at is None else {"time": f"{at:.3f}"})
            points = _points(result)
        except self._refused as error:
            raise _refusal(self.url, str(error)) from None
        except OSError as error:
            msg = f"Prometheus at {self.url} did not answer ({type(error).__name__})"
            raise NoAnswer(msg) from None
        except (ValueError, TypeError, KeyError, IndexError) as error:
            msg = f"what answers at {self.url} is no Prometheus, or the query gives no numbers: {str(error)[:_LONGEST]}"
            raise NoAnswer(msg) from None
        if len(points) > MOST_SERIES:
            msg = f"it gives {len(points)} series, and at most {MOST_SERIES} are kept: add them up, as with sum()"
            raise BadQuery(msg)
        return points

    def scraped(self) -> Mapping[str, str]:
        """What became of the last scrape of each job: an empty text where it succeeded.

        Raises:
            NoAnswer: the server does not tell.
        """
        try:
            active = self._server.get_targets(state="active")["activeTargets"]
            return {
                target["labels"]["job"]: "" if target["health"] == "up" else target["lastError"] or "not scraped yet"
                for target in active
            }
        except (self._refused, OSError, ValueError, TypeError, KeyError) as error:
            msg = f"Prometheus at {self.url} does not tell what it scrapes ({type(error).__name__})"
            raise NoAnswer(msg) from None

    def close(self) -> None:
        """Let go of its connections."""
        self._session.close()


def missing() -> str | None:
    """What a run with Prometheus lacks here, and what to do; None where it lacks nothing."""
    import importlib.util  # noqa: PLC0415 - asked once a run, if at all

    if importlib.util.find_spec("prometheus_api_client") is not None:
        return None
    return "--prometheus needs prometheus-api-client: pip install 'brownout[prometheus]'"


def _points(result: Any) -> Sequence[Point]:
    """https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats"""
    if len(result) == 2 and not isinstance(result[0], dict):
        return [Point((), float(result[1]))]
    return [
        Point(tuple(sorted((str(name), str(value)) for name, value in one["metric"].items())), float(one["value"][1]))
        for one in result
    ]


def _refusal(url: str, said: str) -> NoAnswer:
    """The library's error holds the status and the body as `HTTP Status Code 400 (b'{"error": ...}')`."""
    words = said.removeprefix("HTTP Status Code ")
    status, _, body = words.partition(" ")
    if status in ("400", "422"):
        try:
            reason = json.loads(ast.literal_eval(body[1:-1]))["error"]
        except (ValueError, SyntaxError, KeyError, TypeError):
            reason = ""
        reason = str(reason).removeprefix('invalid parameter "query": ')
        msg = " ".join(reason.split())[:_LONGEST] or f"Prometheus at {url} refuses it"
        return BadQuery(msg)
    if status in ("401", "403"):
        msg = f"Prometheus at {url} wants another token ({status}); it is taken from BROWNOUT_PROMETHEUS_TOKEN"
        return NoAnswer(msg)
    msg = f"Prometheus at {url} answered {status}"
    return NoAnswer(msg)


def number(points: Sequence[Point]) -> float | None:
    """The answer to a query that gives one number; None where it gives none, or no number."""
    values = [point.value for point in points if not math.isnan(point.value)]
    return values[0] if len(values) == 1 else None
