"""Bulkheads: who is let in, who waits, who is shed; and the same promises in whatever order requests come and go."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from target_stack.bulkhead import Bulkhead, Place, Standing, TierLimits
from target_stack.tier import TIERS, Tier

LIMITS: dict[Tier, TierLimits] = {
    "enterprise": TierLimits(concurrency=4, queue=6),
    "pro": TierLimits(concurrency=2, queue=4),
    "free": TierLimits(concurrency=1, queue=3),
}


def bulkhead() -> Bulkhead:
    return Bulkhead(LIMITS, concurrency=4)


def nothing() -> None:
    pass


def arrive(one: Bulkhead, tier: Tier, tenant: str = "a") -> Place:
    return one.arrive(tier, tenant, nothing)


def standings(places: list[Place]) -> list[str]:
    return [place.standing.value for place in places]


def test_a_flood_of_the_free_tier_leaves_places_for_the_others() -> None:
    one = bulkhead()
    flood = [arrive(one, "free") for _ in range(10)]
    assert standings(flood) == ["admitted"] + ["waiting"] * 3 + ["shed"] * 6
    assert arrive(one, "enterprise").standing is Standing.ADMITTED
    assert one.utilisation == 0.5
    assert (one.admitted("free"), one.waiting("free")) == (1, 3)


def test_a_place_goes_to_the_highest_tier_that_waits() -> None:
    one = bulkhead()
    working = [arrive(one, "enterprise") for _ in range(4)]
    waiting = [arrive(one, tier) for tier in reversed(TIERS)]
    assert standings(waiting) == ["waiting"] * 3
    order: list[str] = []
    for place in working[:3]:
        one.leave(place)
        order.extend(p.tier for p in waiting if p.standing is Standing.ADMITTED and p.tier not in order)
    assert order == ["enterprise", "pro", "free"]


def test_tenants_take_turns_and_each_ones_oldest_comes_first() -> None:
    one = bulkhead()
    working = arrive(one, "free", "flood")
    first, second = arrive(one, "free", "flood"), arrive(one, "free", "flood")
    late = arrive(one, "free", "quiet")
    for expected in (first, late, second):
        one.leave(working)
        assert expected.standing is Standing.ADMITTED
        working = expected


def test_a_full_queue_sheds_the_newest_of_the_tenant_that_floods_it() -> None:
    one = bulkhead()
    arrive(one, "free", "flood")
    told: list[str] = []
    flood = [one.arrive("free", "flood", lambda: told.append("shed")) for _ in range(3)]
    assert arrive(one, "free", "quiet").standing is Standing.WAITING
    assert standings(flood) == ["waiting", "waiting", "shed"]
    assert told == ["shed"]
    assert arrive(one, "free", "quiet").standing is Standing.SHED, "taking turns at shedding would help nobody"


def test_who_leaves_the_queue_makes_room_and_is_not_admitted_later() -> None:
    one = bulkhead()
    working = arrive(one, "free")
    gone, waits = arrive(one, "free"), arrive(one, "free", "b")
    one.leave(gone)
    one.leave(gone)
    assert one.waiting("free") == 1
    one.leave(working)
    assert (gone.standing, waits.standing) == (Standing.GONE, Standing.ADMITTED)


class BulkheadMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.one = bulkhead()
        self.places: list[Place] = []
        self.arrived: dict[Place, int] = {}
        self.overtaken: dict[tuple[Place, str], int] = {}
        """By place at the head of its tenant's queue and by other tenant: how often that one had a turn meanwhile."""

    def of(self, standing: Standing) -> list[Place]:
        return [place for place in self.places if place.standing is standing]

    def heads(self, tier: Tier) -> dict[str, Place]:
        heads: dict[str, Place] = {}
        for place in self.of(Standing.WAITING):
            if place.tier == tier:
                heads.setdefault(place.tenant, place)
        return heads

    @rule(tier=st.sampled_from(TIERS), tenant=st.sampled_from("abc"), count=st.integers(1, 6))
    def come(self, tier: Tier, tenant: str, count: int) -> None:
        for _ in range(count):
            before = self.of(Standing.WAITING)
            full = self.one.waiting(tier) == LIMITS[tier].queue
            place = arrive(self.one, tier, tenant)
            shed = [p for p in (*before, place) if p.standing is Standing.SHED]
            assert len(shed) <= full, "shed although there was room"
            assert all(p.tier == tier for p in shed), "one tier's flood shed another's request"
            counts = {t: sum(p.tier == tier and p.tenant == t for p in before) for t in "abc"}
            for p in shed:
                assert counts[p.tenant] >= counts[tenant], "shed from a shorter queue than the newcomer's"
            self.places.append(place)

    @precondition(lambda self: self.of(Standing.ADMITTED))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        before = {tier: self.heads(tier) for tier in TIERS}
        waiting = self.of(Standing.WAITING)
        self.one.leave(data.draw(st.sampled_from(self.of(Standing.ADMITTED))))
        admitted = [place for place in waiting if place.standing is Standing.ADMITTED]
        for place in admitted:
            assert place is before[place.tier][place.tenant], "not the oldest of its tenant"
            for tenant, head in before[place.tier].items():
                if tenant != place.tenant:
                    turns = self.overtaken[head, place.tenant] = self.overtaken.get((head, place.tenant), 0) + 1
                    assert turns <= 1, "a tenant had two turns while another waited for one"

    @precondition(lambda self: self.of(Standing.WAITING))
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self.one.leave(data.draw(st.sampled_from(self.of(Standing.WAITING))))

    @invariant()
    def limits_hold(self) -> None:
        admitted, waiting = self.of(Standing.ADMITTED), self.of(Standing.WAITING)
        assert len(admitted) <= 4
        for tier in TIERS:
            assert sum(p.tier == tier for p in admitted) == self.one.admitted(tier) <= LIMITS[tier].concurrency
            assert sum(p.tier == tier for p in waiting) == self.one.waiting(tier) <= LIMITS[tier].queue

    @invariant()
    def nobody_waits_for_a_place_that_is_free(self) -> None:
        if len(self.of(Standing.ADMITTED)) < 4:
            for tier in TIERS:
                assert not self.one.waiting(tier) or self.one.admitted(tier) == LIMITS[tier].concurrency


TestBulkheadMachine = BulkheadMachine.TestCase
TestBulkheadMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, database=None)
