"""Write the reference corpus and its golden questions from the fact tables under tools/corpus/.

    python tools/build_corpus.py [--source tools/corpus] [--out fixtures/corpus]

The source is `<tenant>/<topic>.toml`, and `<tenant>/tenant.toml` for the id prefix and the values that every topic may
quote. A topic file holds

- `[entity.<key>]`: one row of the fact table, and one document. Its `text` is the document if there is one; else the
  document is put together from the topic's `plans` and `[say]`.
- `titles`, `plans`, `[say]`: for topics with many like entities. A plan is a list of slots; a slot is one of the
  alternative sentences in `[say]`, or else the entity's own attribute of that name.
- `facts`: the facts that a document states, as sentences, for the topic or for one entity.
- `[[question]]`: `ask`, and `about` as `"<key>.<attribute>"`, so that the answer is read from the document's own row.

The output depends on these files alone: the random generator is seeded with the document's id.
"""

import argparse
import json
import random
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Formatter
from typing import Any

DEFAULT_SOURCE = Path(__file__).parent / "corpus"
DEFAULT_OUT = Path(__file__).parent.parent / "fixtures" / "corpus"


class ContentError(Exception):
    """A topic file does not fit together; the message names the file and the entry."""


@dataclass(frozen=True, slots=True)
class Document:
    """One line of documents.jsonl."""

    id: str
    tenant: str
    topic: str
    title: str
    text: str
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One line of golden.jsonl."""

    id: str
    tenant: str
    question: str
    facts: tuple[str, ...]
    sources: tuple[str, ...]
    kind: str
    policy: str | None


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic file with the values of its tenant already filled into its rows."""

    tenant: str
    prefix: str
    path: Path
    content: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, str]]

    def document_id(self, key: str) -> str:
        """Return the id of the document about the entity `key`, numbered in file order from 1."""
        return f"{self.prefix}-{self.path.stem}-{list(self.rows).index(key) + 1:04d}"


