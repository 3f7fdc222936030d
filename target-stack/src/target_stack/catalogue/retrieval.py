"""How documents are found, taken in, deleted, and kept from being served."""

from collections.abc import Iterator

from target_stack.catalogue.forms import integer, io_timeout, share, span, switch
from target_stack.setting import Setting

__all__ = ["retrieval"]


def retrieval() -> Iterator[Setting]:
    """Yield the settings of retrieval and ingestion."""
    yield integer("retrieval.top-k", 5, "Documents put into the prompt.")
    yield integer(
        "retrieval.token-budget", 2000, "Tokens of documents in the prompt; one that does not fit is left out."
    )
    yield integer("retrieval.candidates", 20, "Documents from each search, before they are fused.")
    yield integer("retrieval.rrf-k", 60, "Constant of reciprocal rank fusion.")
    yield io_timeout("vector-db.timeout", 0.5, "One query, with pool checkout and connect.")
    yield integer("vector-db.pool", 10, "Connections to the vector database at most.")
    yield io_timeout("embedding.timeout", 1.0, "One query's embedding.")
    yield io_timeout("ingest.timeout", 30.0, "Embedding and storing one upload of documents.")
    yield switch("ingest.durable", "Acknowledging an upload when it is stored. Off: at once, and it is stored after.")
    yield span("tombstones.retry", 1.0, "Between two tries to store tombstones that the database does not know yet.")
    yield span("tombstones.purge", 60.0, "Between two removals of the rows and postings of deleted documents.")
    yield share("quarantine.norm-tolerance", 0.01, "By how much a vector's length may differ from 1.")
    yield share(
        "quarantine.text-similarity", 0.9, "Least cosine of a vector and the one that the same text had before."
    )
    yield share("quarantine.topic-similarity", 0.3, "Least cosine of a vector and the mean of its topic.")
    yield integer(
        "quarantine.topic-size", 3, "Other documents of a topic that make its mean; with fewer there is none."
    )
    yield span(
        "quarantine.retry", 1.0, "Between two tries to store the quarantine that the database does not know yet."
    )
