"""Run the application with uvicorn, with limits on slow and on many connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from fetusmap.errors import BadInput
from fetusmap.serve.security import App

HEADER_TIMEOUT_S = 10.0
"""Time for the header of a request; a connection without one is closed."""

MAX_CONNECTIONS = 256
MAX_HEADER_BYTES = 32 * 1024
KEEP_ALIVE_S = 5
SHUTDOWN_S = 5


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose request header does not arrive in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first header."""
        super().connection_made(transport)
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        """Take data; between two requests, wait for the next header again."""
        idle = self.cycle is None or self.cycle.response_complete
        super().data_received(data)
        if idle:
            self._wait_for_header()

    def _wait_for_header(self) -> None:
        before = self.cycle
        self.loop.call_later(HEADER_TIMEOUT_S, self._close_without_header, before)

    def _close_without_header(self, before: Any) -> None:
        waiting = self.cycle is before and (before is None or before.response_complete)
        if waiting and not self.transport.is_closing():
            self.transport.close()


def open_socket(address: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Args:
        address: "127.0.0.1", or "0.0.0.0" for all addresses of this computer.
        port: the port; 0 takes any free one.

    Raises:
        BadInput: the port is taken or not allowed.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise BadInput(
            f"port {port}",
            expected="a free port",
            found=str(getattr(error, "strerror", None) or error).lower(),
            remedy="choose another one with --port, or leave it out",
        ) from error
    return listening


def run_server(
    app: App, listening: socket.socket, *, when_ready: Callable[[], None] | None = None
) -> None:
    """Serve the application until the process is told to end.

    Args:
        app: result of `create_app`.
        listening: result of `open_socket`.
        when_ready: called once, when requests are answered.
    """
    make_server(app, when_ready).run(sockets=[listening])


def make_server(app: App, when_ready: Callable[[], None] | None = None) -> uvicorn.Server:
    """Return a server for the application, see `run_server`."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    return _Server(config, when_ready)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._when_ready is not None and not self.should_exit:
            self._when_ready()
