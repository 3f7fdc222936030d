"""What `chaos target init` writes: a description of the user's system, questions for it, and a first experiment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from brownout.errors import InvalidInput

LISTEN = "127.0.0.1:9001"
"""Where the link to the provider of a system that runs already listens."""
DESCRIPTION, QUESTIONS, EXPERIMENT = "target.yaml", "questions.yaml", "llm_outage.yaml"
RATE, DURATION = 4, 36
"""Of the first experiment: questions per second, and seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is known of the system."""

    app: str
    """URL of its front door."""
    llm: str
    """Base URL of its LLM provider."""
    llm_env: str
    """The environment variable that tells it that URL."""
    start: str | None = None
    """How it is started; None where it runs already."""
    workdir: str = ".."
    """Where it is started, relative to the description."""
    model: str | None = None
    """What questions name as their model."""
    token_env: str | None = None
    """The variable that holds what its door wants as a bearer token."""


def files_for(answers: Answers) -> Mapping[str, str]:
    """The files by their names. Raises `InvalidInput` where a URL is none."""
    return {DESCRIPTION: _description(answers), QUESTIONS: _QUESTIONS, EXPERIMENT: _EXPERIMENT}


def base_url(answers: Answers) -> str:
    """Where a system that runs already has to be told that its provider is."""
    return f"http://{LISTEN}{_provider(answers)[1]}"


def _description(answers: Answers) -> str:
    app = _split("--app", answers.app)
    upstream, path = _provider(answers)
    port = app.port or (443 if app.scheme == "https" else 80)
    door = [f"  url: {_quoted(answers.app)}"]
    door += [f"  model: {_quoted(answers.model)}"] if answers.model else []
    door += [f"  token-env: {_quoted(answers.token_env)}"] if answers.token_env else []
    link = f"from: app, to: llm, upstream: {_quoted(upstream)}"
    service = [f"    ready: {app.hostname}:{port}  # or a URL that says 200 once it is"]
    if answers.start is None:
        link += f", listen: {LISTEN}"
        service = [f"    # It runs already; for a run, its {answers.llm_env} must be {base_url(answers)}", *service]
    else:
        told = _quoted("{links.llm}" + path)
        own = [f"    start: {_quoted(answers.start)}", f"    workdir: {_quoted(answers.workdir)}"]
        service = [*own, f"    env: {{{answers.llm_env}: {told}}}", *service]
    lines = [
        "# What can be broken: services, and the links between them. See docs/your-own-stack.md of Brownout.",
        "door:",
        *door,
        "services:",
        "  app:",
        *service,
        "  llm: {}  # somebody else's: only the link to it is broken",
        "links:",
        f"  - {{{link}}}",
        f"questions: {QUESTIONS}",
    ]
    return "\n".join(lines) + "\n"


_QUESTIONS = """\
# What the load asks, each as often as the others. Better: what your own users ask.
# `facts` are what a right answer says word for word; with them, `quality: {faithfulness: 90%}` can be asked for.
- What can you help me with?
- How do I get started?
- {text: What is two plus two? Answer with the number alone., facts: ["4"]}
"""
_EXPERIMENT = f"""\
title: The app keeps answering while its LLM provider is out
hypothesis: Nobody waits for long, and nobody gets nothing, because the provider does not answer.
target: {DESCRIPTION}
load: {{rate: {RATE}/s, arrivals: constant, timeout: 10s}}
steady-state:
  - availability: {{at-least: 99%}}
method:
  - provider_outage: {{from: app, to: llm, manner: timeout}}
    at: 10s
    for: 10s
expect:
  during:
    - availability: {{at-least: 95%}}
    - ttft: {{p95: 5s}}
  after:
    - availability: {{at-least: 99%}}
duration: {DURATION}s
"""


def _provider(answers: Answers) -> tuple[str, str]:
    """Scheme and host of the provider, and the path of its base URL."""
    parts = _split("--llm", answers.llm)
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


def _split(option: str, url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"{option}: {url!r} is no URL such as http://127.0.0.1:8000"
        raise InvalidInput(msg, value=url)
    return parts


def _quoted(text: str) -> str:
    """As YAML takes it, whatever it is: a JSON string is one."""
    return json.dumps(text, ensure_ascii=False)
