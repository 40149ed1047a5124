"""Limits and durations of requests, outside the application that answers them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Refuse bodies over a number of bytes, whether or not their length is stated."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its body read."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("content-length", "0")
        too_large = stated.isdecimal() and int(stated) > self.max_bytes
        body, more = bytearray(), not too_large
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            too_large = len(body) > self.max_bytes
            more = message.get("more_body", False) and not too_large
        if too_large:
            await self._refuse(send)
            return
        messages: list[Message] = [{"type": "http.request", "body": bytes(body)}]

        async def read() -> Message:
            return messages.pop() if messages else await receive()

        await self.app(scope, read, send)

    async def _refuse(self, send: Send) -> None:
        """Answer that the body is too large."""
        body = json.dumps({"detail": f"the body is larger than {self.max_bytes} bytes"})
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})


class Timing:
    """Report the status and the duration of each request to a path."""

    def __init__(
        self, app: ASGIApp, path: str, report: Callable[[int, float], None]
    ) -> None:
        self.app, self.path, self.report = app, path, report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["path"] != self.path:
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.report(message["status"], time.perf_counter() - start)
            await send(message)

        await self.app(scope, receive, watched)
