"""Which requests are answered: those of this computer's browser, with the token of this server.

A web page of another origin can make a browser send requests to 127.0.0.1, and a domain name can
be made to lead there. So every request must name a known host, must not come from another origin,
and must bring the token, as a cookie or as `Authorization: Bearer`.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_METHODS = ("GET", "HEAD")
MIN_TOKEN_CHARACTERS = 20
UPLOAD_PATH = "/api/volumes"
MAX_BODY_BYTES = 256 * 1024
"""Largest body of a request that is no upload."""

BODY_TIMEOUT_S = 20.0
"""Longest pause between two parts of a body."""

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # With "no-referrer" a browser would send the forms of our own pages with the origin "null".
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Access:
    """Who may talk to the server.

    Attributes:
        token: every request brings it.
        hosts: values of the header Host that are accepted, in lower case.
        origins: values of the header Origin that are accepted, in lower case.
        cookie: name of the cookie with the token; two servers on one computer differ in it.
    """

    token: str
    hosts: frozenset[str]
    origins: frozenset[str]
    cookie: str

    @classmethod
    def on_port(cls, port: int, token: str = "", public_name: str = "") -> Access:
        """Return the access for a port of this computer.

        Args:
            port: the port.
            token: the token; a random one by default.
            public_name: name or address under which other computers reach the server.
        """
        hosts = {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}
        origins = {f"http://{host}" for host in hosts}
        if public_name:
            names = {public_name.lower(), f"{public_name.lower()}:{port}"}
            hosts |= names
            origins |= {f"{scheme}://{name}" for scheme in ("http", "https") for name in names}
        chosen = token or secrets.token_urlsafe(32)
        return cls(chosen, frozenset(hosts), frozenset(origins), f"fetusmap-{port}")


class Guard:
    """Wraps the application: refuses what may not be answered, and limits what it receives."""

    def __init__(self, app: App, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the server has no web sockets
            await send({"type": "websocket.close", "code": 1008})
            return
        headers: dict[str, str] = {}
        repeated = False
        for key, value in scope["headers"]:
            name = key.decode("latin-1").lower()
            repeated |= name in headers and name in ("host", "origin", "authorization")
            headers[name] = value.decode("latin-1")
        answer = (400, "a header is repeated") if repeated else self._refusal(scope, headers)
        if answer is not None:
            await _refuse(send, *answer)
            return
        if scope["path"] == "/" and scope["method"] == "GET" and self._query_token(scope):
            await self._give_cookie(send)
            return
        await self._app(scope, _limited(receive, scope["path"]), _with_headers(send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return status and reason if the request is not to be answered."""
        if headers.get("host", "").lower() not in self._access.hosts:
            return 421, "this server does not answer to that host name"
        origin = headers.get("origin", "").lower()
        site = headers.get("sec-fetch-site", "none")
        if (origin and origin not in self._access.origins) or site not in ("none", "same-origin"):
            return 403, "requests from other pages are refused"
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self._is_token(bearer) and "authorization" in headers:
            return None
        if self._is_token(_cookie(headers.get("cookie", ""), self._access.cookie)):
            if scope["method"] in SAFE_METHODS or origin or site == "same-origin":
                return None
            return 403, "a request that changes something must name its origin"
        if scope["path"] == "/" and scope["method"] == "GET" and self._query_token(scope):
            return None
        return 401, "open the address that the server printed when it was started"

    def _query_token(self, scope: Scope) -> bool:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20)
        return self._is_token(query.get("token", [""])[0])

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._access.token.encode())

    async def _give_cookie(self, send: Send) -> None:
        """Keep the token in a cookie and take it out of the address."""
        cookie = f"{self._access.cookie}={self._access.token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode("latin-1"))]
        headers += [(k.encode(), v.encode()) for k, v in HEADERS.items()]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _cookie(header: str, name: str) -> str:
    try:
        cookies = SimpleCookie(header)
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _limited(receive: Receive, path: str) -> Receive:
    """Limit the size of a body that is no upload, and the pause between two parts of any body."""
    left = None if path == UPLOAD_PATH else MAX_BODY_BYTES
    complete = False

    async def limited() -> Message:
        nonlocal left, complete
        if complete:  # what follows is the end of the connection, whenever it comes
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), BODY_TIMEOUT_S)
        except TimeoutError:
            reason = f"no data came for {BODY_TIMEOUT_S:.0f} s"
            raise HTTPException(408, reason, {"connection": "close"}) from None
        complete = message["type"] != "http.request" or not message.get("more_body", False)
        if left is not None and message["type"] == "http.request":
            left -= len(message.get("body", b""))
            if left < 0:
                reason = f"a request has at most {MAX_BODY_BYTES} bytes"
                raise HTTPException(413, reason, {"connection": "close"})
        return message

    return limited


def _with_headers(send: Send) -> Send:
    """Add the headers of security to every answer that does not set them itself."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {key.lower() for key, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *((k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in there),
            ]
        await send(message)

    return sending


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers += [(k.encode(), v.encode()) for k, v in HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
