"""`detection` and `notify` of a game day's file: which alerts tell the drill, and whom the drill tells."""

import re

from brownout.gameday.plan import Detection
from brownout.gameday.values import Values
from brownout.yamlsource import Entry, MappingNode, Node, ScalarNode, SequenceNode

DETECTION = ("alerts", "matching")
NOTIFY = ("webhook",)
WEBHOOK = ("env",)
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What an environment variable is called: POSIX, 3.231 Name."""
_IN_THE_OPEN = (
    "webhook: whoever has this URL can post with it: it is a secret and does not belong in this file. Put it into an"
    " environment variable, and that one's name here: webhook: {env: SLACK_WEBHOOK_URL}"
)


class TellingReader:
    """Notes what is wrong, as `Values` does."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._binder = values.binder

    def detection(self, entry: Entry | None) -> Detection:
        """What stands under `detection`."""
        part = self._values.part(entry, DETECTION)
        matching: dict[str, str] = {}
        if "matching" in part:
            labels = self._binder.mapping(part["matching"].node, "matching") or {}
            for name, label in labels.items():
                value = self._values.text(label)
                if value is not None:
                    matching[name] = value
        return Detection(self._values.names(part.get("alerts")), matching)

    def notify(self, entry: Entry | None) -> tuple[str, ...]:
        """What stands under `notify`: the names of environment variables, each once."""
        if entry is not None and _holds_url(entry.node):
            # Before anything else looks at it: other messages show what they got.
            self._binder.note(_IN_THE_OPEN, at=entry.node.at)
            return ()
        part = self._values.part(entry, NOTIFY)
        if "webhook" not in part:
            if entry is not None and isinstance(entry.node, MappingNode):
                self._binder.note("notify: 'webhook' is missing", at=entry.at)
            return ()
        node = part["webhook"].node
        found = [self._variable(one) for one in (node.items if isinstance(node, SequenceNode) else [node])]
        return tuple(dict.fromkeys(one for one in found if one is not None))

    def _variable(self, node: Node) -> str | None:
        part = self._binder.mapping(node, "a webhook")
        if part is None:
            return None
        self._binder.known(part, WEBHOOK, of="a webhook")
        if "env" not in part:
            self._binder.note("a webhook: 'env' is missing: which environment variable holds its URL?", at=node.at)
            return None
        name = self._values.text(part["env"])
        if name is None or VARIABLE.fullmatch(name):
            return name
        problem = "env: expected the name of an environment variable, such as SLACK_WEBHOOK_URL"
        self._binder.note(problem, at=part["env"].node.at)
        return None


def _holds_url(node: Node) -> bool:
    match node:
        case ScalarNode():
            return "://" in str(node.value)
        case SequenceNode():
            return any(map(_holds_url, node.items))
        case MappingNode():
            return any("://" in key or _holds_url(entry.node) for key, entry in node.entries.items())
