"""A JSON file read item by item, so that one of a million items needs little memory.

The values themselves are decoded by Python's json; here a file is only fed to it piece by piece.
"""

from __future__ import annotations

import codecs
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

CHUNK = 1 << 20
# An error this close to the end of what has been read may only mean that the rest of a value is still to come.
_MARGIN = 64
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def stream_items(path: str | Path, member: str) -> Iterator[Any]:
    """Read a JSON document in UTF-8, UTF-16 or UTF-32, also compressed as ".gz".

    Parameters
    ----------
    path : str or Path
        File to read.
    member : str
        Member of the outermost object whose array is read item by item.

    Yields
    ------
    object
        Each item of the outermost array, or of `member`; at the end, the outermost object, with an empty array as
        `member`, or the outermost value if it is neither an array nor an object.

    Raises
    ------
    json.JSONDecodeError
        With line and column, if the file is not JSON.
    UnicodeDecodeError
        With the place in the file as `start`, if it is not text.
    OSError, EOFError, zlib.error
        If it cannot be read or decompressed.
    """
    path = Path(path)
    with gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb") as file:
        text = _Text(file)  # type: ignore[arg-type]
        first = text.peek()
        if first == "[":
            yield from text.items()
        elif first == "{":
            rest: dict[str, Any] = {}
            for name in text.names():
                if name == member and text.peek() == "[":
                    yield from text.items()
                    rest[name] = []
                else:
                    rest[name] = text.value()
            yield rest
        else:
            yield text.value()
        if text.peek():
            raise text.error("Extra data", 0)


class _Text:
    """The text of a file, of which only what has not been decoded yet is kept."""

    def __init__(self, file: BinaryIO) -> None:
        head = file.read(CHUNK)
        self._file, self._n_bytes = file, 0
        self._decode = codecs.getincrementaldecoder(json.detect_encoding(head))("surrogatepass").decode
        self._kept, self._at, self._is_all = "", 0, False
        self._line, self._column = 1, 1  # of the first character that is kept
        self._append(head)

    def peek(self) -> str:
        """Next character that is not space; "" at the end."""
        while True:
            self._at = _SPACE.match(self._kept, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._kept):
                return self._kept[self._at]
            if self._is_all:
                return ""
            self._read()

    def value(self) -> Any:
        """Decode the next value."""
        self.peek()
        n_chunks = 1
        while True:
            try:
                value, end = _DECODER.raw_decode(self._kept, self._at)
                if end < len(self._kept) or self._is_all:  # a number that ends here may go on
                    self._at = end
                    return value
            except json.JSONDecodeError as error:
                may_go_on = error.pos > len(self._kept) - _MARGIN or error.msg.startswith("Unterminated string")
                if self._is_all or not may_go_on:
                    raise self.error(error.msg, error.pos - self._at) from None
            for _ in range(n_chunks):
                self._read()
            n_chunks *= 2  # so that a long value is not decoded from its beginning for every chunk

    def items(self) -> Iterator[Any]:
        """Decode the items of an array one by one."""
        yield from (self.value() for _ in self._members("[", "]"))

    def names(self) -> Iterator[str]:
        """Decode the names of an object's members; the caller decodes the value of each before the next one."""
        for _ in self._members("{", "}"):
            if self.peek() != '"':
                raise self.error("Expecting property name enclosed in double quotes", 0)
            name = self.value()
            self._take(":", "Expecting ':' delimiter")
            yield name

    def error(self, message: str, offset: int) -> json.JSONDecodeError:
        """An error at some characters from here, with its line and column in the file."""
        place = self._at + offset
        error = json.JSONDecodeError(message, self._kept, place)
        if error.lineno == 1:
            error.colno = self._column + place
        error.lineno += self._line - 1
        return error

    def _members(self, opening, closing):
        self._take(opening, f"Expecting {opening!r}")
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self.peek() == closing:
                self._at += 1
                return
            self._take(",", "Expecting ',' delimiter")

    def _take(self, sign, message):
        if self.peek() != sign:
            raise self.error(message, 0)
        self._at += 1

    def _read(self):
        self._append(self._file.read(CHUNK))

    def _append(self, data):
        done = self._kept[: self._at]
        n_lines = done.count("\n")
        self._column = len(done) - done.rfind("\n") if n_lines else self._column + len(done)
        self._line += n_lines
        self._is_all = self._is_all or not data
        try:
            more = self._decode(data, final=not data)
        except UnicodeDecodeError as error:
            error.start += self._n_bytes + len(data) - len(error.object)  # bytes of the chunk before may stand in front
            raise
        self._n_bytes += len(data)
        self._kept, self._at = self._kept[self._at :] + more, 0