def table(path: Path) -> Mapping[str, Any]:
    """Return the content of a TOML file; raise ContentError when it is none."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        msg = f"{path}: {error}"
        raise ContentError(msg) from error


def required(content: Mapping[str, Any], key: str, *, where: str) -> Any:
    """Return `content[key]`; raise ContentError when it is missing."""
    if key not in content:
        msg = f"{where}: {key!r} is missing; there are: {', '.join(content)}"
        raise ContentError(msg)
    return content[key]


def fill(template: str, values: Mapping[str, str], *, where: str) -> str:
    """Fill `{name}` placeholders and fold white space; raise ContentError for a name that has no value."""
    try:
        filled = template.format_map(values)
    except (KeyError, IndexError, ValueError) as error:
        msg = f"{where}: cannot fill {template!r}: no value for {error}; known: {', '.join(sorted(values))}"
        raise ContentError(msg) from error
    return " ".join(filled.split())


def capitalised(sentence: str) -> str:
    """Return the sentence with a capital first letter: a sentence may open with a filled-in value."""
    return sentence[:1].upper() + sentence[1:]


def read_topics(source: Path) -> Iterator[Topic]:
    """Yield every topic, by tenant and then by topic, each in alphabetical order."""
    for tenant_file in sorted(source.glob("*/tenant.toml")):
        shared: Mapping[str, str] = table(tenant_file)
        prefix: str = required(shared, "prefix", where=str(tenant_file))
        for path in sorted(tenant_file.parent.glob("*.toml")):
            if path == tenant_file:
                continue
            content = table(path)
            rows = {}
            for key, row in required(content, "entity", where=str(path)).items():
                plain = {name: value for name, value in row.items() if isinstance(value, str) and name != "text"}
                values = {**shared, **plain}
                # Twice, since a value may quote another one of its own row, which may quote one of the tenant's.
                for _ in range(2):
                    values = {name: fill(value, values, where=f"{path}: {key}") for name, value in values.items()}
                rows[key] = values
            yield Topic(tenant_file.parent.name, prefix, path, content, rows)


def body(topic: Topic, key: str, rng: random.Random) -> str:
    """Return the text about one entity: its own, or one assembled from the sentences of its topic."""
    where, values = f"{topic.path}: {key}", topic.rows[key]
    own = topic.content["entity"][key].get("text")
    if own is not None:
        return fill(own, values, where=where)
    say: Mapping[str, Sequence[str]] = required(topic.content, "say", where=str(topic.path))
    plans: Sequence[str] = required(topic.content, "plans", where=str(topic.path))
    sentences = []
    for slot in rng.choice(plans).split():
        template = rng.choice(say[slot]) if slot in say else f"{{{slot}}}"
        sentences.append(capitalised(fill(template, values, where=where)))
    return " ".join(sentences)


def documents_of(topic: Topic) -> Iterator[Document]:
    """Yield one document for each entity of the topic; raise ContentError if a document does not tell its facts."""
    for key, values in topic.rows.items():
        where, row = f"{topic.path}: {key}", topic.content["entity"][key]
        document_id = topic.document_id(key)
        rng = random.Random(document_id)  # noqa: S311 -- variety, not secrecy
        title = row["title"] if "title" in row else rng.choice(required(topic.content, "titles", where=where))
        text = body(topic, key, rng)
        facts = row["facts"] if "facts" in row else required(topic.content, "facts", where=where)
        for fact in facts:
            for _, name, _, _ in Formatter().parse(fact):
                if name and required(values, name, where=where).lower() not in text.lower():
                    msg = f"{where}: the text does not say {values[name]!r}, the {name!r} of {fact!r}"
                    raise ContentError(msg)
        yield Document(
            id=document_id,
            tenant=topic.tenant,
            topic=topic.path.stem,
            title=capitalised(fill(title, values, where=where)),
            text=text,
            facts=tuple(capitalised(fill(fact, values, where=where)) for fact in facts),
        )


def questions_of(topic: Topic) -> Iterator[Question]:
    """Yield the golden questions of the topic, still without their ids."""
    for entry in topic.content.get("question", []):
        ask: str = required(entry, "ask", where=f"{topic.path}: a question")
        where = f"{topic.path}: question {ask!r}"
        facts, sources = [], []
        for reference in entry.get("about", []):
            key, _, attribute = reference.partition(".")
            if attribute not in topic.rows.get(key, {}):
                msg = f"{where}: {reference!r} names no value of this file; entities: {', '.join(topic.rows)}"
                raise ContentError(msg)
            facts.append(topic.rows[key][attribute])
            sources.append(topic.document_id(key))
        kind = entry.get("kind", "lookup")
        if (kind == "unanswerable") != (not facts):
            msg = f"{where}: an unanswerable question is about nothing, and every other about something"
            raise ContentError(msg)
        yield Question(
            id="",
            tenant=topic.tenant,
            question=ask,
            facts=tuple(facts),
            sources=tuple(dict.fromkeys(sources)),
            kind=kind,
            policy=entry.get("policy"),
        )


def numbered(topics: Sequence[Topic]) -> Iterator[Question]:
    """Yield every question with its id: `q-<prefix>-<number within the tenant>`."""
    counts: dict[str, int] = {}
    for topic in topics:
        for question in questions_of(topic):
            counts[topic.prefix] = counts.get(topic.prefix, 0) + 1
            yield Question(**{**asdict(question), "id": f"q-{topic.prefix}-{counts[topic.prefix]:03d}"})


def json_lines(records: Iterator[Document] | Iterator[Question]) -> str:
    """Return one JSON object a line, keys in the order of the dataclass."""
    return "".join(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records)


def main() -> int:
    """Write both files; return 2 with a message when the arguments or the content are wrong."""
    parser = argparse.ArgumentParser(description="Write the reference corpus and its golden questions.")
    parser.add_argument("--source", type=Path, default=DEFAULT_SOURCE, help="fact tables (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder to write into (default: %(default)s)")
    options = parser.parse_args()
    source: Path = options.source
    out: Path = options.out
    for folder in (source, out):
        if not folder.is_dir():
            parser.error(f"{folder} is not a folder")
    try:
        topics = list(read_topics(source))
        documents = json_lines(document for topic in topics for document in documents_of(topic))
        golden = json_lines(numbered(topics))
    except ContentError as error:
        print(error, file=sys.stderr)
        return 2
    (out / "documents.jsonl").write_text(documents, "utf-8", newline="\n")
    (out / "golden.jsonl").write_text(golden, "utf-8", newline="\n")
    print(f"{documents.count(chr(10))} documents, {golden.count(chr(10))} questions in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
