"""A document, as it is ingested, stored and put into a prompt."""

import hashlib

import msgspec

__all__ = ["Document", "fingerprint_of", "parse_documents"]


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


def parse_documents(body: bytes) -> list[Document]:
    """Decode newline-delimited JSON, one document a line; raise ValueError naming the first bad line."""
    decoder = msgspec.json.Decoder(Document)
    documents: dict[tuple[str, str], Document] = {}
    for number, line in enumerate(body.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            document = decoder.decode(line)
        except msgspec.MsgspecError as error:
            msg = f"line {number}: {error}"
            raise ValueError(msg) from None
        if not (document.id and document.tenant and document.text):
            msg = f"line {number}: id, tenant and text must not be empty"
            raise ValueError(msg)
        documents[document.tenant, document.id] = document
    return list(documents.values())
