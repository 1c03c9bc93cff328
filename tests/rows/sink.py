"""Somebody's server on loopback that takes events by POST, on a thread of its own."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Sink:
    """What came to each path, and what is answered there: 200 unless `says` has something else."""

    def __init__(self) -> None:
        self.came: dict[str, list[tuple[dict[str, str], bytes]]] = {}
        self.asked: dict[str, int] = {}
        self.says: dict[str, tuple[int, dict[str, str]]] = {}
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                status, headers = sink.heard(self.path, dict(self.headers.items()), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def heard(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        with self._lock:
            self.asked[path] = self.asked.get(path, 0) + 1
            status, fields = self.says.get(path, (200, {}))
            if status == 200:
                lower = {name.lower(): value for name, value in headers.items()}
                self.came.setdefault(path, []).append((lower, body))
            return status, fields

    def events(self, path: str) -> list[dict[str, Any]]:
        """Batches taken apart."""
        found: list[dict[str, Any]] = []
        for _, body in self.came.get(path, []):
            shown = json.loads(body)
            found += shown if isinstance(shown, list) else [shown]
        return found

    def texts(self, path: str) -> list[str]:
        """Of posts, in the order in which they came."""
        posts = [e for e in self.events(path) if e["type"] == "sotto.message.posted"]
        return [str(event["data"]["op"]["body"]["text"]) for event in posts]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
