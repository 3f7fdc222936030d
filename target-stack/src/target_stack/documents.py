"""A document, as it is ingested, stored and put into a prompt."""

import hashlib
from collections.abc import Iterator
from typing import TypeVar

import msgspec

__all__ = ["Document", "fingerprint_of", "parse_documents", "parse_names"]

T = TypeVar("T")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One document of one tenant. The id is unique within its tenant."""

    id: str
    tenant: str
    title: str
    text: str
    topic: str = ""
    facts: tuple[str, ...] = ()


def fingerprint_of(documents: list[Document]) -> str:
    """Return a hash of the documents' ids and contents, in their order: an edited document changes it."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(msgspec.json.encode((document.tenant, document.id, document.title, document.text)))
    return digest.hexdigest()


class _Named(msgspec.Struct, frozen=True):
    tenant: str
    id: str


def parse_documents(body: bytes) -> list[Document]:
    """Decode newline-delimited JSON, one document a line; raise ValueError naming the first bad line."""
    documents: dict[tuple[str, str], Document] = {}
    for number, document in _lines(body, Document):
        if not (document.id and document.tenant and document.text):
            msg = f"line {number}: id, tenant and text must not be empty"
            raise ValueError(msg)
        documents[document.tenant, document.id] = document
    return list(documents.values())


def parse_names(body: bytes) -> list[tuple[str, str]]:
    """Decode newline-delimited JSON, `tenant` and `id` of a document a line; raise ValueError naming a bad line."""
    return [(named.tenant, named.id) for _, named in _lines(body, _Named)]


def _lines(body: bytes, type_: type[T]) -> Iterator[tuple[int, T]]:
    decoder = msgspec.json.Decoder(type_)
    for number, line in enumerate(body.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield number, decoder.decode(line)
        except msgspec.MsgspecError as error:
            msg = f"line {number}: {error}"
            raise ValueError(msg) from None
