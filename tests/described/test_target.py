"""A described system as real processes: brought up, broken, healed, proved and taken down."""

import asyncio
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import trustme

from brownout.api import JsonApi
from brownout.breakage import Kill, LinkPlace, ProviderFailure, Reset, ServicePlace
from brownout.errors import EnvironmentProblem, FaultError, InvalidInput
from brownout.fixtures.described import Described
from brownout.fixtures.described.target import DescribedTarget
from brownout.target import LinkCounters, TargetOptions
from tests.described.system import System, system_in

pytestmark = pytest.mark.process
LINK = LinkPlace("app", "llm")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    monkeypatch.setenv("TOLD", "by the environment")
    return system_in(tmp_path / "system")


def with_target(system: System, play: Callable[[DescribedTarget], Awaitable[None]]) -> list[str]:
    """Play it with the system up; what was said while it came up."""
    said: list[str] = []

    async def work() -> None:
        target = Described().of(system.description)()
        logs = system.folder / "logs"
        logs.mkdir(exist_ok=True)
        try:
            await target.up(TargetOptions(seed=1, scale=0.1, workdir=logs), said.append)
            await play(target)
        finally:
            await target.down()
        await target.down()

    asyncio.run(work())
    return said


def refusal(system: System) -> str:
    async def play(_: DescribedTarget) -> None:
        pytest.fail("it came up")

    with pytest.raises(EnvironmentProblem) as found:
        with_target(system, play)
    assert system.listening() == []
    return str(found.value)


async def status(target: DescribedTarget) -> int:
    """What one question is answered with."""
    body = {"model": "any", "messages": [{"role": "user", "content": "why?"}]}
    async with httpx.AsyncClient(trust_env=False, timeout=20.0) as client:
        return (await client.post(f"{target.door().url}/v1/chat/completions", json=body)).status_code


async def counted(target: DescribedTarget) -> LinkCounters:
    (counters,) = await target.counters()
    return counters


def test_its_services_run_with_what_they_are_told_and_nothing_is_left_of_them(system: System) -> None:
    async def play(target: DescribedTarget) -> None:
        before = await counted(target)
        assert await status(target) == 200
        after = await counted(target)
        assert (after.link, after.requests - before.requests) == (("app", "llm"), 1)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(target.door().url)).json()["sees"] == "by the environment"
        assert [(one.name, one.ready) for one in await target.services()] == [("llm", True), ("app", True)]
        assert len(system.listening()) == 2

    said = with_target(system, play)

    assert said == ["making the links", "starting llm", "starting app", "asking a first question"]
    assert system.listening() == []


def test_an_app_that_is_not_told_where_its_link_is_is_pointed_out(system: System) -> None:
    system.describe("OPENAI_BASE_URL", "OPENAI_BASE_ULR")

    said = with_target(system, lambda _: asyncio.sleep(0))

    assert said[-1] == "nothing of it went over app → llm: is its source told where the link is?"


def test_its_links_and_services_are_broken_proved_and_healed(system: System) -> None:
    async def play(target: DescribedTarget) -> None:
        for lease, breakage in (("one", Reset()), ("two", ProviderFailure(provider="openai", failure="server_error"))):
            await target.inject(LINK, breakage, lease=lease, ttl=30.0)
            await target.renew(lease, ttl=30.0)
            assert await status(target) == 502
            proof = await target.prove(LINK, breakage, lease=lease)
            assert proof.works, proof
            await target.heal(LINK, breakage, lease=lease)
            assert await status(target) == 200
        app = ServicePlace("app")
        (_, before) = await target.services()
        await target.inject(app, Kill(), lease="three", ttl=30.0)
        async with asyncio.timeout(60.0):
            while not (now := (await target.services())[1]).ready or now.pid == before.pid:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await target.prove(app, Kill(), lease="three")).works
        await target.heal(app, Kill(), lease="three")
        assert await status(target) == 200

    with_target(system, play)


