"""The binary framing of AWS's streams, `application/vnd.amazon.eventstream`.

Source: "Event stream encoding" in the AWS documentation (Amazon Transcribe, "Setting up a streaming transcription"),
and the decoder in botocore's `eventstream.py`. A message is its total length and the length of its headers (both
32 bits, big-endian), the CRC-32 of these eight bytes, the headers, the payload, and the CRC-32 of everything before. A
header is the length of its name (8 bits), the name, its type (7: text), the length of the text (16 bits), and the text.
"""

import struct
import zlib
from collections.abc import Mapping

MEDIA_TYPE = "application/vnd.amazon.eventstream"
_PRELUDE, _CHECKSUM, _TEXT = 12, 4, 7


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message. Names up to 255 bytes, values up to 65535."""
    block = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _TEXT, len(value)) + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack("!II", _PRELUDE + len(block) + len(payload) + _CHECKSUM, len(block))
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + block + payload
    return message + struct.pack("!I", zlib.crc32(message))


def event(kind: str, payload: bytes) -> bytes:
    """A message that carries an event of that type."""
    return encode({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


def exception(kind: str, payload: bytes) -> bytes:
    """A message that carries an exception of that type: nothing follows it."""
    return encode({":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}, payload)


def garbled(message: bytes) -> bytes:
    """The message with one bit of its payload flipped: its lengths hold, its checksum does not."""
    at = len(message) - _CHECKSUM - 2
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
