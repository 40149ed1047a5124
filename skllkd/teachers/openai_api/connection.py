"""HTTP connection to a server: one request, bounded in time and size, without secrets.

What goes wrong is returned, never raised through frames whose variables hold the key.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from skllkd._core.params import optional_import
from skllkd.exceptions import InvalidParameterError, MissingDependencyError
from skllkd.teachers.openai_api.server import Server

#: The largest body that is read, in bytes: of an answer, and of a file of answers.
ANSWER_BYTES, FILE_BYTES = 2**22, 2**32
_PROXIES = "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"
#: Problems of a body that came with a status of success.
NOT_JSON = "the body is no JSON, or cut off"
TOO_LARGE = "the body is larger than any answer"


class Exchange(NamedTuple):
    """Outcome of a request: the body, or the problem there was with the connection."""

    body: bytes = b""
    status: int = 0
    headers: Mapping[str, str] = {}
    problem: str = ""
    #: Whether the server may have got the request, and have been paid for it.
    was_sent: bool = True

    def json(self) -> Any:
        """Read the body; raises ValueError or RecursionError if it is no JSON."""
        return json.loads(self.body)

    def lines(self) -> list[Any]:
        """Read a body with JSON in each line; None for a line that is none."""
        return [_value(line) for line in self.body.splitlines() if line.strip()]


class Connection:
    """Connections to a server, for any number of threads."""

    def __init__(self, server: Server, timeout_s: float) -> None:
        self._httpx = optional_import("httpx2", "openai")
        self._url, self._timeout_s = server.base_url, timeout_s
        server.check_key()
        self._client = self._open(server)
        if isinstance(self._client, Exception):
            raise self._client

    def _open(self, server: Server) -> Any:
        """Open a client; an error is returned, for this frame holds the key."""
        try:
            return self._httpx.Client(
                headers={"Authorization": f"Bearer {server.key()}"},
                timeout=self._timeout_s,
                follow_redirects=True,
                trust_env=not server.is_local,  # a proxy does not know this machine
                limits=self._httpx.Limits(max_connections=None),
            )
        except ImportError:
            return MissingDependencyError(
                f"the proxy that the environment names ({_PROXIES}) is a SOCKS proxy, "
                'which needs another package: python -m pip install "httpx2[socks]". Or '
                "unset the variable, or name the server's host in NO_PROXY."
            )
        except ValueError:
            return InvalidParameterError(
                f"the proxy that the environment names ({_PROXIES}) is no address of a "
                "proxy. Correct the variable, or unset it."
            )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        root: str | None = None,
        n_bytes: int = ANSWER_BYTES,
        timeout_s: float | None = None,
        **content: Any,
    ) -> Exchange:
        """Send a request, and wait for its whole answer no longer than `timeout_s`."""
        seconds = timeout_s or self._timeout_s
        deadline = time.monotonic() + seconds

        def exchange() -> Exchange:
            with self._client.stream(
                method, f"{root or self._url}/{path}", timeout=seconds, **content
            ) as response:
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > n_bytes:
                        return Exchange(b"", response.status_code, {}, TOO_LARGE)
                    if time.monotonic() > deadline:
                        return _LATE  # nobody waits any more
                return Exchange(bytes(body), response.status_code, response.headers)

        return _within(seconds, lambda: self._attempt(exchange))

    def _attempt(self, exchange: Callable[[], Exchange]) -> Exchange:
        """Make an exchange, and name a fault of the connection."""
        httpx = self._httpx
        try:
            return exchange()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            problem = f"broken connection ({type(error).__name__})"
            return Exchange(problem=problem, was_sent=False)
        except httpx.TimeoutException:
            return _LATE
        except Exception as error:  # whatever it is, a text's fault ends no labelling
            return Exchange(problem=f"broken connection ({type(error).__name__})")


def _value(line: bytes) -> Any:
    """Read a line of JSON; None for anything else."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


_LATE = Exchange(problem="no answer in time (timeout_s)")


def _within(seconds: float, call: Callable[[], Exchange]) -> Exchange:
    """Make a call in a thread of its own, and wait for it no longer than some seconds.

    A server that sends a byte now and then keeps a connection busy for ever: limits on
    each read do not help. The thread ends with the connection, or with the program.
    """
    outcome: SimpleQueue[Exchange] = SimpleQueue()
    run = threading.Thread(target=lambda: outcome.put(call()), daemon=True)
    run.start()
    try:
        return outcome.get(timeout=seconds)
    except Empty:
        return _LATE
