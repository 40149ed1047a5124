"""Address of a model, and the name under which its key is found."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from skllkd._core.masking import mask, shorten
from skllkd.exceptions import InvalidParameterError

_OPENAI_URL = "https://api.openai.com/v1"
#: Longest message of a server that is shown, in characters.
_SHOWN = 300


@dataclass(frozen=True)
class Server:
    """Address of a server, a model there, and the environment variable with the key."""

    base_url: str
    model: str
    api_key_env: str

    @classmethod
    def found(cls, base_url: str | None, model: str, api_key_env: str) -> Server:
        """Find the address: the one given, that of the environment, or OpenAI's."""
        url = base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI_URL
        problem = address_problem(url)
        if problem:
            raise InvalidParameterError(
                "the environment variable OPENAI_BASE_URL must hold an address such as "
                f"http://localhost:8000/v1; it holds one {problem}. Correct it, or set "
                "`base_url`."
            )
        return cls(url.rstrip("/"), model, api_key_env)

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine."""
        return _host(self.base_url) == "localhost"

    @property
    def is_private(self) -> bool:
        """Whether the server is the user's own, where a model's name may be made up."""
        host = _host(self.base_url)
        if "." not in host and ":" not in host:
            return True
        try:
            return ip_address(host.strip("[]")).is_private
        except ValueError:
            return host.endswith((".local", ".lan", ".internal", ".home.arpa"))

    @property
    def address(self) -> str:
        """The address in one spelling, so that the same server has the same name."""
        parts = urlsplit(self.base_url)
        is_usual = parts.port in (None, 443 if parts.scheme == "https" else 80)
        port = "" if is_usual else f":{parts.port}"
        return f"{parts.scheme}://{_host(self.base_url)}{port}{parts.path.rstrip('/')}"

    def key(self) -> str:
        """Read the key, which is to be kept in no variable; "none" where none is needed."""
        return os.environ.get(self.api_key_env) or "none"

    def check_key(self) -> None:
        """Raise InvalidParameterError if a key is missing, or cannot be one."""
        if not os.environ.get(self.api_key_env):
            if urlsplit(self.base_url).hostname != urlsplit(_OPENAI_URL).hostname:
                return
            raise InvalidParameterError(
                f"`api_key_env` names the environment variable {self.api_key_env}, which "
                "is not set. Set it to your key before Python starts, or give the name "
                "of the variable that holds it. For a server of your own, set `base_url`."
            )
        if not re.fullmatch("[!-~]+", os.environ[self.api_key_env]):
            raise InvalidParameterError(
                f"the environment variable {self.api_key_env} (`api_key_env`) holds white "
                "space, a line break or a character outside ASCII, which no key has. Was "
                "it read from a file with its line end?"
            )

    def mask(self, text: str) -> str:
        """Mask the key in a whole message, put it on one line, and cut it."""
        return shorten(mask(text, os.environ.get(self.api_key_env)), _SHOWN)


def _host(url: str) -> str:
    """Read the host of an address, "localhost" for any name of this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        return "localhost" if host.endswith(".localhost") else host
    is_here = address.is_loopback or address.is_unspecified
    return "localhost" if is_here else f"[{address}]" if address.version == 6 else host


def is_variable_name(value: Any) -> bool:
    """Tell the name of an environment variable from a key: capitals, or one that is set."""
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", value):
        return False
    return value == value.upper() or value in os.environ


def address_problem(value: Any) -> str:
    """Describe the problem of an API's address without showing it, "" for none."""
    try:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return "without http:// or a host"
        if parts.port == 0:
            return "with a port that is none"
        if parts.username is not None or parts.password is not None:
            return "with a user or a password"
    except (ValueError, TypeError, AttributeError):
        return "that cannot be read"
    return "with a query" if parts.query or parts.fragment else ""
