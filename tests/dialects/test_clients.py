"""Each provider's own client library meets each failure of its dialect, on a real connection."""

import time

import pytest

from brownout.dialect import Dialect, Failure, HttpAnswer, Options, installed_dialects
from tests.dialects.clients import MODEL, Seen, client
from tests.dialects.expected import BROKEN, HALF, WHOLE, WORDS, Expected, Sees, cases, check
from tests.dialects.player import Player

OPTIONS = Options(delay=0.15, gap=0.02)
PATIENT, HASTY = 60.0, 1.0
NAMES = sorted(installed_dialects())


def ask(player: Player, dialect: Dialect, failure: Failure | None, *, stream: bool) -> tuple[Seen, float]:
    """What a caller sees of that failure, and after how many seconds."""

    def handler(method: str, path: str, body: bytes) -> object:
        call = dialect.call(method, path, body)
        assert call is not None, f"{dialect.name} does not know its own client's request: {method} {path}"
        assert (call.model, call.stream) == (MODEL, stream)
        return dialect.answer(failure, call, OPTIONS) if failure else dialect.healthy(call)

    def guarded(method: str, path: str, body: bytes) -> HttpAnswer:
        try:
            return handler(method, path, body)  # type: ignore[return-value]
        except Exception as error:
            broken.append(error)
            raise

    broken: list[Exception] = []
    player.handler = guarded
    asked = client(dialect.name, player.url, HASTY if failure is Failure.STALL else PATIENT)
    seen = Seen()
    begun = time.monotonic()
    try:
        asked(stream, seen)
    except Exception as error:
        seen.error = error
    if broken:
        raise broken[0]
    return seen, time.monotonic() - begun


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", NAMES)
def test_a_client_reads_a_good_answer(player: Player, name: str, stream: bool) -> None:
    seen, _ = ask(player, installed_dialects()[name], None, stream=stream)
    check(seen, Sees(text=WHOLE, finish=WORDS[name].stop, usage=(12, 9)))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("name", "failure", "wanted"), cases("errors"))
def test_a_client_raises_what_it_raises_for_the_real_error(
    player: Player, name: str, failure: Failure, wanted: Expected, stream: bool
) -> None:
    seen, _ = ask(player, installed_dialects()[name], failure, stream=stream)
    check(seen, wanted)
    assert seen.text == ""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("name", "failure", "wanted"), cases("replies"))
def test_a_client_hands_on_an_answer_that_is_not_what_was_asked_for(
    player: Player, name: str, failure: Failure, wanted: Expected, stream: bool
) -> None:
    seen, _ = ask(player, installed_dialects()[name], failure, stream=stream)
    check(seen, wanted)


@pytest.mark.parametrize(("name", "failure", "wanted"), cases("bodies"))
def test_a_client_meets_a_broken_body(player: Player, name: str, failure: Failure, wanted: Expected) -> None:
    seen, _ = ask(player, installed_dialects()[name], failure, stream=False)
    check(seen, wanted)


@pytest.mark.parametrize(("name", "failure", "wanted"), cases("streams"))
def test_a_client_meets_a_broken_stream(player: Player, name: str, failure: Failure, wanted: Expected) -> None:
    seen, seconds = ask(player, installed_dialects()[name], failure, stream=True)
    check(seen, wanted)
    match failure:
        case Failure.SLOW_FIRST_TOKEN | Failure.ONE_GIANT_CHUNK:
            assert seconds >= OPTIONS.delay
        case Failure.SLOW_TOKENS:
            assert seconds >= OPTIONS.gap * len(seen.tokens)
        case Failure.STALL:
            assert seconds >= HASTY
    if failure in BROKEN and isinstance(wanted, str):
        assert seen.text + " in" == HALF


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_leave_out_nothing_that_a_dialect_offers(name: str) -> None:
    tables = ("errors", "replies", "bodies", "streams")
    covered = {failure for of in tables for case, failure, _ in cases(of) if case == name}
    dialect = installed_dialects()[name]
    assert covered == {failure for failure in Failure if dialect.offers(failure)}
