"""HTTP interface of a review: the page, and the questions and answers it exchanges.

Everything stands under a secret path, and is answered only to addresses that are numbers
or `localhost`: other sites know no address to send a form to, and a name that is made to
point to this machine is refused.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skllkd.exceptions import InvalidParameterError
from skllkd.serving.middleware import BodyLimit
from skllkd.serving.review.messages import results_message, state_message, trial_message
from skllkd.serving.review.pool import ReviewPool
from skllkd.serving.review.session import MAX_NOTE, AnsweredError, ReviewSession
from skllkd.serving.review.trial import TextTrials

_MAX_BODY_BYTES, _MAX_CHARACTERS = 2**20, 100_000
_PAGE = {"": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


_Place = Annotated[int, Field(ge=0)]


class AnswerForm(BaseModel):
    """A class by its place, or a list of several; none for unsure."""

    model_config = ConfigDict(extra="forbid")
    key: str
    gold: _Place | list[_Place] | None
    note: str = Field("", max_length=MAX_NOTE)


class TextKey(BaseModel):
    """The key of a text."""

    model_config = ConfigDict(extra="forbid")
    key: str


class TextForm(BaseModel):
    """A text to try."""

    model_config = ConfigDict(extra="forbid")
    text: Annotated[str, Field(min_length=1, max_length=_MAX_CHARACTERS)]


@dataclass(frozen=True)
class Reviewed:
    """A classifier under review, and how it is fitted again."""

    name: str
    classifier: Any
    threshold: float | None
    refit_command: str


def make_review_app(session: ReviewSession, reviewed: Reviewed, token: str) -> FastAPI:
    """Return the application of a review, below the path `/token/`."""
    app = FastAPI(
        title="skllkd review", docs_url=None, redoc_url=None, openapi_url=None
    )
    app.add_middleware(BodyLimit, max_bytes=_MAX_BODY_BYTES)
    app.add_middleware(Guard)
    app.add_exception_handler(InvalidParameterError, _refused)
    app.add_exception_handler(OSError, _refused)
    app.include_router(_router(session, reviewed), prefix=f"/{token}")
    return app


def _router(session: ReviewSession, reviewed: Reviewed) -> APIRouter:
    """Return the addresses of a review."""
    router, trials = APIRouter(), TextTrials(reviewed.classifier, session.pool)

    @router.get("/")
    @router.get("/page.css")
    @router.get("/page.js")
    def page(request: Request) -> Response:
        """Return a file of the page."""
        name = request.url.path.rpartition("/")[2]
        content = files(__package__).joinpath("page", name or "index.html").read_bytes()
        return Response(content, media_type=_PAGE[name])

    @router.get("/state")
    def state() -> dict[str, Any]:
        """Return the text to ask about, the progress and the accuracy so far."""
        return state_message(session, reviewed.name)

    @router.post("/answer")
    def answer(form: AnswerForm) -> dict[str, Any]:
        """Save an answer."""
        gold = _label(form.gold, session.pool)
        try:
            session.answer(session.row_of_key(form.key), gold, form.note)
        except AnsweredError:
            raise _answered() from None
        return state_message(session, reviewed.name)

    @router.post("/skip")
    def skip(form: TextKey) -> dict[str, Any]:
        """Put a text off."""
        try:
            session.skip(session.row_of_key(form.key))
        except AnsweredError:
            raise _answered() from None
        return state_message(session, reviewed.name)

    @router.post("/undo")
    def undo() -> dict[str, Any]:
        """Take the last answer back."""
        taken = session.undo()
        note = "" if taken is None else taken.note
        return state_message(session, reviewed.name) | {"note": note}

    @router.get("/results")
    def results() -> dict[str, Any]:
        """Return the results so far."""
        return results_message(session) | {"command": reviewed.refit_command}

    @router.post("/try")
    def try_text(form: TextForm) -> dict[str, Any]:
        """Return the student's view of a text, and its neighbours."""
        trial = trials.try_text(form.text)
        return trial_message(session, trial, reviewed.threshold)

    return router


def _label(places: int | list[int] | None, pool: ReviewPool) -> Any:
    """Return the label of places of classes, or refuse them; None for unsure."""
    if places is None:
        return None
    if isinstance(places, list) != pool.multilabel:
        wanted = "a list of classes" if pool.multilabel else "one class"
        raise HTTPException(422, f"a text has {wanted}")
    given = places if isinstance(places, list) else [places]
    if any(place >= len(pool.classes) for place in given):
        raise HTTPException(422, f"there are {len(pool.classes)} classes")
    names = tuple(pool.classes[place] for place in given)
    return names if pool.multilabel else names[0]


def _answered() -> HTTPException:
    """Return the refusal of a second answer."""
    return HTTPException(409, "this text has an answer already, from another window")


async def _refused(request: Request, error: Exception) -> Response:
    """Return an error in words: an answer that could not be saved, or is none."""
    status = 422 if isinstance(error, InvalidParameterError) else 507
    return JSONResponse({"detail": str(error)}, status_code=status)


class Guard:
    """Refuse foreign names of this machine, and tell browsers to run nothing foreign."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if it is addressed to a number or to `localhost`."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if not is_number_or_local(Headers(scope=scope).get("host", "")):
            refusal = JSONResponse({"detail": "unknown host"}, status_code=403)
            await refusal(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


def is_number_or_local(host: str) -> bool:
    """Return whether the host of a request is an IP address or `localhost`."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name == "localhost"
    return True
