"""stdin, stdout and stderr as they may be: closed, full, or in an encoding that lacks a character.

A command that is at work on files never stops because a line could not be written. `tolerant` puts
a `Stream` before stdout and stderr while a command runs, so that this is true of every printer:
our own, click's, rich's and Python's warnings.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO


class Stream(io.TextIOBase):
    """A text stream that writes to another one and never raises.

    A character that the encoding lacks is written as its escape, "\\u2615". After the first write
    that fails, the rest is dropped, and `trouble` is the error. A stream that is closed from the
    start (None) takes everything, as the null device would.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream
        self.trouble: Exception | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "errors", None) or "strict"

    @property
    def unread(self) -> bool:
        """True where the reader has left on purpose, as `head` does."""
        return isinstance(self.trouble, BrokenPipeError)

    def fileno(self) -> int:
        if self._stream is None:
            raise io.UnsupportedOperation("the stream is closed")
        return self._stream.fileno()

    def isatty(self) -> bool:
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed since
            return False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._stream is not None and self.trouble is None:
            try:
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:
                    self._stream.write(encodable(text, self.encoding))
            except (OSError, ValueError) as trouble:  # ValueError: the stream was closed since
                self.trouble = trouble
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are, such as a path that no encoding has."""
        if self._stream is None or self.trouble is not None:
            return
        try:
            self._stream.flush()
            self._stream.buffer.write(data)
        except AttributeError:  # a stream of text alone, in the place of stdout
            self.write(os.fsdecode(data))
        except (OSError, ValueError) as trouble:
            self.trouble = trouble

    def flush(self) -> None:
        if self._stream is not None and self.trouble is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as trouble:
                self.trouble = trouble

    def release(self) -> None:
        """Write what waits, and leave the stream to the interpreter: where that failed, its own
        flush at the exit goes to the null device, for it would fail again and set the exit code."""
        self.flush()
        if self.trouble is not None:
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self.fileno())
                os.close(null)


def encodable(text: str, encoding: str) -> str:
    """`text` with an escape for every character that `encoding` lacks."""
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except (LookupError, UnicodeError):
        return text.encode("ascii", "backslashreplace").decode("ascii")


def interactive() -> bool:
    """True where the user can answer a prompt: stdin is open and a terminal."""
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed since
        return False


@contextlib.contextmanager
def tolerant() -> Iterator[Stream]:
    """Put a `Stream` before `sys.stdout` and `sys.stderr`; gives that of stdout."""
    _fill_descriptors()
    before = sys.stdout, sys.stderr
    out, err = Stream(before[0]), Stream(before[1])
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        sys.stdout, sys.stderr = before
        out.release()
        err.release()


def _fill_descriptors() -> None:
    """Open the null device at 0, 1 and 2 where they are closed (`>&-`). Otherwise the next file
    that is opened, a journal for example, would get that number, and whoever writes to stdout or
    stderr by number would write into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_RDWR)
                if null != number:
                    os.dup2(null, number)
                    os.close(null)
                os.set_inheritable(number, True)
