"""A tiny system of somebody's own, described."""

import shutil
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

APP = Path(__file__).parent / "tiny_app.py"
DESCRIPTION = """\
door: {{url: http://127.0.0.1:{app}}}
services:
  app:
    start: {python} tiny_app.py {app}
    env: {{OPENAI_BASE_URL: "{{links.llm}}/v1", TOLD: "{{env.TOLD}}"}}
    ready: http://127.0.0.1:{app}/
  llm: {{start: {python} tiny_app.py {llm}, ready: 127.0.0.1:{llm}}}
links:
  - {{from: app, to: llm, upstream: http://127.0.0.1:{llm}}}
questions:
  - {{text: What is the capital of France?, facts: [Paris]}}
"""
EXPERIMENT = """\
title: It answers without its provider
hypothesis: It has another one.
target: target.yaml
load: {rate: 25/s, arrivals: constant, timeout: 5s}
duration: 8s
steady-state: [{availability: {at-least: 50%}}]
method:
  - partition: {from: app, to: llm, manner: reset}
    at: 2s
    for: 2s
expect:
  during: [{availability: {at-least: 99%}}, {quality: {faithfulness: 90%}}]
  after: [{availability: {at-least: 50%}}]
"""


@dataclass(frozen=True)
class System:
    """Where it is, and its ports."""

    folder: Path
    app: int
    llm: int

    @property
    def description(self) -> Path:
        return self.folder / "target.yaml"

    @property
    def experiment(self) -> Path:
        return self.folder / "outage.yaml"

    def describe(self, old: str = "", new: str = "") -> Path:
        """Write its description, with a change."""
        text = DESCRIPTION.format(app=self.app, llm=self.llm, python=sys.executable)
        assert old in text
        self.description.write_text(text.replace(old, new, 1))
        return self.description

    def listening(self) -> list[int]:
        """Of its ports those that somebody listens on."""
        found = []
        for port in (self.app, self.llm):
            with socket.socket() as probe:
                found += [port] if probe.connect_ex(("127.0.0.1", port)) == 0 else []
        return found


def system_in(folder: Path) -> System:
    """One with ports of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        app, llm = (one.getsockname()[1] for one in sockets)
    made = System(folder, app, llm)
    shutil.copy(APP, folder / "tiny_app.py")
    made.describe()
    made.experiment.write_text(EXPERIMENT)
    return made
