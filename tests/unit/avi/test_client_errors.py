"""Exceptions of the HTTP library, and replies that the simulator cannot give, as errors of a poll."""

import ssl
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import BadHttpMessage, ContentEncodingError, ContentLengthError
from aioresponses import aioresponses
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from monitor.avi.client import Client
from monitor.avi.connection import open_session
from monitor.config.types import Controller, SecretVariable, Tls
from monitor.model.errors import BadAnswer, PollError, Reason, Unanswered, Unreachable
from monitor.model.secret import Secret
from monitor.model.snapshot import ObjectList

ORIGIN = "https://dc1.example"
LOGIN = f"{ORIGIN}/login"
IMAGES = f"{ORIGIN}/api/image?page_size=200"
HOST = ConnectionKey("dc1.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
REQUEST = aiohttp.RequestInfo(URL(IMAGES), "GET", CIMultiDictProxy(CIMultiDict()), URL(IMAGES))
UNREACHABLE = OSError(113, "No route to host")


class Answer(aiohttp.ClientResponse):
    """The response class for aioresponses, with the argument of aiohttp that it does not know."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  the signature is aiohttp's
        super().__init__(*args, **{"stream_writer": Mock(), **options})


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    controller = Controller(
        name="dc1", url=ORIGIN, username="monitor", password=SecretVariable("PASSWORD", Secret("correct horse"))
    )
    async with open_session(Tls(), keepalive_s=60.0) as session:
        yield Client(controller, session, timeout_s=5.0, max_response=1024, now=lambda: 1_740_000_000.0)


def because(error: aiohttp.ClientError, cause: Exception) -> aiohttp.ClientError:
    error.__cause__ = cause
    return error


async def the_error(client: Client, failure: Exception) -> PollError:
    with aioresponses() as http:
        http.post(LOGIN, exception=failure)
        with pytest.raises(PollError) as caught:
            await client.list_images(ObjectList())
    return caught.value


FAILURES: dict[str, tuple[Exception, type[PollError], Reason]] = {
    "deadline": (TimeoutError(), Unanswered, "timeout"),
    "server-timeout": (aiohttp.ServerTimeoutError(), Unanswered, "timeout"),
    "connection-timeout": (aiohttp.ConnectionTimeoutError(), Unanswered, "timeout"),
    "socket-timeout": (aiohttp.SocketTimeoutError(), Unanswered, "timeout"),
    "name-not-known": (aiohttp.ClientConnectorDNSError(HOST, OSError(-2, "Name not known")), Unreachable, "dns"),
    "no-route": (aiohttp.ClientConnectorError(HOST, UNREACHABLE), Unreachable, "connect"),
    "os-error": (aiohttp.ClientOSError(104, "Connection reset by peer"), Unanswered, "connect"),
    "disconnected": (aiohttp.ServerDisconnectedError(), Unanswered, "connect"),
    "reset-while-sending": (aiohttp.ClientConnectionResetError("Cannot write to closing transport"), Unanswered,
                            "connect"),
    "closed-connection": (aiohttp.ClientConnectionError("Connection closed"), Unanswered, "connect"),
    "bare-reset": (ConnectionResetError(104, "Connection reset by peer"), Unanswered, "connect"),
    "bare-refusal": (ConnectionRefusedError(111, "Connection refused"), Unanswered, "connect"),
    "broken-in-the-body": (because(aiohttp.ClientPayloadError(), ContentLengthError("Not enough")), Unanswered,
                           "connect"),
    "tls": (aiohttp.ClientConnectorSSLError(HOST, ssl.SSLError(1, "WRONG_VERSION_NUMBER")), Unreachable, "tls"),
    "certificate": (aiohttp.ClientConnectorCertificateError(HOST, ssl.SSLCertVerificationError(1, "self-signed")),
                    Unreachable, "tls"),
    "bare-tls": (ssl.SSLError(1, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), Unanswered, "tls"),
    "pin": (aiohttp.ServerFingerprintMismatch(b"\1" * 32, b"\2" * 32, "dc1.example", 443), Unreachable, "tls"),
    "not-gzip": (because(aiohttp.ClientPayloadError(), ContentEncodingError("gzip")), BadAnswer, "decode"),
    "not-http": (because(aiohttp.ClientResponseError(REQUEST, ()), BadHttpMessage("no")), BadAnswer, "decode"),
    "anything-else": (aiohttp.ClientError("of a later release"), BadAnswer, "decode"),
}  # fmt: skip


@pytest.mark.parametrize(("failure", "kind", "reason"), FAILURES.values(), ids=FAILURES)
async def test_an_exception_at_log_in_has_a_reason(
    client: Client, failure: Exception, kind: type[PollError], reason: Reason
) -> None:
    error = await the_error(client, failure)
    assert (type(error), error.reason, error.phase) == (kind, reason, "login")
    assert error.__cause__ is failure
    assert error.detail


@pytest.mark.parametrize(("failure", "kind", "reason"), FAILURES.values(), ids=FAILURES)
async def test_an_exception_while_images_are_read_has_the_same_reason(
    client: Client, failure: Exception, kind: type[PollError], reason: Reason
) -> None:
    with aioresponses() as http:
        http.post(LOGIN, payload={"version": {"Version": "30.2.1"}}, response_class=Answer)
        http.get(IMAGES, exception=failure)
        with pytest.raises(PollError) as caught:
            await client.list_images(ObjectList())
    assert (type(caught.value), caught.value.reason, caught.value.phase) == (kind, reason, "images")


@pytest.mark.parametrize(("failure", "kind", "reason"), FAILURES.values(), ids=FAILURES)
async def test_the_next_good_reply_ends_a_failure(
    client: Client, failure: Exception, kind: type[PollError], reason: Reason
) -> None:
    with aioresponses() as http:
        http.post(LOGIN, exception=failure)
        http.post(LOGIN, payload={"version": {"Version": "30.2.1"}}, response_class=Answer)
        http.get(f"{ORIGIN}/api/initial-data", payload={}, response_class=Answer)
        http.get(IMAGES, payload={"count": 0, "results": []}, response_class=Answer)
        with pytest.raises(kind) as caught:
            await client.list_images(ObjectList())
        assert caught.value.reason == reason
        assert (await client.list_images(ObjectList())).pages[0].count == 0


async def test_the_error_names_the_fingerprint_of_the_certificate(client: Client) -> None:
    error = await the_error(client, FAILURES["pin"][0])
    assert "02" * 32 in error.detail


async def test_texts_of_libraries_are_clipped(client: Client) -> None:
    error = await the_error(client, aiohttp.ClientConnectionError("x" * 10_000))
    assert len(error.detail) == 200


async def test_an_exception_that_is_no_network_failure_is_not_converted(client: Client) -> None:
    with aioresponses() as http:
        http.post(LOGIN, exception=ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await client.list_images(ObjectList())


async def test_a_cookie_with_a_newline_does_not_break_a_header(client: Client) -> None:
    with aioresponses() as http:
        http.post(LOGIN, payload={}, headers={"Set-Cookie": r'csrftoken="a\012b"; Path=/'}, response_class=Answer)
        http.get(f"{ORIGIN}/api/initial-data", payload={}, response_class=Answer)
        http.get(IMAGES, payload={"count": 0, "results": []}, response_class=Answer)
        await client.list_images(ObjectList())
        ((_, asked),) = [(url, calls) for (_, url), calls in http.requests.items() if url.path == "/api/image"]
    assert not any("\n" in value for value in asked[0].kwargs["headers"].values())
