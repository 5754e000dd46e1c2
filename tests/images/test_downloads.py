"""Fetching pictures, from a real server that must not be asked and one that may."""

import http.server
import io
import threading
import time
from typing import ClassVar

import pytest
from PIL import Image

from lookalike.errors import ImageError, ImageLimitError, UsageError
from lookalike.images.downloads import DownloadLimits, download, is_public


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (250, 20, 20)).save(buffer, "PNG")
    return buffer.getvalue()


class Pictures(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        name = self.path.partition("?")[0]
        if name.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        body = {
            "/picture.png": png(),
            "/page": b"<html>",
            "/text.png": b"hello",
            "/drawing.svg": b"<svg>",
            "/old.tif": b"II*\0" + bytes(99),
        }.get(name, b"")
        if name == "/long.png":
            body = png() + bytes(3 << 20)
        self.send_response(200 if body or name == "/slow.png" else 404)
        self.send_header("Content-Type", "text/html" if name == "/page" else "image/png")
        self.end_headers()
        self.wfile.write(body)
        if name == "/slow.png":
            for _ in range(50):
                self.wfile.write(b"\x89")
                self.wfile.flush()
                time.sleep(0.05)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


def anywhere(address, port):
    return True


LIMITS = DownloadLimits(max_bytes=1 << 20, seconds=0.6)


def test_a_picture_is_fetched(server):
    assert download(f"{server}/picture.png?a=1", LIMITS, anywhere) == png()
    assert download(f"{server}/to/{server}/picture.png", LIMITS, anywhere) == png()
    assert download(f"{server}/to//picture.png", LIMITS, anywhere) == png()


def test_a_server_of_our_own_network_is_never_asked(server):
    before = len(Pictures.asked)
    port = server.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0", "[::ffff:127.0.0.1]"):
        with pytest.raises(UsageError, match="is not on the public web and is not asked"):
            download(f"http://{host}:{port}/picture.png")
        with pytest.raises(UsageError, match="is not on the public web"):
            download(f"http://{host}/picture.png")
    assert len(Pictures.asked) == before


def test_a_name_with_any_address_of_our_own_network_is_not_asked(monkeypatch):
    def both(host, port, **_):
        return [(2, 1, 6, "", ("93.184.215.14", port)), (2, 1, 6, "", ("10.0.0.1", port))]

    monkeypatch.setattr("socket.getaddrinfo", both)
    with pytest.raises(UsageError, match=r"two.example, port 80, is not on the public web"):
        download("http://two.example/a.png")


def test_a_redirect_is_checked_like_an_address(server):
    def first_only(address, port):
        return str(port) == server.rpartition(":")[2]

    before = len(Pictures.asked)
    for target in ("http://127.0.0.1:9/picture.png", "http://169.254.169.254/latest"):
        with pytest.raises(UsageError, match="is not on the public web"):
            download(f"{server}/to/{target}", LIMITS, first_only)
    with pytest.raises(UsageError, match="is no web address"):
        download(f"{server}/to/file:///etc/passwd", LIMITS, first_only)
    assert len(Pictures.asked) == before + 3
    with pytest.raises(ImageError, match="leads on more than 2 times"):
        download(f"{server}/to//to//to//picture.png", LIMITS, anywhere)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1"),
        *("::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "ff02::1", "2001:0::1"),
    ],
)
def test_addresses_that_are_not_public(address):
    assert not is_public(address, 80)


def test_public_addresses_and_ports_of_the_web():
    assert is_public("93.184.215.14", 443)
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c", 80)
    assert is_public("::ffff:93.184.215.14", 80)
    assert not is_public("93.184.215.14", 22)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("/page", ImageError, "it is text/html and no image"),
        ("/text.png", ImageError, "not an image; JPEG, PNG, WebP, GIF and BMP are fetched"),
        ("/drawing.svg", ImageError, "but an SVG drawing; JPEG"),
        ("/old.tif", ImageError, "a TIFF file; JPEG"),
        ("/nowhere.png", ImageError, "the server answered 404"),
        ("/long.png", ImageLimitError, "more than 1 MiB"),
        ("/slow.png", ImageError, "it takes too long"),
    ],
)
def test_what_is_no_picture_is_refused(server, path, error, message):
    with pytest.raises(error, match=message) as caught:
        download(server + path, LIMITS, anywhere)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///etc/passwd", "is no web address"),
        ("ftp://example.org/a.png", "is no web address"),
        ("picture.png", "is no web address"),
        ("http://", "is no web address"),
        ("http://user:secret@example.org/a.png", "address of example.org holds a user name"),
        ("http://example.org:99999/", "is no address: Port out of range"),
        ("http://[::1/", "is no address"),
        ("http://example.org/a b", "has characters that addresses cannot have"),
        ("http://example.org/\r\nHost: x", "has characters|is no"),
    ],
)
def test_addresses_that_make_no_sense_are_refused(url, message):
    with pytest.raises(UsageError, match=message):
        download(url)


def test_a_host_that_does_not_exist_says_so():
    with pytest.raises(ImageError, match=r"cannot be fetched \("):
        download("http://no-such-host.invalid/a.png", LIMITS)
