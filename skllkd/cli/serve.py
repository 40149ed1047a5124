"""The command that serves a classifier over HTTP."""

from __future__ import annotations

import argparse
import ipaddress
import os
from pathlib import Path
from typing import Any

from skllkd.cli.arguments import add_command
from skllkd.cli.cascade import add_price
from skllkd.cli.console import say
from skllkd.cli.teacher import teacher_of
from skllkd.cli.teacher_options import add_teacher
from skllkd.exceptions import InvalidParameterError

#: Seconds that requests which were taken in have, when the server is told to stop.
_GRACE_S = 60


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    serve = add_command(
        commands,
        "serve",
        _serve,
        "serve a saved classifier over HTTP",
        "POST /predict, GET /health, GET /metrics; the interface is described at /docs. "
        "SIGHUP reads the model anew. SIGTERM and Ctrl+C answer what was taken in, print "
        "the report of a cascade, and stop.",
    )
    serve.add_argument(
        "model", help="folder of a classifier or a cascade, or ONNX file"
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at")
    serve.add_argument("--port", type=int, default=8000, help="port to listen at")
    serve.add_argument(
        "--token-env",
        default="SKLLKD_TOKEN",
        help="environment variable with the token that clients must send; required "
        "where others than this machine can connect",
    )
    serve.add_argument(
        "--access-log", action="store_true", help="log each request on standard error"
    )
    add_price(serve)
    add_teacher(serve, required=False)
    serve.set_defaults(column="text")  # of the examples


def _serve(options: argparse.Namespace) -> None:
    """Serve a classifier until told to stop."""
    from skllkd._core.params import check_number, optional_import

    check_number(options.port, "--port", 0, 65535, integer=True)
    uvicorn = optional_import("uvicorn", "serve")
    optional_import("fastapi", "serve")
    optional_import("prometheus_client", "serve")
    from skllkd.serving.app import make_app
    from skllkd.serving.model import described, load_cascade

    token = os.environ.get(options.token_env) or None
    if token is None and not is_loopback(options.host):
        raise InvalidParameterError(
            f"--host {options.host} lets other machines connect, and needs a token: set "
            f"the environment variable {options.token_env}, or listen at 127.0.0.1."
        )
    teacher = None if options.teacher is None else teacher_of(options)

    def load() -> Any:
        cascade = load_cascade(Path(options.model), teacher)
        say(described(cascade))
        return cascade

    def tell(cascade: Any) -> None:
        report = cascade.report(options.teacher_price)
        if report.n_texts and cascade.curve_.n_texts:
            say(str(report))

    uvicorn.run(
        make_app(load, token, tell),
        host=options.host,
        port=options.port,
        access_log=options.access_log,
        timeout_graceful_shutdown=_GRACE_S,
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
