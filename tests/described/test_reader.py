"""A description is read as it was meant, and every mistake is told with its place and what is allowed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from brownout.api import ChatApi, JsonApi
from brownout.errors import InvalidInput
from brownout.fixtures.described.description import Description, Endpoint
from brownout.fixtures.described.reader import read_description
from brownout.fixtures.described.variables import filled
from brownout.target import BreakerGauge

BASE = """\
door: {url: http://127.0.0.1:8000/v1, token-env: APP_TOKEN, model: small}
services:
  app:
    start: uvicorn "app:app" --port 8000
    workdir: ..
    env: {OPENAI_BASE_URL: "{links.llm}/v1", CACHE_HOST: "{links.cache.host}", CACHE_PORT: "{links.cache.port}"}
    ready: http://127.0.0.1:8000/health
    within: 90s
    metrics: http://127.0.0.1:8000/metrics
    breakers: {metric: state, label: of, open: 1, half-open: 0.5}
  cache: {start: [valkey-server, --port, "6390"], ready: 127.0.0.1:6390}
  llm: {}
links:
  - {from: app, to: llm, listen: 127.0.0.1:9001, upstream: https://api.openai.com}
  - {from: app, to: cache, upstream: 127.0.0.1:6390}
questions:
  - What is it?
  - {text: Who is it?, facts: [Ada, "42"], id: who}
"""


def read(folder: Path, text: str = BASE) -> Description:
    path = folder / "chaos" / "target.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return read_description(path)


def test_everything_in_it_is_read(tmp_path: Path) -> None:
    found = read(tmp_path)

    assert (found.door.url, found.door.token_env) == ("http://127.0.0.1:8000", "APP_TOKEN")
    assert found.door.api == ChatApi(model="small", policy=False)
    app, cache, llm = found.parts
    assert app.start == ("uvicorn", "app:app", "--port", "8000")
    assert (app.workdir, app.within) == (tmp_path.resolve(), 90.0)
    assert (app.ready, app.metrics) == (Endpoint(url="http://127.0.0.1:8000/health"), "http://127.0.0.1:8000/metrics")
    assert (cache.start[-1], cache.ready) == ("6390", Endpoint(host="127.0.0.1", port=6390))
    assert (llm.start, llm.ready) == ((), None)
    to_llm, to_cache = found.wires
    assert (to_llm.listen, to_llm.upstream, to_llm.http, to_llm.tls) == (
        "127.0.0.1:9001",
        "api.openai.com:443",
        True,
        True,
    )
    assert (to_cache.listen, to_cache.http, to_cache.tls) == ("127.0.0.1:0", False, False)
    assert [(one.id, one.facts) for one in found.questions] == [("q1", ()), ("who", ("Ada", "42"))]
    assert found.source == BASE
    assert app.breakers == BreakerGauge("state", "of", {0.0: "closed", 1.0: "open", 0.5: "half-open"})
    assert cache.breakers is None


def test_a_service_starts_after_those_that_it_asks_even_where_they_ask_each_other(tmp_path: Path) -> None:
    there_and_back = "  - {from: cache, to: app, upstream: 127.0.0.1:8000}\nquestions:"

    assert [part.name for part in read(tmp_path).started] == ["cache", "app"]
    text = BASE.replace("questions:", there_and_back)
    assert sorted(part.name for part in read(tmp_path, text).started) == ["app", "cache"]


def test_questions_may_stand_in_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "chaos").mkdir()
    (tmp_path / "chaos" / "asked.yaml").write_text("- One?\n- Two?\n")

    found = read(tmp_path, BASE[: BASE.index("questions:")] + "questions: asked.yaml\n")

    assert [one.text for one in found.questions] == ["One?", "Two?"]


def test_a_door_of_another_api_is_read(tmp_path: Path) -> None:
    request = "{path: /ask, body: {q: '{question}', k: 3}, answer: out.0.text, stream: sse, headers: {X-Api-Key: k3y}}"
    door = f"door:\n  url: http://127.0.0.1:8000\n  request: {request}\n"

    found = read(tmp_path, door + BASE[BASE.index("services:") :])

    assert found.door.api == JsonApi(
        "/ask", ("out", "0", "text"), "POST", {"q": "{question}", "k": 3}, "sse", {"X-Api-Key": "k3y"}
    )
    assert "k3y" not in found.source
    assert found.secrets == ("k3y",)


def test_what_looks_like_a_secret_is_in_no_copy(tmp_path: Path) -> None:
    secrets = (
        'MAX_TOKENS: 100, API_KEY: sk-1234, DB_PASSWORD: "pass word", A_TOKEN: "{env.A_TOKEN}", LOG: sk-1234-not, '
    )
    text = BASE.replace("env: {OPENAI_BASE_URL", f"env: {{{secrets}OPENAI_BASE_URL")

    found = read(tmp_path, text)

    assert found.source == text.replace("sk-1234,", "…,").replace("pass word", "…")
    assert found.secrets == ("sk-1234", "pass word")
    assert "sk-1234" not in repr(found)
    env = BASE[BASE.index("    env: ") : BASE.index("    ready: http")]
    block = BASE.replace(env, "    env:\n      PRIVATE_KEY: |\n        first line\n        second line\n")
    kept = read(tmp_path, block).source
    assert "first line" not in kept
    assert "second line" not in kept


def test_variables_are_filled_with_where_the_links_are_and_with_the_environment(tmp_path: Path) -> None:
    found = read(tmp_path)
    wires = {wire.destination: wire for wire in found.wires}
    listening = {"llm": "127.0.0.1:9001", "cache": "127.0.0.1:4000"}

    def put(value: str) -> str:
        return filled(value, wires, listening, {"NAME": "ada"})

    assert put("{links.llm}/v1") == "http://127.0.0.1:9001/v1"
    assert put("redis://{env.NAME}@{links.cache}/0") == "redis://ada@127.0.0.1:4000/0"
    assert put("{links.cache.host} {links.cache.port}") == "127.0.0.1 4000"
    assert put('{"a": {"b": 1}} {other.llm}') == '{"a": {"b": 1}} {other.llm}'
    with pytest.raises(KeyError, match="AWAY"):
        put("{env.AWAY}")


@dataclass(frozen=True)
class Case:
    """`old` in the good description becomes `new`; the error stands at `at` and says all of `says`."""

    old: str
    new: str
    at: str
    says: tuple[str, ...]


def case(name: str, old: str, new: str, at: str, *says: str) -> Any:
    return pytest.param(Case(old, new, at, says), id=name)


DOOR = "door: {url: http://127.0.0.1:8000/v1, token-env: APP_TOKEN, model: small}"
LLM = "{from: app, to: llm, listen: 127.0.0.1:9001, upstream: https://api.openai.com}"
CACHE = "{from: app, to: cache, upstream: 127.0.0.1:6390}"
START = '    start: uvicorn "app:app" --port 8000\n'
QUESTIONS = BASE[BASE.index("questions:") :]
LINKS = BASE[BASE.index("links:") : BASE.index("questions:")]
CASES = [
    case("no mapping", BASE, "- a list\n", "1:1", "expected a mapping"),
    case("an unknown key", "services:", "servces: {}\nservices:", "2:1", "did you mean 'services'?"),
    case("no door", DOOR + "\n", "", "1:1", "'door' is missing"),
    case("no links", LINKS, "", "1:1", "'links' is missing"),
    case("no questions", QUESTIONS, "", "1:1", "'questions' is missing"),
    case("a door without url", "url: http://127.0.0.1:8000/v1, ", "", "1:1", "door: 'url' is missing"),
    case("an unknown key of the door", "token-env:", "token:", "1:39", "'token'", "did you mean 'token-env'?"),
    case("a token in place of its variable", "APP_TOKEN", "sk-a.b", "1:50", "name of an environment variable"),
    case("a door that is no url", "http://127.0.0.1:8000/v1", "127.0.0.1:8000", "1:13", "expected a URL"),
    case("a door with a bad port", "127.0.0.1:8000/v1", "127.0.0.1:99999/v1", "1:13", "expected a URL"),
    case("a door with a user", "http://127", "http://me:secret@127", "1:13", "no user and no password"),
    case("a request without path", DOOR, "door: {url: http://h, request: {answer: a}}", "1:23", "'path' is missing"),
    case(
        "a request without question",
        DOOR,
        "door: {url: http://h, request: {path: /a, answer: a, body: {q: {}}}}",
        "1:23",
        "{question} stands neither",
    ),
    case(
        "a request without answer",
        DOOR,
        "door: {url: http://h, request: {path: '/{question}'}}",
        "1:23",
        "'answer' is missing",
    ),
    case(
        "a stream of no kind",
        DOOR,
        "door: {url: http://h, request: {path: '/{question}', answer: a, stream: see}}",
        "1:73",
        "did you mean 'sse'?",
    ),
    case(
        "a link in a header",
        DOOR,
        "door: {url: http://h, request: {path: '/{question}', answer: a, headers: {X-To: '{links.llm}'}}}",
        "1:81",
        "the door has no link to 'llm'",
    ),
    case(
        "a model beside a request",
        DOOR,
        "door: {url: http://h, model: m, request: {path: '/{question}', answer: a}}",
        "1:23",
        "belongs into the body",
    ),
    case(
        "services of another kind",
        BASE[BASE.index("services:") : BASE.index("links:")],
        "services: [app]\n",
        "2:11",
        "expected a mapping",
    ),
    case("a name that is none", "  llm: {}", "  llm!: {}", "12:3", "'llm!' is no name for a service"),
    case("a name that is taken", "  llm: {}", "  llm: {}\n  fault-proxy: {}", "13:3", "is taken"),
    case("an unknown key of a service", "    within:", "    witin:", "8:5", "did you mean 'within'?"),
    case("a span without unit", "within: 90s", "within: 90", "8:13", "within: got 90"),
    case("a command with an open quote", '"app:app"', '"app:app', "4:12", "no closing quotation"),
    case("a command without words", '[valkey-server, --port, "6390"]', "[]", "11:18", "expected a command"),
    case("a word that is none", '--port, "6390"]', "--port, []]", "11:18", "expected a command"),
    case("an upstream without a port", "upstream: 127.0.0.1:6390", "upstream: 127.0.0.1:0", "15:38", "HOST:PORT"),
    case(
        "breakers without metrics",
        "    metrics: http://127.0.0.1:8000/metrics\n",
        "",
        "9:5",
        "by the service's 'metrics'",
    ),
    case("breakers without a label", ", label: of", "", "10:5", "'label' is missing"),
    case("breakers of one state twice", "half-open: 0.5", "half-open: 1", "10:48", "1 is half-open already"),
    case("a folder that is none", "workdir: ..", "workdir: ../away", "5:14", "away is no folder"),
    case("an env without start", START, "", "5:5", "env: says nothing for a service without 'start'"),
    case("a link that is none", "{links.llm}", "{links.lm}", "6:28", "app has no link to 'lm'", "did you mean 'llm'?"),
    case("a variable that is none", "{links.llm}", "{env.A B}", "6:28", "'A B' is no name of a variable"),
    case("an env of another kind", '{links.llm}/v1"', '"\n    , MORE: [1]', "7:13", "MORE: got a list"),
    case("a readiness that is none", "ready: 127.0.0.1:6390", "ready: '6390'", "11:58", "expected HOST:PORT"),
    case("links of another kind", LINKS, "links: {}\n", "13:8", "expected a list of links"),
    case("no link at all", LINKS, "links: []\n", "13:8", "expected one at least"),
    case("an unknown key of a link", "listen:", "lisen:", "14:26", "did you mean 'listen'?"),
    case(
        "a link from nobody",
        "from: app, to: llm",
        "from: ap, to: llm",
        "14:12",
        "no service 'ap'",
        "did you mean 'app'?",
    ),
    case("a link to nobody", "to: llm", "to: lm", "14:21", "no service 'lm'", "did you mean 'llm'?"),
    case("a link without source", "from: app, to: llm", "to: llm", "14:5", "'from' is missing"),
    case("a link to itself", "to: cache,", "to: app,", "15:5", "not to app itself"),
    case("the same link twice", CACHE, LLM.replace("9001", "9002"), "15:5", "a second link from app to llm"),
    case("a link without upstream", ", upstream: 127.0.0.1:6390", "", "15:5", "'upstream' is missing"),
    case("an upstream with a path", "openai.com", "openai.com/v1", "14:60", "without a path"),
    case("an upstream that is none", "upstream: 127.0.0.1:6390", "upstream: cache", "15:38", "expected HOST:PORT"),
    case("an upstream of another scheme", "https://api", "ftp://api", "14:60", "expected a URL"),
    case("an upstream with a password", "https://api", "https://a:b@api", "14:60", "no user and no password"),
    case(
        "a port that is taken",
        CACHE,
        CACHE.replace("upstream", "listen: 127.0.0.1:9001, upstream"),
        "15:5",
        "another link",
    ),
    case(
        "a link to where it listens",
        CACHE,
        CACHE.replace("upstream", "listen: 127.0.0.1:6390, upstream"),
        "15:62",
        "itself listens",
    ),
    case("no questions in a list", QUESTIONS, "questions: []\n", "16:12", "expected one at least"),
    case("a question file that is not there", QUESTIONS, "questions: away.yaml\n", "16:12", "no such file"),
    case("a question without text", "{text: Who is it?, facts", "{facts", "18:5", "'text' is missing"),
    case("a question of two ids", "What is it?", "{text: What?, id: who}", "18:5", "another question"),
    case("an unknown key of a question", "facts:", "fact:", "18:24", "did you mean 'facts'?"),
    case("a question that is a number", "What is it?", "42", "17:5", "expected text"),
]


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_with_its_place(case: Case, tmp_path: Path) -> None:
    assert case.old in BASE

    with pytest.raises(InvalidInput) as found:
        read(tmp_path, BASE.replace(case.old, case.new, 1))

    lines = str(found.value).splitlines()
    told = next((line for line in lines if f"target.yaml:{case.at}: " in line), None)
    assert told is not None, lines
    for text in case.says:
        assert text in told


def test_whoever_is_started_by_somebody_else_must_be_told_where_its_link_is(tmp_path: Path) -> None:
    text = BASE.replace(BASE[BASE.index("    start: uvicorn") : BASE.index("    ready: http")], "").replace(
        "listen: 127.0.0.1:9001, ", ""
    )

    with pytest.raises(InvalidInput, match=r"'listen' is missing: app has no 'start'"):
        read(tmp_path, text)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as found:
        read(tmp_path, BASE.replace("to: llm", "to: lm").replace("90s", "ninety").replace("APP_TOKEN", "a-b"))

    assert len(str(found.value).splitlines()) >= 3
