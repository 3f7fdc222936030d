"""Writing to a terminal or a pipe that may go away, or that cannot show every character."""

import contextlib
import os
from collections.abc import Iterator
from typing import TextIO

_PLAIN = str.maketrans("✓✗■→–•·…━─“”\u2009", '+x#>-*|.=-"" ')
"""What stands in for our own signs, one for one so that columns stay columns, where the encoding has none of them."""


class Forgiving:
    """A text stream whose reader may leave: from then on nothing is written, and nothing is raised.

    None is a stream that was closed before we started, which is what `sys.stdout` is then. What the stream's encoding
    cannot show is replaced. As much of a file as rich and `print` need.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        return (self._stream and self._stream.encoding) or "utf-8"

    def write(self, text: str) -> int:
        if self._stream is not None:
            with self._forgiving(self._stream):
                self._stream.write(self._shown(text))
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            with self._forgiving(self._stream):
                self._stream.flush()

    def isatty(self) -> bool:
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        if self._stream is None:
            msg = "the stream is closed"
            raise OSError(msg)
        return self._stream.fileno()

    def _shown(self, text: str) -> str:
        if self.encoding.lower().startswith("utf"):
            return text
        return text.translate(_PLAIN).encode(self.encoding, "replace").decode(self.encoding)

    @contextlib.contextmanager
    def _forgiving(self, stream: TextIO) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # a ValueError is what a closed file raises
            self._stream = None
            # What is still buffered would be tried again at exit, and turn the exit code into 120.
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
