"""What an LLM provider says when it fails, byte for byte: the vocabulary. The providers are in `faults/dialects/`.

A dialect turns a named failure and one call into an answer: an `HttpAnswer`, or a `StreamAnswer` that says what is
sent, when, and how it ends. Answers are data. Whoever plays them, a link of the fault proxy or a transport inside a
unit test, needs to know no provider. Dialects register under the entry point group `brownout.dialects`, and
`installed_dialects` finds them.
"""

from brownout.dialect.answer import Answer, Chunk, Cut, Hang, HttpAnswer, Step, StreamAnswer, Wait
from brownout.dialect.call import Call, Reply, StreamParts, Usage
from brownout.dialect.dialect import Dialect, NotOffered, Problem
from brownout.dialect.failure import BODY_FAILURES, REPLY_FAILURES, STREAM_FAILURES, Failure, Options
from brownout.dialect.installed import SILENT, dialects_of, dialects_offering, installed_dialects
from brownout.dialect.live import LiveStream
from brownout.dialect.selection import Selection
from brownout.dialect.wire import on_the_wire

__all__ = [
    "BODY_FAILURES",
    "REPLY_FAILURES",
    "SILENT",
    "STREAM_FAILURES",
    "Answer",
    "Call",
    "Chunk",
    "Cut",
    "Dialect",
    "Failure",
    "Hang",
    "HttpAnswer",
    "LiveStream",
    "NotOffered",
    "Options",
    "Problem",
    "Reply",
    "Selection",
    "Step",
    "StreamAnswer",
    "StreamParts",
    "Usage",
    "Wait",
    "dialects_of",
    "dialects_offering",
    "installed_dialects",
    "on_the_wire",
]
