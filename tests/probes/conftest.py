"""Probes as an experiment gets them: by their registered names."""

from collections.abc import Callable

import pytest

from brownout import registry
from brownout.probe import Verdict

PROBES = ("availability", "breaker", "degradation", "disclosed", "recovered", "total", "ttft")


@pytest.fixture(params=PROBES)
def each_probe(request: pytest.FixtureRequest) -> Callable[..., Verdict]:
    return registry.probes().get(request.param)
