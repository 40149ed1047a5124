"""HTTP interface of a classifier: predictions, health and metrics."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from skllkd._core.class_tree import Level
from skllkd._version import __version__
from skllkd.exceptions import InvalidParameterError, SkllkdError
from skllkd.serving.batching import QueueFullError
from skllkd.serving.cascade import CascadeClassifier
from skllkd.serving.decisions import Decisions
from skllkd.serving.metrics import ServerMetrics
from skllkd.serving.middleware import BodyLimit, Timing
from skllkd.serving.model import ServedModel

MAX_TEXTS, MAX_CHARACTERS, MAX_BODY_BYTES, MAX_LEVEL = 1024, 100_000, 8 * 2**20, 100
_RETRY_AFTER_S = 1
_BEARER = HTTPBearer(auto_error=False)
_log = logging.getLogger("uvicorn.error")

Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]


def _whole(value: Any) -> Any:
    """Return 1.0 as 1: both are the same integer in JSON."""
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


LevelNumber = Annotated[
    int, BeforeValidator(_whole), Field(strict=True, ge=1, le=MAX_LEVEL)
]


class Failure(BaseModel):
    """The reason of a failure."""

    detail: str


def _failure(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """Return the description of a failure for the OpenAPI document."""
    return {status: {"model": Failure, "description": description}}


_FAILURES = {
    400: _failure(400, "The body cannot be read"),
    401: _failure(401, "The token is missing or wrong"),
    404: _failure(404, "The classes have no such level"),
    413: _failure(413, "The body is too large"),
    503: _failure(503, "Too many texts wait"),
}
_REFUSED_TEXTS = _FAILURES[400] | _FAILURES[404] | _FAILURES[413] | _FAILURES[503]
#: Of a path whose other answers are plain text.
_REFUSED_METRICS: dict[int | str, dict[str, Any]] = {
    401: {
        "description": "The token is missing or wrong",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}
        },
    }
}


class Query(BaseModel):
    """One text, or up to 1,024."""

    model_config = ConfigDict(extra="forbid")
    texts: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]
    level: LevelNumber | None = Field(
        None, description="of a tree of classes: 1 for the groups at the top"
    )


class Prediction(BaseModel):
    """The answer to a text."""

    label: str | int | float | bool | list[str | int | bool] | None
    confidence: float = Field(ge=0, le=1)
    source: Literal["student", "teacher", "abstained"]


class Predictions(BaseModel):
    """The answers to the texts, in their order."""

    predictions: list[Prediction]


class Health(BaseModel):
    """The state of the server."""

    status: Literal["ok"]
    version: str
    classes: list[str | int | float | bool]
    threshold: float | None = Field(description="null if nothing is answered alone")
    promise_holds: bool
    n_waiting: int


def make_app(
    load: Callable[[], CascadeClassifier],
    token: str | None = None,
    at_end: Callable[[CascadeClassifier], None] | None = None,
) -> FastAPI:
    """Return the application of a model, which is read now and again on SIGHUP.

    At the end, `at_end` is called with the model served last.
    """
    model = _Current(load, at_end)
    metrics = ServerMetrics(lambda: model.served)
    app = FastAPI(
        title="skllkd",
        version=__version__,
        description="Predictions of a distilled text classifier.",
        lifespan=model.lifespan,
    )
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)
    app.add_middleware(Timing, path="/predict", report=metrics.add)
    app.add_exception_handler(RequestValidationError, _invalid)
    protected = [] if token is None else [Depends(_token_check(token))]
    refusals = {} if token is None else _FAILURES[401]

    @app.post(
        "/predict",
        dependencies=protected,
        responses=refusals | _REFUSED_TEXTS,
    )
    async def predict(query: Query) -> Predictions:
        """Predict the class of one text or of up to 1,024."""
        texts = [query.texts] if isinstance(query.texts, str) else query.texts
        served = model.served
        groups = _groups(served, query.level)
        try:
            decided = await served.decide(texts)
        except QueueFullError:
            hint = {"Retry-After": str(_RETRY_AFTER_S)}
            raise HTTPException(503, "too many texts wait; try later", hint) from None
        return _predictions(decided if groups is None else decided.in_groups(groups))

    @app.get("/health")
    async def health() -> Health:
        """Say that the server answers, and whether the promise of the cascade holds."""
        cascade = model.served.cascade
        threshold = cascade.threshold_
        return Health(
            status="ok",
            version=__version__,
            classes=cascade.classes_.tolist(),
            threshold=threshold if threshold <= 1 else None,
            promise_holds=cascade.audit_.holds,
            n_waiting=model.served.students.n_waiting,
        )

    @app.get(
        "/metrics",
        dependencies=protected,
        response_class=PlainTextResponse,
        responses=None if token is None else _REFUSED_METRICS,
    )
    async def prometheus() -> Response:
        """Return counts and durations for Prometheus."""
        return PlainTextResponse(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return app


class _Current:
    """The model served at present, which SIGHUP replaces."""

    def __init__(
        self,
        load: Callable[[], CascadeClassifier],
        at_end: Callable[[CascadeClassifier], None] | None = None,
    ) -> None:
        self.load, self.at_end = load, at_end
        self.served = ServedModel(load())
        self._reloading: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Listen to SIGHUP while the server runs, and end the threads after it."""
        loop = asyncio.get_running_loop()
        # Not on Windows, nor in a thread beside the main one.
        with suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        yield
        self.served.close()
        if self.at_end is not None:
            self.at_end(self.served.cascade)

    def _reload_soon(self) -> None:
        """Begin to read the model anew, unless it is being read."""
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self.reload())

    async def reload(self) -> None:
        """Read the model anew; if it cannot be read, the one of before stays.

        Requests that were taken in are answered by the model they were taken in for.
        """
        try:
            self.served = ServedModel(await asyncio.to_thread(self.load))
        except (SkllkdError, OSError) as error:
            _log.error("the model was not read anew: %s", error)
            return
        _log.info("the model was read anew")


def _token_check(token: str) -> Callable[..., None]:
    """Return a dependency that refuses requests without the token."""

    def check(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        known = token.encode()  # as it is sent: a header's bytes, read as latin-1
        if given is None or not secrets.compare_digest(
            given.credentials.encode("latin-1"), known
        ):
            raise HTTPException(
                401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"}
            )

    return check


async def _invalid(request: Request, error: Exception) -> Response:
    """Return where a request is invalid, without what was sent."""
    assert isinstance(error, RequestValidationError)
    kept = ("loc", "msg", "type")
    detail = [{name: fault[name] for name in kept} for fault in error.errors()]
    return JSONResponse({"detail": detail}, status_code=422)


def _groups(served: ServedModel, level: int | None) -> Level | None:
    """Return the groups at a level, or refuse one that the classes do not have."""
    try:
        return served.cascade._groups(level)
    except InvalidParameterError as error:
        raise HTTPException(404, str(error)) from None


def _predictions(decided: Decisions) -> Predictions:
    """Return decisions as the response holds them."""
    rows = zip(
        decided.label.tolist(),
        decided.confidence.tolist(),
        decided.source,
        strict=True,
    )
    return Predictions(
        predictions=[
            Prediction(label=label, confidence=min(confidence, 1.0), source=source)
            for label, confidence, source in rows
        ]
    )
