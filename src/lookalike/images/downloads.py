"""Pictures from the web, fetched so that an address cannot reach into the network around us.

A server that fetches what strangers name can be made to ask its own neighbors (server-side request
forgery; *OWASP Server-Side Request Forgery Prevention Cheat Sheet*). Here a host is looked up once,
every address it has must be public, and the connection goes to the very address that was checked,
so that a name cannot mean another machine a moment later. Each redirect is checked anew. No
cookies and no proxies are used.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

from lookalike.errors import ImageError, ImageLimitError, UsageError
from lookalike.images.formats import SNIFF_BYTES, describe_other, sniff

MayConnect: TypeAlias = Callable[[str, int], bool]
"""Tells whether an address and port may be connected to."""

_PORTS: Final = {"http": 80, "https": 443}
_FORMATS: Final = frozenset({"JPEG", "PNG", "WEBP", "GIF", "BMP"})
"""Decoders that strangers may reach."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHUNK: Final = 1 << 16
_LONGEST_URL: Final = 2_000


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What a download may cost.

    Attributes:
        max_bytes: Length of the picture.
        seconds: For everything together, looking up the name aside.
        redirects: Redirects that are followed.
    """

    max_bytes: int = 32 * 2**20
    seconds: float = 10.0
    redirects: int = 2


def is_public(address: str, port: int) -> bool:
    """Whether an address belongs to the public internet and the port to the web.

    Addresses that carry another one in them (IPv4-mapped, 6to4, Teredo, NAT64) are judged by that,
    or refused.

    Example:
        >>> is_public("93.184.215.14", 443), is_public("127.0.0.1", 80), is_public("::1", 80)
        (True, False, False)
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped), port)
        if ip.sixtofour or ip.teredo or ip in ipaddress.ip_network("64:ff9b::/96"):
            return False
    return ip.is_global and not ip.is_multicast and port in _PORTS.values()


def download(
    url: str, limits: DownloadLimits = DownloadLimits(), may_connect: MayConnect = is_public
) -> bytes:
    """Fetch a picture.

    Args:
        url: Of `http` or `https`, without user name.
        limits: What it may cost.
        may_connect: Which addresses may be asked; the public internet by default.

    Raises:
        UsageError: If the address is none, or leads, even by a redirect, where nothing may be
            asked.
        ImageLimitError: If the picture is too long.
        ImageError: If it cannot be fetched, takes too long, or is no picture of a kind that is
            read from the web: JPEG, PNG, WebP, GIF or BMP.
    """
    deadline = time.monotonic() + limits.seconds
    for _ in range(limits.redirects + 1):
        parts = _split(url)
        try:
            answer = _ask(parts, deadline, limits, may_connect)
            _left(deadline)
        except ImageLimitError as error:
            raise ImageLimitError(error.reason, url) from error
        except UsageError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            is_late = time.monotonic() >= deadline
            reason = "it takes too long" if is_late else _reason(error)
            raise ImageError(f"cannot be fetched ({reason})", url) from error
        if isinstance(answer, bytes):
            return _checked(answer, url)
        url = urljoin(url, answer.to)
    raise ImageError(f"leads on more than {limits.redirects} times", url)


@dataclass(frozen=True, slots=True)
class _Redirect:
    to: str


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{url!r:.80} is no address: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname or len(url) > _LONGEST_URL:
        raise UsageError(f"{url!r:.80} is no web address; give one of http or https")
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"the address of {parts.hostname} holds a user name; leave it out")
    if port == 0:
        raise UsageError(f"{url!r:.80} has no port that can be asked")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{url!r:.80} has characters that addresses cannot have; escape them")
    return parts


def _ask(
    parts: SplitResult, deadline: float, limits: DownloadLimits, may_connect: MayConnect
) -> bytes | _Redirect:
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    address = _checked_address(host, port, may_connect)
    stream = _connected(address, port, host, parts.scheme, deadline)
    connection = http.client.HTTPConnection(host, port)
    # A server that sends a byte now and then never lets a timeout of the socket pass.
    stop = threading.Timer(_left(deadline), _shut, [stream])
    with stream, closing(connection), _running(stop):
        if isinstance(stream, ssl.SSLSocket):
            stream.do_handshake()
        connection.sock = stream
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Accept": "image/*", "Accept-Encoding": "identity", "Connection": "close"}
        connection.request("GET", target, headers={**headers, "User-Agent": "lookalike"})
        with connection.getresponse() as response:
            return _read(response, limits)


def _read(response: http.client.HTTPResponse, limits: DownloadLimits) -> bytes | _Redirect:
    if response.status in _REDIRECTS and (to := response.getheader("Location")):
        return _Redirect(to)
    if response.status != http.client.OK:
        raise http.client.HTTPException(f"the server answered {response.status}")
    return _body(response, limits)


def _checked_address(host: str, port: int, may_connect: MayConnect) -> str:
    """Look a host up once; return an address of it if all of them may be asked."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]).partition("%")[0] for each in found]
    if not addresses or not all(may_connect(address, port) for address in addresses):
        raise UsageError(
            f"{host}, port {port}, is not on the public web and is not asked; save the picture "
            "and give its file"
        )
    return addresses[0]


def _connected(address: str, port: int, host: str, scheme: str, deadline: float) -> socket.socket:
    """Connect to an address; for https, to be followed by the handshake."""
    raw = socket.create_connection((address, port), timeout=_left(deadline))
    if scheme == "http":
        return raw
    context = ssl.create_default_context()
    return context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)


def _body(response: http.client.HTTPResponse, limits: DownloadLimits) -> bytes:
    kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
    if not kind.startswith("image/"):
        raise http.client.HTTPException(f"it is {kind or 'of no stated kind'} and no image")
    parts: list[bytes] = []
    n_bytes = 0
    while part := response.read1(_CHUNK):
        n_bytes += len(part)
        if n_bytes > limits.max_bytes:
            raise ImageLimitError(f"more than {limits.max_bytes / 2**20:g} MiB")
        parts.append(part)
    return b"".join(parts)


@contextmanager
def _running(timer: threading.Timer) -> Iterator[None]:
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(stream: socket.socket) -> None:
    with suppress(OSError):
        # Not the method of an SSL socket, which must not be called from another thread.
        socket.socket.shutdown(stream, socket.SHUT_RDWR)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _checked(data: bytes, url: str) -> bytes:
    format_ = sniff(data[:SNIFF_BYTES])
    if format_ in _FORMATS:
        return data
    reason = describe_other(data[:SNIFF_BYTES]) if format_ is None else f"a {format_} file"
    raise ImageError(f"{reason}; JPEG, PNG, WebP, GIF and BMP are fetched", url)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it takes too long"
    if isinstance(error, socket.gaierror):
        return "there is no such host"
    text = " ".join(str(error).split())
    return text[:120] if text.isprintable() and text else type(error).__name__
