"""Files as they lie on disk: their names, their bytes, and what makes two of them the same."""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import BinaryIO, Final

from lookalike.errors import ImageError, ImageLimitError

HASH_BYTES: Final = 20
"""Length of a content hash."""

_ESCAPES: Final = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link, which is not followed"),
    (stat.S_ISFIFO, "a named pipe, no file"),
    (stat.S_ISSOCK, "a socket, no file"),
    (stat.S_ISCHR, "a device, no file"),
    (stat.S_ISBLK, "a device, no file"),
)


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a file held when it was read.

    Attributes:
        data: All of its bytes.
        mtime_ns: Time of its last change, in nanoseconds since 1970.
    """

    data: bytes
    mtime_ns: int


def content_hash(data: bytes) -> bytes:
    """Return the BLAKE2b digest (20 bytes) that identifies an image by its file's bytes."""
    return hashlib.blake2b(data, digest_size=HASH_BYTES).digest()


def display_path(path: bytes) -> str:
    r"""Return `path` as printable text from which it could be told from any other path.

    UTF-8 is decoded. Whatever does not print as itself is escaped as in Python: control, bidi and
    other invisible characters (`\n`, `\x1b`, `\u202e`), and the backslash. A byte that is
    no UTF-8 becomes `\xff`; characters from U+0080 on use `\u`, so the two never look alike.

    Example:
        >>> print(display_path("Sömmer\n".encode() + b"\xff.jpg"))
        Sömmer\n\xff.jpg
    """
    text = path.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_printable, text))


def _printable(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def read_content(path: bytes, max_bytes: int) -> FileContent:
    """Read a regular file whole.

    A link is not followed, a named pipe is not waited for, and a file that changes meanwhile is
    refused, so that old and new bytes are never mixed.

    Raises:
        ImageLimitError: If it is larger than `max_bytes`.
        ImageError: If it cannot be read or is no regular file. Errors are not named; callers add
            the name.
    """
    try:
        with _open(path) as file:
            before = os.fstat(file.fileno())
            check_bytes(before.st_size, max_bytes)
            data = file.read(before.st_size + 1)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise ImageError(reason_of(error)) from error
    if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise ImageError("it changed while it was read")
    return FileContent(data, before.st_mtime_ns)


def read_start(path: bytes, length: int) -> bytes:
    """Read up to `length` first bytes of a regular file.

    Raises:
        OSError: If it cannot be read.
        ImageError: If it is no regular file.
    """
    with _open(path) as file:
        return file.read(length)


def check_bytes(n_bytes: int, max_bytes: int) -> None:
    """Refuse a file that is too large.

    Raises:
        ImageLimitError: If `n_bytes` is more than `max_bytes`.
    """
    if n_bytes > max_bytes:
        raise ImageLimitError(
            f"{n_bytes / 2**20:,.1f} MiB, the limit is {max_bytes / 2**20:,.1f}; "
            "raise it with --max-megabytes"
        )


def kind_of(mode: int) -> str | None:
    """Say what lies under a name if it is no regular file, from its `st_mode`; else `None`."""
    if stat.S_ISREG(mode):
        return None
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "no regular file")


def reason_of(error: OSError) -> str:
    """Say in a few words and without the name of the file why it could not be read."""
    if error.errno == errno.ELOOP:
        return "a symbolic link, which is not followed"
    if error.errno == errno.ENXIO:
        return "a socket, no file"
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def _open(path: bytes) -> BinaryIO:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = kind_of(os.fstat(descriptor).st_mode)
    if kind is not None:
        os.close(descriptor)
        raise ImageError(kind)
    return os.fdopen(descriptor, "rb")
