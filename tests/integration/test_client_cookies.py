"""The client against what the simulator does not play: a proxy in between that sets cookies of its own."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from monitor.avi.client import Client
from monitor.avi.connection import open_session
from monitor.config.types import Controller, SecretFile
from monitor.model.snapshot import ObjectList

Serve = Callable[[Callable[[web.Request], Awaitable[web.Response]]], Awaitable[tuple[Client, list[dict[str, str]]]]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serve]:
    """A server with the log-in of a Controller. Returns: a client of it, and the cookies of each request."""
    async with AsyncExitStack() as stack:

        async def serve(
            images: Callable[[web.Request], Awaitable[web.Response]],
        ) -> tuple[Client, list[dict[str, str]]]:
            seen: list[dict[str, str]] = []

            async def log_in(_request: web.Request) -> web.Response:
                response = web.json_response({"version": {"Version": "30.2.1"}})
                for name in ("csrftoken", "avi-sessionid", "gone"):
                    response.set_cookie(name, "one")
                return response

            async def listed(request: web.Request) -> web.Response:
                seen.append(dict(request.cookies))
                return await images(request)

            site = web.Application()
            site.router.add_post("/login", log_in)
            site.router.add_get("/api/image", listed)
            runner = web.AppRunner(site)
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            (tmp_path / "secret").write_text("secret")
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            password = SecretFile(tmp_path / "secret")
            controller = Controller(name="dc1", url=url, username="admin", password=password)
            session = await stack.enter_async_context(open_session(controller.tls, keepalive_s=60.0))
            return Client(controller, session, timeout_s=5.0, max_response=2**20, now=time.time), seen

        yield serve


async def test_deleted_and_ever_new_cookies_do_not_fill_our_requests(server: Serve) -> None:
    replies = 0

    async def images(_request: web.Request) -> web.Response:
        nonlocal replies
        replies += 1
        response = web.json_response({"count": 0, "results": []})
        for number in range(20):
            response.set_cookie(f"waf-{replies}-{number}", "x" * 10)
        response.del_cookie("gone")
        response.headers.add("Set-Cookie", "empty=")
        return response

    client, seen = await server(images)
    for _ in range(6):
        await client.list_images(ObjectList())
    last = seen[-1]
    assert len(last) <= 32
    assert {"csrftoken", "sessionid", "avi-sessionid"} <= last.keys()
    assert last.keys() & {"gone", "empty"} == set()
    assert "waf-5-19" in last
