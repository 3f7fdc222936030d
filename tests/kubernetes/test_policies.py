"""Whom a policy lets through that shuts one service out. What the network makes of it: `test_on_nodes.py`."""

import pytest

from brownout.fixtures.kubernetes.detouring import fits
from brownout.fixtures.kubernetes.policies import addresses_but

EVERY_FOUR, EVERY_SIX = {"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}


@pytest.mark.parametrize(
    ("excepted", "families", "blocks"),
    [
        (["10.0.0.2", "10.0.0.1"], {4}, [EVERY_FOUR | {"except": ["10.0.0.1/32", "10.0.0.2/32"]}]),
        (["fd00::1"], {6}, [EVERY_SIX | {"except": ["fd00::1/128"]}]),
        (["10.0.0.1"], {4, 6}, [EVERY_FOUR | {"except": ["10.0.0.1/32"]}, EVERY_SIX]),
        # The only pod of the service that is shut out is being replaced: everybody else goes on.
        ([], {4}, [EVERY_FOUR]),
        ([], set(), []),
    ],
)
def test_all_addresses_are_let_through_but_those_of_one_service(
    excepted: list[str], families: set[int], blocks: list[dict[str, object]]
) -> None:
    assert addresses_but(excepted, families=families) == [{"ipBlock": one} for one in blocks]


def test_a_service_that_shares_one_label_of_several_leads_elsewhere() -> None:
    labels = {"app": "cache", "instance": "shop"}
    assert fits({"instance": "shop", "app": "cache"}, labels)
    assert not fits({"instance": "shop", "app": "database"}, labels)
    assert not fits({}, labels)
    assert not fits(None, labels)
