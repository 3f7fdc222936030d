"""What was set is put back, and nothing else: others' changes are theirs."""

import copy
import json
from typing import Any

import pytest

from brownout.errors import FaultError
from brownout.fixtures.kubernetes.deed import changing
from brownout.fixtures.kubernetes.undo import Remove, Restore, restoring, undo_in, undo_out, value_at

IMAGE = ("spec", "containers", "name=main", "image")
LIMIT = ("spec", "containers", "name=main", "resources", "limits", "memory")
REQUEST = ("spec", "containers", "name=main", "resources", "requests", "memory")
MARKED = ("metadata", "annotations", "a.b/c~d")


def workload(**container: Any) -> dict[str, Any]:
    containers = [{"name": "side", "image": "side:1"}, {"name": "main", "image": "main:1", **container}]
    return {"metadata": {"uid": "u", "resourceVersion": "7"}, "spec": {"containers": containers}}


def patched(current: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """What RFC 6902 makes of it, as far as it is used here."""
    changed = copy.deepcopy(current)
    for one in operations:
        *steps, last = [part.replace("~1", "/").replace("~0", "~") for part in one["path"].split("/")[1:]]
        here: Any = changed
        for step in steps:
            here = here[int(step)] if isinstance(here, list) else here[step]
        if one["op"] == "test":
            assert here[last] == one["value"]
        elif one["op"] == "remove":
            del here[last]
        else:
            here[last] = one["value"]
    return changed


@pytest.mark.parametrize("wanted", [{IMAGE: "none:1"}, {LIMIT: "1", REQUEST: "1"}, {MARKED: "x"}, {IMAGE: None}])
def test_what_is_put_back_is_what_was_there(wanted: dict[tuple[str, ...], Any]) -> None:
    before = workload()
    call, change = changing(before, "/it", wanted)
    broken = patched(before, call.body)
    assert {path: value_at(broken, path) for path in wanted} == wanted

    operations, left = restoring(broken, change)
    healed = patched(broken, operations)

    assert {path: value_at(healed, path) for path in wanted} == {path: value_at(before, path) for path in wanted}
    assert left == []
    assert restoring(healed, change) == ([], [])


def test_a_field_that_somebody_else_has_set_since_is_left_to_them() -> None:
    before = workload()
    call, change = changing(before, "/it", {IMAGE: "none:1", LIMIT: "1"})
    broken = patched(before, call.body)
    broken["spec"]["containers"][1]["image"] = "main:2"

    operations, left = restoring(broken, change)
    healed = patched(broken, operations)

    assert value_at(healed, IMAGE) == "main:2"
    assert value_at(healed, LIMIT) is None
    assert left == ["spec/containers/name=main/image"]


def test_another_object_of_the_same_name_is_left_alone() -> None:
    before = workload()
    call, change = changing(before, "/it", {IMAGE: "none:1"})
    broken = patched(before, call.body)
    broken["metadata"]["uid"] = "another"

    assert restoring(broken, change) == ([], ["another object of that name"])


def test_the_patch_is_for_the_object_as_it_was_looked_at() -> None:
    call, _ = changing(workload(), "/it", {IMAGE: "none:1"})

    assert call.body[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    with pytest.raises(AssertionError):
        patched({**workload(), "metadata": {"uid": "u", "resourceVersion": "8"}}, call.body)


def test_a_container_that_is_not_there_is_no_place_to_set_anything() -> None:
    with pytest.raises(FaultError, match="there is no name=other"):
        changing(workload(), "/it", {("spec", "containers", "name=other", "resources", "limits"): "1"})


def test_what_undoes_a_fault_survives_being_written_down() -> None:
    _, change = changing(workload(), "/it", {IMAGE: "none:1", LIMIT: "1"})
    steps = (change, Remove("/that", "brownout-1"))

    assert undo_in(json.loads(json.dumps(undo_out(steps)))) == steps
    assert isinstance(steps[0], Restore)
