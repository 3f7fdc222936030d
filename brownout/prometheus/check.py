"""What is wrong with a run's use of Prometheus, found before anything is started."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from brownout.errors import BrownoutError, EnvironmentProblem, InvalidInput, Location, refuse
from brownout.experiment import Experiment
from brownout.parameters import parameters_of
from brownout.plan import OWN, PrometheusPlan
from brownout.prometheus import server
from brownout.prometheus.client import BadQuery, Prometheus, missing
from brownout.promql import PromQL, plain_selector
from brownout.registry import Probe, Registry
from brownout.system import Topology

TOKEN = "BROWNOUT_PROMETHEUS_TOKEN"  # noqa: S105 - the name of a variable
_CHECK_TIMEOUT = 10.0
Query = tuple[str, str, Location]
"""What was written, the probe it was written for, and where."""


def plan_prometheus(
    experiment: Experiment, asked: str | None, *, topology: Topology, probes: Registry[Probe], token: str | None
) -> PrometheusPlan | None:
    """Which server is asked and what; None where there is none. A server that is given is asked every query once.

    Args:
        experiment: whose checks hold queries.
        asked: a URL, `OWN`, or None.
        topology: of the target.
        probes: by name.
        token: for the server, where it wants one.

    Raises:
        InvalidInput: a query is none, needs a server and there is none; or that is no URL.
        EnvironmentProblem: something is not installed, or the server does not answer.
    """
    queries = _queries(experiment, probes)
    if asked is None:
        refuse([_needs_server(one) for one in queries if plain_selector(one[0]) is None])
        return None
    if lacks := missing():
        raise EnvironmentProblem(lacks)
    plan = PrometheusPlan(
        asked if asked == OWN else _url(asked),
        tuple(dict.fromkeys(text for text, *_ in queries)),
        topology.cross_checks,
        token,
    )
    if plan.own:
        if lacks := server.lacking():
            raise EnvironmentProblem(lacks)
        refuse([_refused(one, why) for one in queries if (why := _parse_error(one[0]))])
    else:
        _ask_all(plan, queries)
    return plan


def _queries(experiment: Experiment, probes: Registry[Probe]) -> Sequence[Query]:
    return [
        (value, check.probe, check.location)
        for check in (*experiment.steady_state, *experiment.during, *experiment.after, *experiment.abort)
        for one in parameters_of(probes.get(check.probe))
        if one.type is PromQL and isinstance(value := check.arguments.get(one.name), str)
    ]


def _needs_server(query: Query) -> InvalidInput:
    text, probe, at = query
    problem = (
        f"{probe}: this query is more than a selector of scraped series, so it needs a Prometheus server: "
        "give one with --prometheus URL, or have one started with --prometheus auto"
    )
    return InvalidInput(problem, at=at, value=text)


def _refused(query: Query, why: str) -> InvalidInput:
    text, probe, at = query
    return InvalidInput(f"{probe}: Prometheus does not take this query: {why}", at=at, value=text)


def _url(text: str) -> str:
    """The URL as it is asked; what it must not hold is not shown, since it may be a secret."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine:
        msg = f"--prometheus: expected a URL such as http://127.0.0.1:9090, or {OWN}"
        raise InvalidInput(msg)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        msg = (
            "--prometheus: a URL without user, password or query, since it is kept with the run; "
            f"a bearer token is taken from the variable {TOKEN}"
        )
        raise InvalidInput(msg)
    return text.rstrip("/")


def _ask_all(plan: PrometheusPlan, queries: Sequence[Query]) -> None:
    client = Prometheus(plan.server, token=plan.token)
    refused = []
    try:
        # Something that every server can answer, so that one that is none is not blamed on a query.
        client.ask("vector(1)")
        for one in queries:
            try:
                client.ask(one[0])
            except BadQuery as error:
                refused.append(_refused(one, str(error)))
    except BrownoutError as error:
        msg = f"--prometheus: {error}"
        raise EnvironmentProblem(msg) from error
    finally:
        client.close()
    refuse(refused)


def _parse_error(query: str) -> str:
    """What Prometheus's own checker says of a query; nothing where it is one."""
    checker = shutil.which(server.CHECKER) or server.CHECKER
    with tempfile.TemporaryDirectory(prefix="brownout-") as folder:
        rules = Path(folder, "rules.json")
        rules.write_text(json.dumps({"groups": [{"name": "q", "rules": [{"record": "q", "expr": query}]}]}))
        try:
            done = subprocess.run(
                [checker, "check", "rules", str(rules)],
                capture_output=True,
                check=False,
                text=True,
                timeout=_CHECK_TIMEOUT,
            )
        except (OSError, subprocess.SubprocessError) as error:
            msg = f"--prometheus auto: {server.CHECKER} cannot be run ({type(error).__name__})"
            raise EnvironmentProblem(msg) from error
    if done.returncode == 0:
        return ""
    *_, said = done.stderr.strip().rpartition("could not parse expression: ")
    return " ".join(said.splitlines()[:1]) or "it is none"
