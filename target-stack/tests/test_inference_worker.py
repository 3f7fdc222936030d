"""The worker as a real process: its surface, its cold start, and what it does when memory is really refused."""

import contextlib
import json
import os
import resource
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from harness import Process, Stack, metric, wait_until

pytestmark = pytest.mark.process

QUESTION = "What is a widget?"
WORDS = 300
LONG = f"A widget {' '.join(f'word{n}' for n in range(WORDS - 3))} end."
"""One sentence of so many words, which the model repeats whole."""
MIB = 2**20
QUICK = {
    "inference.load-time": 0,
    "inference.memory": "host",
    "inference.dead-linger": 0.5,
    "inference.step-time": 0.001,
    "inference.prefill-time": 0,
}
# One block of 16 tokens is 1 MiB, so that memory runs out where the cache grows and not where Python does.
HUNGRY = QUICK | {"inference.kv-bytes-per-token": 65536}


class Worker:
    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.pid = process.popen.pid
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def body(self, document: str = "", **more: Any) -> dict[str, Any]:
        system = f'<document id="d" title="t">{document}</document>' if document else "Be brief."
        messages = [{"role": "system", "content": system}, {"role": "user", "content": QUESTION}]
        return {"model": "atlas-large", "messages": messages, **more}

    def ask(self, document: str = "", **more: Any) -> httpx.Response:
        return self.http.post("/v1/chat/completions", json=self.body(document, **more))

    def text(self, document: str = "") -> str:
        response = self.ask(document)
        assert response.status_code == 200, response.text
        return str(response.json()["choices"][0]["message"]["content"])

    def lines(self, document: str = "", begun: threading.Event | None = None) -> list[str]:
        """The events of a stream; `begun` is set at the first of them."""
        lines = []
        body = self.body(document, stream=True)
        with self.http.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200
            for line in response.iter_lines():
                if begun:
                    begun.set()
                if line:
                    lines.append(line.removeprefix("data: "))
        return lines

    def count(self, name: str, extra: str = "") -> float:
        labels = ",".join(filter(None, ('engine="0"', extra, 'model_name="atlas-large"')))
        return metric(self.http, f"{name}{{{labels}}}")

    def health(self) -> int:
        return self.http.get("/health").status_code

    @contextlib.contextmanager
    def capped(self, headroom: int) -> Iterator[None]:
        """Under a limit on its address space, so many bytes above what it has now."""
        size = int(Path(f"/proc/{self.pid}/statm").read_text().split()[0]) * resource.getpagesize()
        soft, hard = resource.prlimit(self.pid, resource.RLIMIT_AS)
        resource.prlimit(self.pid, resource.RLIMIT_AS, (size + headroom, hard))
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(self.pid, resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def worker(stack: Stack, settings: dict[str, Any] | None = None, *, ready: bool = True) -> Iterator[Worker]:
    process, port = stack.role("inference", STACK_SETTINGS=json.dumps(QUICK | (settings or {})))
    one = Worker(process, port)

    def answers() -> bool:
        try:
            return one.health() == 200 or not ready
        except httpx.TransportError:
            return False

    wait_until(answers, "the worker answers")
    try:
        yield one
    finally:
        one.http.close()
        process.stop()


@pytest.fixture(scope="module")
def idle(stack: Stack) -> Iterator[Worker]:
    with worker(stack) as one:
        yield one


def test_the_official_client_reads_its_answers_whole_and_as_a_stream(idle: Worker) -> None:
    client = openai.OpenAI(base_url=f"{idle.url}/v1", api_key="none", max_retries=0)
    asked = idle.body(LONG)
    with client:
        assert [model.id for model in client.models.list()] == ["atlas-large"]
        whole = client.chat.completions.create(**asked)
        assert whole.choices[0].message.content == f"{LONG} [d]"
        assert whole.choices[0].finish_reason == "stop"
        assert whole.usage is not None
        assert whole.usage.completion_tokens == WORDS + 1
        chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        assert chunks[0].choices[0].delta.role == "assistant"
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == f"{LONG} [d]"
        assert chunks[-1].usage == whole.usage
        cut = client.chat.completions.create(**asked, max_tokens=5).choices[0]
        assert (cut.finish_reason, cut.message.content) == ("length", " ".join(LONG.split()[:5]))


def test_the_official_client_raises_what_it_raises_for_vllm(idle: Worker) -> None:
    client = openai.OpenAI(base_url=f"{idle.url}/v1", api_key="none", max_retries=0)
    with client:
        with pytest.raises(openai.BadRequestError, match=r"context length is 4096 tokens\. However, you requested"):
            client.chat.completions.create(**idle.body(), max_tokens=4096)
        with pytest.raises(openai.BadRequestError, match=r"maximum context length"):
            client.chat.completions.create(**idle.body("word " * 5000))
        with pytest.raises(openai.NotFoundError, match="`gpt` does not exist"):
            client.chat.completions.create(**(idle.body() | {"model": "gpt"}))
        with pytest.raises(openai.BadRequestError, match="at least 1"):
            client.chat.completions.create(**idle.body(), max_tokens=0)


def test_an_answer_ends_where_the_context_does(stack: Stack) -> None:
    with worker(stack, {"inference.max-model-len": 400}) as one:
        choice = one.ask(LONG).json()["choices"][0]
        assert choice["finish_reason"] == "length"
        assert LONG.startswith(choice["message"]["content"])


def test_metrics_stand_under_vllms_names(idle: Worker) -> None:
    before = idle.count("vllm:generation_tokens_total")
    idle.ask(LONG)
    assert idle.count("vllm:generation_tokens_total") == before + WORDS + 1
    page = idle.http.get("/metrics").text
    for name in (
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:kv_cache_usage_perc",
        "vllm:num_preemptions_total",
        "vllm:prompt_tokens_total",
        "vllm:time_to_first_token_seconds_bucket",
        "vllm:inter_token_latency_seconds_bucket",
        "vllm:e2e_request_latency_seconds_bucket",
        "vllm:request_queue_time_seconds_bucket",
        "vllm:request_success_total",
        "vllm:cache_config_info",
    ):
        assert f"\n{name}{{" in page, name


def test_an_idle_worker_takes_no_cpu_and_little_memory(stack: Stack) -> None:
    with worker(stack) as one:
        one.ask(LONG)
        one.ask("warm", stream=True)

        def ticks() -> int:
            fields = Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        def used() -> float:
            before = ticks()
            threading.Event().wait(1)
            return (ticks() - before) / os.sysconf("SC_CLK_TCK")

        # What it still has to clean up is not what it takes when idle.
        assert any(used() <= 0.02 for _ in range(5))
        resident = int(Path(f"/proc/{one.pid}/statm").read_text().split()[1]) * resource.getpagesize()
        assert resident < 60 * MIB
        assert one.count("inference_kv_memory_bytes") == 0


def test_a_cold_worker_is_alive_but_not_ready_until_the_model_is_loaded(stack: Stack) -> None:
    with worker(stack, {"inference.load-time": 2.0}, ready=False) as one:
        assert one.health() == 503
        assert one.http.get("/health/live").status_code == 200
        cold = one.ask()
        assert (cold.status_code, cold.json()["error"]["code"]) == (503, 503)
        assert "error_source" not in cold.json()["error"], "whoever sent a request here made a mistake that counts"
        wait_until(lambda: one.health() == 200, "the model is loaded")
        assert one.http.get("/health/ready").status_code == 200
        assert one.ask().status_code == 200


def test_a_client_who_leaves_ends_the_work_for_it(stack: Stack) -> None:
    with worker(
        stack, {"inference.step-time": 0.05, "inference.max-num-seqs": 1, "inference.backpressure": False}
    ) as one:
        with one.http.stream("POST", "/v1/chat/completions", json=one.body(LONG, stream=True)) as response:
            events = response.iter_raw()  # one that nobody holds closes the connection
            next(events)
            with pytest.raises(httpx.ReadTimeout):
                one.http.post("/v1/chat/completions", json=one.body(LONG), timeout=1.0)
            aborted = 'finished_reason="abort"'
            wait_until(lambda: one.count("vllm:request_success_total", aborted) == 1, "the one that waited is gone")
            assert one.count("vllm:num_requests_running") == 1
        wait_until(lambda: one.count("vllm:request_success_total", aborted) == 2, "the one that ran is gone")
        assert (one.count("vllm:num_requests_running"), one.count("vllm:num_requests_waiting")) == (0, 0)


def test_a_worker_that_is_nearly_full_pushes_back_and_says_whose_doing_that_is(stack: Stack) -> None:
    slow = {"inference.step-time": 0.01, "inference.max-num-seqs": 2}
    with worker(stack, slow) as one, ThreadPoolExecutor() as crowd:
        begun = [threading.Event(), threading.Event()]
        streams = [crowd.submit(one.lines, LONG, event) for event in begun]
        assert all(event.wait(60) for event in begun)
        refused = one.ask()
        assert refused.status_code == 503
        assert refused.headers["x-backpressure-level"] == "HIGH"
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["error_source"] == "own_system"
        assert one.count("inference_backpressure_total") == 1
        for stream in streams:
            assert stream.result()[-1] == "[DONE]"
        assert one.ask().status_code == 200


def test_without_backpressure_requests_queue(stack: Stack) -> None:
    with (
        worker(stack, {"inference.max-num-seqs": 2, "inference.backpressure": False}) as one,
        ThreadPoolExecutor(8) as crowd,
    ):
        expected = one.text(LONG)
        assert [job.result() for job in [crowd.submit(one.text, LONG) for _ in range(8)]] == [expected] * 8


def test_a_full_cache_preempts_and_every_answer_is_whole(stack: Stack) -> None:
    # Two prompts of 19 blocks fit into 48, but not two prompts with their answers.
    small = {"inference.kv-blocks": 48, "inference.max-model-len": 700, "inference.backpressure": False}
    with worker(stack, small) as one, ThreadPoolExecutor(4) as crowd:
        expected = one.text(LONG)
        assert [job.result() for job in [crowd.submit(one.text, LONG) for _ in range(4)]] == [expected] * 4
        assert one.count("vllm:num_preemptions_total") > 0
        assert one.count("inference_out_of_memory_total") == 0
        assert one.count("vllm:kv_cache_usage_perc") == 0


def test_out_of_memory_rejects_what_needs_it_and_serves_the_rest(stack: Stack) -> None:
    with worker(stack, HUNGRY | {"inference.on-oom": "reject"}) as one:
        expected = one.text(LONG)
        with one.capped(8 * MIB):
            for _ in range(3):
                refused = one.ask(LONG)
                assert (refused.status_code, refused.json()["error"]["type"]) == (503, "ServiceUnavailableError")
                assert refused.json()["error"]["message"].startswith("Out of memory")
                assert one.ask().status_code == 200
                assert one.health() == 200
        assert one.text(LONG) == expected
        assert one.count("inference_out_of_memory_total") == 3


def test_out_of_memory_half_way_ends_a_stream_with_a_marked_error(stack: Stack) -> None:
    with worker(stack, HUNGRY | {"inference.on-oom": "reject", "inference.step-time": 0.01}) as one:
        begun = threading.Event()
        with ThreadPoolExecutor() as crowd:
            stream = crowd.submit(one.lines, LONG, begun)
            assert begun.wait(60)
            with one.capped(2 * MIB):
                *_, error, done = stream.result()
        assert json.loads(error)["error"]["code"] == 503
        assert done == "[DONE]"


def test_out_of_memory_preempts_until_there_is_enough_and_no_answer_is_lost(stack: Stack) -> None:
    with worker(stack, HUNGRY | {"inference.step-time": 0.008}) as one, ThreadPoolExecutor() as crowd:
        expected = one.lines(LONG)
        begun = [threading.Event(), threading.Event()]
        streams = [crowd.submit(one.lines, LONG, event) for event in begun]
        assert all(event.wait(60) for event in begun)
        with one.capped(4 * MIB):
            for stream in streams:
                assert contents(stream.result()) == contents(expected)
        assert one.count("vllm:num_preemptions_total") > 0
        assert one.count("inference_out_of_memory_total") > 0
        assert one.health() == 200


def test_out_of_memory_holds_admission_until_memory_is_back(stack: Stack) -> None:
    with worker(stack, HUNGRY) as one, ThreadPoolExecutor() as crowd:
        expected = one.text(LONG)
        with one.capped(8 * MIB):
            waiting = crowd.submit(one.text, LONG)
            wait_until(lambda: one.count("inference_out_of_memory_total") > 0, "memory is refused")
            assert one.count("vllm:num_requests_waiting") == 1
            assert not waiting.done()
        assert waiting.result() == expected


def test_out_of_memory_kills_the_engine_while_the_process_answers_until_it_exits(stack: Stack) -> None:
    settings = HUNGRY | {"inference.on-oom": "die", "inference.step-time": 0.02, "inference.dead-linger": 3}
    with worker(stack, settings) as one, ThreadPoolExecutor() as crowd:
        begun = threading.Event()
        running = crowd.submit(one.lines, "A widget is small.", begun)
        assert begun.wait(60)
        with one.capped(8 * MIB):
            died = one.ask(LONG)
        assert died.status_code == 500
        assert died.json()["error"]["message"].startswith("EngineCore encountered an issue")
        *_, error, done = running.result()
        assert (json.loads(error)["error"]["code"], done) == (500, "[DONE]")
        assert (one.health(), one.http.get("/health/live").status_code) == (500, 500)
        assert one.ask().status_code == 500, "memory is back, the engine is not"
        assert one.process.popen.wait(60) == 1
        assert "engine died" in [json.loads(line)["event"] for line in one.process.log.read_text().splitlines()]
        assert "widget" not in one.process.log.read_text()


CGROUP = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def memory_cgroup() -> Iterator[Path]:
    group = CGROUP / f"target-stack-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup v1 for memory can be made here: {error}")
    try:
        yield group
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text().strip(), "the group is empty")
        group.rmdir()


def test_under_a_cgroups_limit_the_kernel_kills_it(stack: Stack, memory_cgroup: Path) -> None:
    with worker(stack, HUNGRY) as one:
        one.text(LONG)
        (memory_cgroup / "cgroup.procs").write_text(str(one.pid))
        (memory_cgroup / "memory.limit_in_bytes").write_text(str(12 * MIB))
        with pytest.raises(httpx.TransportError):
            one.ask(LONG)
        assert one.process.popen.wait(60) == -signal.SIGKILL


def test_a_cache_that_cannot_hold_one_request_is_refused_at_the_start(stack: Stack) -> None:
    process, _ = stack.role("inference", STACK_SETTINGS=json.dumps({"inference.kv-blocks": 10}))
    assert process.popen.wait(60) == 2
    assert "4096 tokens do not fit into 10 blocks of 16" in process.log.read_text()


def contents(lines: list[str]) -> str:
    chunks = [json.loads(line) for line in lines if line != "[DONE]"]
    assert not any("error" in chunk for chunk in chunks)
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
