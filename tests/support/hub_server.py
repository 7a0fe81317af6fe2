"""Model hub on the loopback interface, for requests of the hub library, with faults on demand.

Large files such as weights are listed with their sha256, as on the real hub, and other files with git's blob id.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pytest

from harness.inputs import hub

_LFS = (".safetensors", ".bin", ".parquet")
_API = {"models": "", "datasets": "datasets/"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Failure of a repository or a file. *code* is the hub's own name for a status.

    *short_by* bytes are missing from a body that is declared so; *cut_by* bytes from one that is promised whole.
    """

    status: int | None = None
    code: str | None = None
    download_status: int | None = None  # for who wants the bytes; the listing and the headers are fine
    latency_s: float = 0.0
    short_by: int = 0
    cut_by: int = 0
    flipped: bool = False  # the right number of bytes, one of them another
    body: bytes | None = None  # in place of the listing


@dataclass(slots=True, kw_only=True)
class HubServer:
    """Repositories by name; a data set's name starts with `datasets/`.

    *faults* are by repository ("org/tiny": its listing), by file ("org/tiny/config.json") or of all its files
    ("org/tiny/*"). *asked* holds the method and path of each request, in order.
    """

    repositories: dict[str, dict[str, bytes]]
    endpoint: str = ""
    faults: dict[str, Fault] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def commit(self, repository: str) -> str:
        """Id of the only commit, a hash of the files; main and v1 point to it."""
        files = sorted(self.repositories[repository].items())
        return hashlib.sha1(repr(files).encode(), usedforsecurity=False).hexdigest()

    def downloaded(self) -> list[str]:
        """Names of the files whose bytes were requested, once per request."""
        return [path.rpartition("/")[2] for path in self.asked if path.startswith("GET ") and "/resolve/" in path]


def in_place_of_the_hub(patch: pytest.MonkeyPatch, server: HubServer, cache: Path) -> None:
    """Have the real library ask *server*, and keep its files under *cache*."""
    location = {"endpoint": server.endpoint, "cache_dir": cache}
    patch.setattr(hub, "HfApi", partial(huggingface_hub.HfApi, endpoint=server.endpoint))
    patch.setattr(hub, "snapshot_download", partial(huggingface_hub.snapshot_download, **location))
    patch.setattr(hub, "try_to_load_from_cache", partial(huggingface_hub.try_to_load_from_cache, cache_dir=cache))
    patch.setattr(time, "sleep", lambda _: None)  # the library waits before it tries again


@contextmanager
def serving(repositories: dict[str, dict[str, bytes]]) -> Iterator[HubServer]:
    """Serve *repositories* on a free port for as long as the block lasts."""
    hub_server = HubServer(repositories=repositories)
    handler = type("Handler", (_Handler,), {"hub": hub_server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub_server.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub_server
        finally:
            hub_server.closing.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.asked.append(f"{self.command} /{path}")
        head, _, remaining_path = path.partition("/")
        if not path:
            self._answer(200, b"a hub")
        elif "/resolve/" in path:
            self._file(path)
        elif head == "api" and remaining_path.partition("/")[0] in _API:
            kind, _, remaining_path = remaining_path.partition("/")
            self._api(_API[kind], remaining_path)
        else:
            self._answer(404, b"")  # the library also asks for things that no download needs

    def _api(self, prefix: str, path: str) -> None:
        org, name, *tail = path.split("/", 3)
        repository = f"{prefix}{org}/{name}"
        if self._refused(repository, revision=tail[1] if tail else "main"):
            return
        files = self.hub.repositories[repository].items()
        listing: Any
        if tail and tail[0] == "tree":
            listing = [
                {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}
                | ({"lfs": {"oid": _sha256(content), **_sizes(content)}} if path.endswith(_LFS) else {})
                for path, content in files
            ]
        else:
            siblings = [
                {"rfilename": path} | (self._facts(path, content) if "blobs=" in self.path else {})
                for path, content in files
            ]
            listing = {"id": f"{org}/{name}", "sha": self.hub.commit(repository), "siblings": siblings}
        body = self._fault(repository).body
        self._answer(200, json.dumps(listing).encode() if body is None else body, {"Content-Type": "application/json"})

    def _facts(self, path: str, content: bytes) -> dict[str, Any]:
        entry = {"size": len(content), "blobId": _blob(content)}
        return entry | ({"lfs": {"sha256": _sha256(content), **_sizes(content)}} if path.endswith(_LFS) else {})

    def _file(self, path: str) -> None:
        repository, _, revision_and_name = path.partition("/resolve/")
        revision, _, name = revision_and_name.partition("/")
        key = f"{repository}/{name}"
        if self._refused(key, revision=revision, repository=repository):
            return
        content, fault = self.hub.repositories[repository].get(name), self._fault(key, repository)
        headers = {"X-Repo-Commit": self.hub.commit(repository)}
        if content is None:
            self._answer(404, b"", {**headers, "X-Error-Code": "EntryNotFound"})
        elif self.command == "GET" and fault.download_status is not None:
            self._answer(fault.download_status, b"", headers)
        else:
            etag = _sha256(content) if name.endswith(_LFS) else _blob(content)
            self._send(content, fault, {**headers, "ETag": f'"{etag}"'})

    def _send(self, content: bytes, fault: Fault, headers: dict[str, str]) -> None:
        if fault.flipped:
            content = bytes([content[0] ^ 1]) + content[1:]
        if self.command == "GET":
            content = content[: len(content) - fault.short_by]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if start:
            headers = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        sent = content[start : len(content) - fault.cut_by]
        self._answer(206 if start else 200, sent, headers, length=len(content) - start)

    def _refused(self, key: str, *, revision: str, repository: str | None = None) -> bool:
        fault = self._fault(key, repository)
        self.hub.closing.wait(fault.latency_s)
        if fault.status is not None:
            self._answer(fault.status, b"", {"X-Error-Code": fault.code} if fault.code else {})
        elif (repository or key) not in self.hub.repositories:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif revision not in {"main", "v1", self.hub.commit(repository or key)}:
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            return False
        return True

    def _fault(self, key: str, repository: str | None = None) -> Fault:
        faults = self.hub.faults
        return faults.get(key) or (faults.get(f"{repository}/*") if repository else None) or Fault()

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Log nothing: `asked` holds the requests."""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _blob(content: bytes) -> str:
    """Return the git blob id of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _sizes(content: bytes) -> dict[str, int]:
    return {"size": len(content), "pointerSize": 130}
