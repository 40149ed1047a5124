"""A server that speaks the OpenAI API badly: a proxy, or a quick stub, with faults.

Which fault a request meets is drawn from the text, the attempt and a seed, so that it
does not depend on how threads take turns.
"""

import contextlib
import hashlib
import json
import math
import random
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

#: Faults that another attempt gets over.
PASSING = ["429", "429 after", "500", "503", "reset", "truncated", "cut", "not json"]
PASSING += ["slow", "no logprobs", "empty"]
#: A word of a text, and the letter of its class in the stub's mind.
LETTERS = {"alpha": "A", "beta": "B", "gamma": "C"}


def text_of(body):
    """Return the text a request asks about."""
    content = body["messages"][-1]["content"]
    assert content.startswith("Text: ") and content.endswith("\nClass?")
    return content[len("Text: ") : -len("\nClass?")]


def letter_probabilities(text):
    """Return what the stub thinks of a text: a letter each, deterministic."""
    favourite = next((LETTERS[w] for w in text.split() if w in LETTERS), "A")
    rng = random.Random(text)
    share = {letter: 0.02 + 0.08 * rng.random() for letter in "ABC"}
    share[favourite] = 0.6 + 0.1 * rng.random()
    return share


def completion(content, logprobs=None, finish="stop", n=1, **message):
    """Return a chat completion."""
    choices = [
        {
            "index": i,
            "message": {"role": "assistant", "content": content, **message},
            "logprobs": logprobs,
            "finish_reason": finish,
        }
        for i in range(n)
    ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "stub",
        "choices": choices,
        "usage": {"prompt_tokens": 50, "completion_tokens": n, "total_tokens": 50 + n},
    }


def top_logprobs(probability):
    """Return the log-probabilities of a first token as the API lists them."""
    ranked = sorted(probability.items(), key=lambda item: -item[1])
    top = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in ranked]
    return {"content": [{**top[0], "top_logprobs": top}]}


def stub(body):
    """Answer a request as a well-behaved server with a small mind."""
    share = letter_probabilities(text_of(body))
    best = max(share, key=share.get)
    content = best
    if "response_format" in body:
        content = json.dumps({"class": best})
    logprobs = None
    if body.get("logprobs"):
        logprobs = top_logprobs({**share, "The": 0.05, f" {best}": 0.01})
    return completion(content, logprobs, "length", body.get("n", 1))


