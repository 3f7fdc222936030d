"""Whom a Service leads to, what our proxy has to stand in for, and what cannot be led through it. No cluster."""

import json
from typing import Any

import pytest

from brownout.breakage import LinkPlace
from brownout.errors import FaultError
from brownout.fixtures.kubernetes.api import Call
from brownout.fixtures.kubernetes.description import Workload
from brownout.fixtures.kubernetes.detour import leading
from brownout.fixtures.kubernetes.detouring import PROXY, Detour, Forwarded, broken_port, led
from brownout.fixtures.kubernetes.status import STANDS_FOR
from brownout.fixtures.kubernetes.undo import MARK, Remove, undo_in, undo_out

LINK = LinkPlace("gateway", "store")
STORE = Workload("store", "statefulsets", "store")
WORKLOAD = {"spec": {"template": {"metadata": {"labels": {"app": "store", "tier": "data"}}}}}
CONTAINERS = [
    {"name": "main", "ports": [{"name": "http", "containerPort": 8000}, {"name": "admin", "containerPort": 9000}]}
]


def service(name: str = "store", **spec: Any) -> dict[str, Any]:
    usual = {"clusterIP": "10.0.0.1", "selector": {"app": "store"}, "ports": [{"port": 80, "targetPort": "http"}]}
    return {"metadata": {"name": name}, "spec": usual | spec}


def test_the_service_that_selects_its_pods_leads_to_a_workload() -> None:
    others = [service("gateway", selector={"app": "gateway"}), service("nobody", selector=None)]

    assert leading([*others, service()], STORE, WORKLOAD, LINK)["metadata"]["name"] == "store"


def test_one_without_an_address_is_passed_over_where_another_has_one() -> None:
    headless = service("store-pods", clusterIP="None")

    assert leading([headless, service()], STORE, WORKLOAD, LINK)["metadata"]["name"] == "store"
    assert leading([headless], STORE, WORKLOAD, LINK)["metadata"]["name"] == "store-pods"


def test_where_several_lead_to_it_the_description_says_which() -> None:
    both = [service("one"), service("two", selector={"tier": "data"})]

    with pytest.raises(FaultError, match=r"several Services lead to store: one, two; say which by `service`"):
        leading(both, STORE, WORKLOAD, LINK)
    said = Workload("store", "statefulsets", "store", service="two")
    assert leading(both, said, WORKLOAD, LINK)["metadata"]["name"] == "two"
    with pytest.raises(FaultError, match="there is no Service three"):
        leading(both, Workload("store", "statefulsets", "store", service="three"), WORKLOAD, LINK)


def test_a_service_that_is_led_through_a_proxy_is_not_led_through_a_second_one() -> None:
    behind = service("brownout-proxy-1-behind")
    behind["metadata"]["labels"] = {MARK: "brownout-0"}
    away = service(selector={PROXY: "brownout-proxy-1"})

    with pytest.raises(FaultError, match=r"gateway → store: .*through the fault proxy already"):
        leading([behind, away], STORE, WORKLOAD, LINK)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"clusterIP": "None"}, "store is headless: its clients are given the pods' own addresses"),
        ({"selector": None}, "store has no selector"),
        ({"type": "ExternalName"}, "store is another name for something outside"),
        ({"internalTrafficPolicy": "Local"}, "internalTrafficPolicy: Local"),
        ({"ports": [{"port": 53, "protocol": "UDP"}]}, "port 53 of UDP"),
        ({"ports": [{"port": 80, "targetPort": "htp"}]}, "no container of its pods has a port of the name 'htp'"),
    ],
)
def test_what_cannot_be_pointed_at_a_proxy_is_told_with_the_reason(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(FaultError, match=says):
        led(service(**spec), CONTAINERS)


def test_the_proxy_stands_in_for_every_port_by_its_number_and_its_name() -> None:
    three = service(ports=[{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8000}, {"port": 9000}])
    ports = led(three, CONTAINERS)

    assert ports == (Forwarded(80, 8000, "http"), Forwarded(9000, 9000, None))
    assert broken_port(three, ports, http=8000) == ports[0]
    with pytest.raises(FaultError, match="leads to the ports 8000, 9000 of its pods; say which by `http`"):
        broken_port(three, ports, http=None)
    with pytest.raises(FaultError, match="and not 8001, which its description says"):
        broken_port(three, ports, http=8001)


def test_what_is_made_selects_the_right_pods_and_no_token_is_shown() -> None:
    ports = led(service(ports=[{"port": 8474}]), CONTAINERS)
    token = "not-to-be-seen"
    made = Detour("brownout-proxy-1", "brownout-0", "image", service(), ports, ports[0], True, token)
    template = made.deployment()["spec"]["template"]

    assert made.own_pods()["spec"]["selector"] == {"app": "store"}
    assert made.own_pods()["metadata"]["labels"][STANDS_FOR] == "store"
    assert made.control()["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert "app" not in template["metadata"]["labels"]
    (link,) = json.loads(template["spec"]["containers"][0]["args"][-1])
    assert link == {
        "name": "port-8474",
        "listen": "0.0.0.0:8474",
        "upstream": "brownout-proxy-1-behind:8474",
        "http": True,
    }
    # Its own port gives way.
    assert made.control_port == 8475
    for body in (made.secret(), made.deployment(), made.control(), made.own_pods()):
        assert token not in str(Call("POST", "/", body))
    assert token not in repr(made)


def test_what_waits_before_it_is_removed_is_read_again_and_so_is_what_was_written_before_there_was_that() -> None:
    steps = (Remove("/a", "brownout-0", after=2.0), Remove("/b", "brownout-0"))

    assert undo_in(json.loads(json.dumps(undo_out(steps)))) == steps
    assert undo_in([{"do": "remove", "path": "/b", "mark": "brownout-0"}]) == steps[1:]