def test_what_does_not_come_up_is_told_with_the_reason_and_leaves_nothing(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOLD")
    assert "the env of app: the environment variable TOLD is not set" in refusal(system)

    monkeypatch.setenv("TOLD", "")
    system.describe("tiny_app.py " + str(system.app), "tiny_app.py no-port")
    assert "app did not start: it exited with status 1" in (told := refusal(system))
    assert "ValueError: invalid literal for int()" in told
    monkeypatch.setenv("SOME_API_KEY", "no-port-really")
    system.describe("tiny_app.py " + str(system.app), "tiny_app.py no-port-really")
    assert "no-port-really" not in refusal(system)

    system.describe(f"url: http://127.0.0.1:{system.app}", f"url: http://127.0.0.1:{system.app}/elsewhere")
    assert "was not answered: 404" in (told := refusal(system))
    assert "does the door speak the API" in told

    system.describe("}\nservices", ", token-env: NOT_SET_HERE}\nservices")
    assert "NOT_SET_HERE is not set, which door.token-env names" in refusal(system)


def test_a_service_that_runs_already_is_waited_for_and_never_started(system: System) -> None:
    text = system.description.read_text()
    app = text[text.index("    start: ") : text.index("    ready: ")]
    system.describe(app, "    within: 500ms\n")
    system.description.write_text(
        system.description.read_text().replace("to: llm,", "to: llm, listen: 127.0.0.1:19017,")
    )

    assert "app is not ready at" in (told := refusal(system))
    assert "is it running?" in told


def test_the_ports_of_a_described_system_are_its_own(system: System) -> None:
    async def work() -> None:
        target = Described().of(system.description)()
        with pytest.raises(InvalidInput, match="--port"):
            await target.up(TargetOptions(seed=1, scale=1.0, ports={"app": 1}, workdir=system.folder), lambda _: None)

    asyncio.run(work())


def test_an_app_that_runs_already_is_broken_by_its_links_alone_and_outlives_the_run(system: System) -> None:
    text = system.description.read_text()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    system.describe(text[text.index("    start: ") : text.index("    ready: ")], "")
    attached = system.description.read_text().replace("to: llm,", f"to: llm, listen: {listen},")
    system.description.write_text(attached)

    async def play(target: DescribedTarget) -> None:
        assert [one.name for one in await target.services()] == ["llm"]
        await target.inject(LINK, Reset(), lease="one", ttl=30.0)
        assert await status(target) == 502
        with pytest.raises(FaultError, match="the target has no service app"):
            await target.inject(ServicePlace("app"), Kill(), lease="two", ttl=30.0)
        await target.heal(LINK, Reset(), lease="one")
        assert await status(target) == 200

    own = {**os.environ, "OPENAI_BASE_URL": f"http://{listen}/v1"}
    with subprocess.Popen([sys.executable, str(system.folder / "tiny_app.py"), str(system.app)], env=own) as app:
        try:
            with_target(system, play)
            assert app.poll() is None
            assert system.listening() == [system.app]
        finally:
            app.terminate()


def test_what_answers_in_a_services_place_is_not_taken_for_it(system: System) -> None:
    argv = [sys.executable, str(system.folder / "tiny_app.py"), str(system.app)]
    with subprocess.Popen(argv) as other:
        try:
            while not system.listening():
                assert other.poll() is None
            with pytest.raises(EnvironmentProblem, match="already, before app is started; end it"):
                with_target(system, lambda _: asyncio.sleep(0))
        finally:
            other.terminate()


def test_a_provider_behind_https_is_reached_by_an_app_that_speaks_plain_http(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(side)
    hosts: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        hosts.extend(re.findall(rb"host: (.*)\r\n", head))
        await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head)[0]))
        body = b'{"choices": [{"message": {"content": "Paris."}}]}'
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=side)
        port = server.sockets[0].getsockname()[1]
        text = system.description.read_text()
        llm = text[text.index("  llm: {") : text.index("links:")]
        text = text.replace(llm, "  llm: {}\n").replace(f"http://127.0.0.1:{system.llm}", f"https://localhost:{port}")
        system.description.write_text(text)
        target = Described().of(system.description)()
        async with server:
            await target.up(TargetOptions(seed=1, scale=1.0, workdir=tmp_path), lambda _: None)
            try:
                assert await status(target) == 200
                assert set(hosts) == {b"localhost:%d" % port}
            finally:
                await target.down()

    asyncio.run(work())


def test_a_door_of_another_api_is_asked_with_the_headers_of_the_environment(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "open-sesame")
    request = (
        "{path: /v1/chat/completions, body: {q: '{question}'}, answer: choices.0.message.content, "
        "headers: {X-Key: '{env.SHOP_KEY}'}}"
    )
    door = f"door: {{url: http://127.0.0.1:{system.app}}}"
    system.describe(door, f"{door[:-1]}, request: {request}}}")

    async def play(target: DescribedTarget) -> None:
        api = target.door().api
        assert isinstance(api, JsonApi)
        assert api.headers == {"X-Key": "open-sesame"}
        assert "open-sesame" not in repr(target.door())

    with_target(system, play)
    monkeypatch.delenv("SHOP_KEY")
    assert "the headers of the door: the environment variable SHOP_KEY is not set" in refusal(system)