class FaultyServer:
    """A server on loopback that forwards to another, or answers by a stub, with faults.

    `faults` maps the kinds to their rates. `log` holds (text, fault) for each request
    for a completion, "" for one answered well.
    """

    def __init__(self, upstream=None, faults=None, seed=0, slow_s=1.0, answer=stub):
        self.upstream, self.faults, self.seed = upstream, faults or {}, seed
        self.slow_s, self.answer = slow_s, answer
        self.log, self.files, self.batches = [], {}, {}
        self.headers, self.listed = [], None
        self._attempts, self._lock = Counter(), threading.Lock()
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._httpd.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self._httpd.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._httpd.shutdown()
        self._httpd.server_close()

    def answered(self):
        """Return how often each text was answered well."""
        return Counter(text for text, fault in self.log if fault in ("", "outside"))

    def draw(self, text):
        """Return the fault of a request about a text, "" for none."""
        with self._lock:
            attempt = self._attempts[text]
            self._attempts[text] += 1
        chance = random.Random(f"{self.seed} {text} {attempt}").random()
        for fault, rate in self.faults.items():
            if chance < rate:
                return fault
            chance -= rate
        return ""

    def complete(self, body):
        """Return a status and a completion, from the other server or the stub."""
        if self.upstream is None:
            return 200, self.answer(body)
        request = urllib.request.Request(
            f"{self.upstream}/chat/completions",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def _handler(server):  # noqa: N805 - `self` is the handler's inside
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle(self):
                # a client that did not wait
                with contextlib.suppress(ConnectionError, TimeoutError, OSError):
                    super().handle()

            def send(self, status, content, headers=(), cut=0):
                data = content if isinstance(content, bytes) else json.dumps(content)
                data = data if isinstance(data, bytes) else data.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data[: len(data) - cut])
                if cut:
                    self.close_connection = True

            def do_GET(self):
                path = urlsplit(self.path).path.removeprefix("/v1")
                if path == "/models" and server.listed is not None:
                    return self.send(200, server.listed)
                name = path.removesuffix("/content").rpartition("/")[2]
                if path.startswith("/batches/") and name in server.batches:
                    return self.send(200, server.batches[name])
                if path.startswith("/files/") and name in server.files:
                    return self.send(200, server.files[name])
                return self.send(404, {"error": {"message": f"no {path}"}})

            def do_POST(self):
                data = self.rfile.read(int(self.headers["Content-Length"]))
                path = urlsplit(self.path).path.removeprefix("/v1")
                if path == "/files":
                    name = f"file-{len(server.files)}"
                    server.files[name] = _part(data, self.headers["Content-Type"])
                    return self.send(200, {"id": name, "object": "file"})
                if path == "/batches":
                    return self.send(200, server.start_batch(json.loads(data)))
                server.headers.append(dict(self.headers))
                body = json.loads(data)
                text = text_of(body)
                fault = server.draw(text)
                server.log.append((text, fault))
                return self.meet(fault, body)

            def meet(self, fault, body):
                if fault == "429":
                    return self.send(429, {"error": {"message": "slow down"}})
                if fault == "429 after":
                    wait = [("Retry-After", "0")]
                    return self.send(429, {"error": {"message": "slow down"}}, wait)
                if fault in ("500", "503"):
                    return self.send(int(fault), {"error": {"message": "sorry"}})
                if fault == "reset":
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, linger
                    )
                    self.close_connection = True
                    return self.connection.close()
                if fault == "not json":
                    return self.send(200, b"<html>Bad gateway</html>")
                if fault == "empty":
                    return self.send(200, {"choices": []})
                if fault == "slow":
                    time.sleep(server.slow_s)
                status, answer = server.complete(body)
                if fault == "outside":
                    answer = completion("perhaps", top_logprobs({"perhaps": 0.9}))
                if fault == "no logprobs":
                    answer["choices"][0]["logprobs"] = None
                if fault == "truncated":
                    return self.send(status, answer, cut=40)
                if fault == "cut":
                    return self.send(status, json.dumps(answer)[:-40].encode())
                return self.send(status, answer)

        return Handler

    def start_batch(self, wanted):
        """Answer the lines of a file, each as a request of its own."""
        lines = self.files[wanted["input_file_id"]].decode().splitlines()
        answers, errors = [], []
        for line in map(json.loads, lines):
            text = text_of(line["body"])
            fault = self.draw(text)
            self.log.append((text, fault))
            answer = {"id": "line", "custom_id": line["custom_id"], "error": None}
            if fault:
                answer["response"] = {
                    "status_code": 500,
                    "body": {"error": {"message": "sorry"}},
                }
                errors.append(answer)
            else:
                status, body = self.complete(line["body"])
                answer["response"] = {"status_code": status, "body": body}
                answers.append(answer)
        name = f"batch_{len(self.batches)}"
        for kind, some in (("output", answers), ("error", errors)):
            self.files[f"{kind}-{name}"] = "\n".join(map(json.dumps, some)).encode()
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "status": "completed",
            "metadata": wanted["metadata"],
            "output_file_id": f"output-{name}" if answers else None,
            "error_file_id": f"error-{name}" if errors else None,
            "request_counts": {
                "total": len(lines),
                "completed": len(answers),
                "failed": len(errors),
            },
        }
        return self.batches[name]


def _part(data, content_type):
    """Return the file in a multipart form."""
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    for part in data.split(b"--" + boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b"filename=" in head:
            return content.removesuffix(b"\r\n")
    raise ValueError(f"no file among {hashlib.sha256(data).hexdigest()}")
