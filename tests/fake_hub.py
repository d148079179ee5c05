"""A small hub on loopback that speaks the Hugging Face Hub's protocol, for tests.

It holds repositories of data sets and models with revisions, gates, tokens, and downloads that break
off, and counts what it is asked.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = 2000
"""Files of this size and more are served like large files: by a redirect to another path."""


@dataclass
class Repo:
    """A repository: files by commit, commits by name."""

    kind: str
    name: str
    is_gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def push(self, files: dict[str, bytes], *, branch: str = "main") -> str:
        """Make the files a commit and a branch point to it."""
        digest = hashlib.sha1(f"{self.kind}/{self.name}".encode(), usedforsecurity=False)
        for path, content in sorted(files.items()):
            digest.update(path.encode() + b"\0" + content)
        commit = digest.hexdigest()
        self.commits[commit] = dict(files)
        self.refs[branch] = commit
        return commit

    def commit_of(self, revision: str) -> str | None:
        if revision in self.commits:
            return revision
        return self.refs.get(revision)


@dataclass
class FakeHub:
    """The hub's state; a test changes it while the server runs."""

    endpoint: str = ""
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    tokens: dict[str, set[str]] = field(default_factory=dict)
    """Valid tokens, each with the gated repositories that its account may read."""
    breaks: int = 0
    """So many downloads of large files break off after half of what they should send."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Range header of every request."""
    authorizations: list[str | None] = field(default_factory=list)

    @property
    def elsewhere(self) -> str:
        """The same server under another name, as large files come from another host."""
        return self.endpoint.replace("127.0.0.1", "localhost")

    def add(self, kind: str, name: str, files: dict[str, bytes], **settings: bool) -> Repo:
        """Make a repository with one commit on main."""
        repo = self.repos[kind, name] = Repo(kind, name, **settings)
        repo.push(files)
        return repo


def etag_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub: FakeHub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        sent = self.headers.get("Authorization")
        with self.server.lock:
            hub.requests.append((self.command, path, self.headers.get("Range")))
            hub.authorizations.append(sent)
        token = sent.removeprefix("Bearer ") if sent else None
        if token is not None and token not in hub.tokens:
            return self._fail(401, None, "Invalid credentials in Authorization header")
        parts = path.strip("/").split("/")
        if parts[0] == "cdn":
            return self._content(hub, parts[1])
        is_api = parts[0] == "api"
        parts = parts[1:] if is_api else parts
        kind = "model"
        if parts[0] in ("datasets", "models"):
            kind, parts = parts[0].removesuffix("s"), parts[1:]
        name, rest = "/".join(parts[:2]), parts[2:]
        repo = hub.repos.get((kind, name))
        if repo is None:
            return self._fail(401 if token is None else 404, "RepoNotFound", "Repository not found")
        if is_api:
            return self._api(repo, rest)
        return self._file(hub, repo, rest, token)

    def _api(self, repo: Repo, rest: list[str]) -> None:
        what = rest[0] if rest else "revision"
        revision = "/".join(rest[1:]) or "main"
        commit = repo.commit_of(revision)
        if commit is None:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        files = repo.commits[commit]
        if what == "tree":
            return self._json([self._entry(path, files[path]) for path in sorted(files)])
        return self._json(
            {
                "id": repo.name,
                "sha": commit,
                "private": False,
                "gated": "auto" if repo.is_gated else False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [{"rfilename": path} for path in sorted(files)],
            }
        )

    def _entry(self, path: str, content: bytes) -> dict[str, object]:
        entry: dict[str, object] = {
            "type": "file",
            "oid": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            "size": len(content),
            "path": path,
        }
        if len(content) >= LARGE:
            entry["lfs"] = {"oid": etag_of(content), "size": len(content), "pointerSize": 130}
        return entry

    def _file(self, hub: FakeHub, repo: Repo, rest: list[str], token: str | None) -> None:
        if repo.is_gated and token is None:
            return self._fail(401, "GatedRepo", f"Access to {repo.name} is restricted.")
        if repo.is_gated and repo.name not in hub.tokens.get(token or "", set()):
            return self._fail(403, "GatedRepo", f"Access to {repo.name} is restricted.")
        commit = repo.commit_of(rest[1])
        if commit is None:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {rest[1]}")
        content = repo.commits[commit].get("/".join(rest[2:]))
        if content is None:
            return self._fail(404, "EntryNotFound", "Entry not found", commit=commit)
        if len(content) < LARGE:
            return self._send(content, {"ETag": f'"{etag_of(content)}"', "X-Repo-Commit": commit})
        with self.server.lock:
            self.server.large[etag_of(content)] = content
        self.send_response(302)
        headers = {
            "Location": f"{hub.elsewhere}/cdn/{etag_of(content)}",
            "X-Linked-Etag": f'"{etag_of(content)}"',
            "X-Linked-Size": str(len(content)),
            "X-Repo-Commit": commit,
            "Content-Length": "0",
        }
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        return None

    def _content(self, hub: FakeHub, etag: str) -> None:
        content = self.server.large[etag]
        begin = 0
        if asked := self.headers.get("Range"):
            begin = int(asked.removeprefix("bytes=").split("-")[0])
        with self.server.lock:
            breaks, hub.breaks = hub.breaks > 0 and self.command == "GET", max(hub.breaks - 1, 0)
        rest = content[begin:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", f'"{etag}"')
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(rest[: len(rest) // 2] if breaks else rest)
            self.close_connection = breaks

    def _json(self, value: object) -> None:
        self._send(json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _fail(self, status: int, code: str | None, said: str, *, commit: str | None = None) -> None:
        body = json.dumps({"error": said}).encode()
        self.send_response(status)
        if code is not None:
            self.send_header("X-Error-Code", code)
        if commit is not None:
            self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Error-Message", said)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Serve an empty hub on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.hub = hub = FakeHub(endpoint=f"http://127.0.0.1:{server.server_address[1]}")
    server.lock, server.large = threading.Lock(), {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
