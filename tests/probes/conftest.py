"""Probes as an experiment gets them: by their registered names."""

from collections.abc import Callable

import pytest

from brownout import registry
from brownout.probe import Verdict

PROBES = registry.Registry.installed("probe", distribution="brownout").names()  # type: ignore[var-annotated]


@pytest.fixture(params=PROBES)
def each_probe(request: pytest.FixtureRequest) -> Callable[..., Verdict]:
    return registry.probes().get(request.param)
