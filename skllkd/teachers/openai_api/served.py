"""Model behind a name on a server of the user's: its listing, and its slots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from skllkd.exceptions import SkllkdError
from skllkd.teachers.openai_api.completion import mapping, number
from skllkd.teachers.openai_api.connection import Connection
from skllkd.teachers.openai_api.server import Server

#: A server that does not say what it serves in this time, in seconds, is not waited for.
_PATIENCE_S = 5.0
#: Numbers in a description of llama-server that belong to the file of a model.
_OF_A_FILE = ("n_params", "size", "n_vocab")
#: Number of requests that kinds of servers take at once, by the owner of their models:
#: llama-cpp-python's answers one after the other, others put them together.
_AT_ONCE = {"me": 1, "vllm": 64, "sglang": 64}


class Served(NamedTuple):
    """Model that a server serves under a name, "" for the name itself."""

    model: str = ""
    n_at_once: int | None = None


def served_model(server: Server) -> Served | None:
    """Ask a server for the model behind a name; None if it does not answer."""
    try:
        connection = Connection(server, _PATIENCE_S)
    except SkllkdError:  # no package, no key: labels that are stored need none
        return None
    try:
        listed, status = _get(connection, "models")
        if status == 0:
            return None
        entry = _entry(listed, server.model)
        n_at_once = _AT_ONCE.get(str(entry.get("owned_by")))
        if entry.get("owned_by") == "llamacpp":
            root = server.base_url.removesuffix("/v1")
            props, _ = _get(connection, "props", root)
            slots = number(mapping(props).get("total_slots"))
            n_at_once = int(slots) if 0 < slots < 1000 else None
    except RecursionError:
        return Served()
    finally:
        connection.close()
    return Served(_identity(entry, server.model), n_at_once)


def _get(connection: Connection, path: str, root: str | None = None) -> tuple[Any, int]:
    """Read the answer of a server at a path, and its status; 0 for no answer."""
    exchange = connection.send("GET", path, root=root)
    try:
        content = exchange.json() if exchange.status == 200 else None
    except (ValueError, RecursionError):
        content = None
    return content, 0 if exchange.problem else exchange.status


def _entry(listed: Any, model: str) -> Mapping[str, Any]:
    """Find a model in a list of models, or the only one there is; {} for none."""
    data = mapping(listed).get("data")
    entries = [mapping(entry) for entry in data] if isinstance(data, list) else []
    named = [entry for entry in entries if entry.get("id") == model]
    found = named or entries
    return found[0] if len(found) == 1 else {}


def _identity(entry: Mapping[str, Any], model: str) -> str:
    """Describe a model by the details the server lists beside the name, "" for none."""
    names = [entry.get("id"), entry.get("root")]
    words = [PurePath(name).name for name in names if isinstance(name, str)]
    words = [word for word in dict.fromkeys(words) if word != PurePath(model).name]
    of_file = mapping(entry.get("meta"))
    counts = {name: number(of_file.get(name)) for name in _OF_A_FILE}
    words += [f"{name}={n:.0f}" for name, n in counts.items() if 0 < n < 1e18]
    return " ".join(words)
