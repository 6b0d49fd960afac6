"""A Hub for tests: speaks to the real huggingface_hub over loopback and fails on demand. Tests start it with `Hub`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self, cast
from urllib.parse import parse_qs, quote, unquote

LARGE = 10_000_000
CHUNK = 65536
BAD_TOKEN = "Invalid credentials in Authorization header"
LOGIN_PAGE = b"<html><body>Welcome to the airport. Please login.</body></html>"
ACTIONS = {"status", "cut", "corrupt", "html", "redirect", "ignore_range", "hang", "drop_after", "pad"}


@dataclass
class Call:
    """One request; `names` are the parts of its path that the route named, unquoted."""

    server: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    names: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return json.loads(self.body)

    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.path.partition("?")[2])


@dataclass
class Answer:
    """One response; after `cut` bytes of the body, if that is set, the connection is closed."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None


def in_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def in_bytes(content: bytes) -> Answer:
    return Answer(200, {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}, content)


class HubError(Exception):
    """A request that the Hub refuses; the client tells the reasons apart by the headers."""

    def __init__(self, status: int, message: str, code: str | None = None, commit: str | None = None) -> None:
        headers = {"X-Error-Message": message, "X-Error-Code": code, "X-Repo-Commit": commit}
        self.answer = in_json({"error": message}, status)
        self.answer.headers |= {name: ascii(value)[1:-1] for name, value in headers.items() if value}


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_lfs(path: str, size: int) -> bool:
    # The client sends an empty file as a regular one, whatever its name.
    return size > LARGE or (size > 0 and path.endswith(".safetensors"))


class File:
    """A file of a snapshot. Of an LFS file, git itself holds a pointer: its `oid` is that of the pointer."""

    def __init__(self, path: str, content: bytes) -> None:
        self.content = content
        self.sha256 = hashlib.sha256(content).hexdigest() if is_lfs(path, len(content)) else None
        self.pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(content)}\n"
        self.oid = git_hash(self.pointer.encode() if self.sha256 else content)
        self.etag = self.sha256 or self.oid

    def facts(self, oid: str, sha256: str) -> dict[str, Any]:
        """What listings tell of it, with the names that this listing has for the two hashes."""
        size = {"size": len(self.content)}
        lfs = {"lfs": {sha256: self.sha256, "pointerSize": len(self.pointer), **size}} if self.sha256 else {}
        return {oid: self.oid, **size, **lfs}


class Repo:
    """A repository: every commit is a whole snapshot, and branches point to commits."""

    def __init__(self, name: str, private: bool) -> None:
        self.name, self.owner = name, name.partition("/")[0]
        self.private, self.gated = private, False
        self.commits: dict[str, dict[str, File]] = {}
        self.branches: dict[str, str] = {}
        self.commit("main", {".gitattributes": File(".gitattributes", b"*.safetensors filter=lfs diff=lfs -text\n")})

    def commit(self, branch: str, files: dict[str, File]) -> str:
        """Puts a snapshot on top of a branch. Names are taken as they are: tests may plant hostile ones."""
        content = json.dumps([self.branches.get(branch), sorted((path, file.etag) for path, file in files.items())])
        commit = self.branches[branch] = hashlib.sha1(content.encode()).hexdigest()
        self.commits[commit] = files
        return commit

    def resolve(self, revision: str) -> str:
        commit = self.branches.get(revision, revision)
        if commit not in self.commits:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def entries(self, commit: str) -> dict[str, dict[str, Any]]:
        """Every file and folder of a snapshot, by path, as the client wants to be told of it."""
        entries: dict[str, dict[str, Any]] = {}
        for path, file in sorted(self.commits[commit].items()):
            for folder in [str(parent) for parent in PurePosixPath(path).parents if parent.name]:
                entries[folder] = {"type": "directory", "path": folder, "oid": git_hash(folder.encode())}
            entries[path] = {"type": "file", "path": path, **file.facts("oid", "oid")}
        return entries


class Fault:
    """A rule of the tests: what goes wrong, with which requests, how many times more."""

    def __init__(self, rule: dict[str, Any]) -> None:
        self.method: str | None = rule.pop("method", None)
        self.path = re.compile(rule.pop("path", ""))
        self.left: int = rule.pop("times", 1)
        self.headers: dict[str, str] = rule.pop("headers", {})
        self.body: str = rule.pop("body", "")
        if len(rule) != 1 or not ACTIONS.issuperset(rule):
            raise HubError(400, f"A rule has one action of {sorted(ACTIONS)}, not {sorted(rule)}")
        [(self.action, self.value)] = rule.items()

    def concerns(self, call: Call) -> bool:
        """Whether it matches; requests on which its action could have no effect do not count as one of its times."""
        effective = {
            "cut": call.method != "HEAD",
            "corrupt": call.method != "HEAD",
            "ignore_range": "range" in call.headers,
            "redirect": call.server == "hub",
        }.get(self.action, True)
        return effective and self.left != 0 and self.method in (None, call.method) and bool(self.path.search(call.path))


class Service:
    """What both servers know, who may do what with it, and the endpoints."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.url = self.cdn = ""
        self.clear()

    def clear(self) -> None:
        self.users: dict[str, str] = {}
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.plain: dict[str, bytes] = {}
        self.reset()

    def reset(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.faults: list[Fault] = []

    def fault(self, call: Call) -> Fault | None:
        """The first rule that concerns a request; this uses up one of its times."""
        with self.lock:
            fault = next((fault for fault in self.faults if fault.concerns(call)), None)
            if fault is not None and fault.left > 0:
                fault.left -= 1
            return fault

    def user(self, call: Call) -> str | None:
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in self.users:
            raise HubError(401, BAD_TOKEN)
        return self.users.get(token)

    def writer(self, call: Call, namespace: str | None = None) -> str:
        user = self.user(call)
        if user is None:
            raise HubError(401, BAD_TOKEN)
        if namespace not in (None, user):
            raise HubError(403, f"You don't have the rights to write under the namespace {namespace}")
        return user

    def readable(self, call: Call) -> Repo:
        user, repo = self.user(call), self.repos.get(call.names["repo"])
        # The CDN asks nobody: who was sent there was let in by the Hub.
        if repo is not None and (call.server == "cdn" or not repo.private or user == repo.owner):
            return repo
        if user is None:
            raise HubError(401, "Invalid username or password.", "RepoNotFound")
        raise HubError(404, "Repository not found", "RepoNotFound")

    def writable(self, call: Call) -> Repo:
        self.writer(call)
        repo = self.readable(call)
        self.writer(call, repo.owner)
        return repo

    def create_repo(self, call: Call) -> Answer:
        wanted = call.json()
        name = f"{self.writer(call, wanted.get('organization'))}/{wanted['name']}"
        url = f"{self.url}/{name}"
        if name in self.repos:
            return in_json({"error": "You already created this model repo", "url": url}, 409)
        self.repos[name] = Repo(name, private=wanted.get("visibility") == "private")
        return in_json({"url": url, "name": name})

    def delete_repo(self, call: Call) -> Answer:
        wanted = call.json()
        call.names["repo"] = f"{wanted.get('organization') or self.writer(call)}/{wanted['name']}"
        del self.repos[self.writable(call).name]
        return Answer()

    def whoami(self, call: Call) -> Answer:
        access = {"accessToken": {"role": "write"}}
        return in_json({"type": "user", "name": self.writer(call), "orgs": [], "auth": access})

    def validate_yaml(self, _: Call) -> Answer:
        return in_json({"errors": [], "warnings": []})

    def preupload(self, call: Call) -> Answer:
        repo = self.writable(call)
        current, files = repo.commits[repo.resolve(call.names["revision"])], []
        for wanted in call.json()["files"]:
            path, mode = wanted["path"], "lfs" if is_lfs(wanted["path"], wanted["size"]) else "regular"
            oid = current[path].etag if path in current else None
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return in_json({"files": files})

    def lfs_batch(self, call: Call) -> Answer:
        repo = self.writable(call)
        objects = [{"oid": wanted["oid"], "size": wanted["size"]} for wanted in call.json()["objects"]]
        for wanted in objects:
            if wanted["oid"] not in self.objects:
                upload, verify = f"{self.cdn}/lfs/{wanted['oid']}", f"{self.url}/{repo.name}.git/info/lfs/verify"
                wanted["actions"] = {"upload": {"href": upload}, "verify": {"href": verify}}
        return in_json({"transfer": "basic", "objects": objects})

    def lfs_put(self, call: Call) -> Answer:
        if hashlib.sha256(call.body).hexdigest() != call.names["oid"]:
            raise HubError(400, "The content does not have the SHA-256 that was announced")
        self.objects[call.names["oid"]] = call.body
        return Answer()

    def lfs_verify(self, call: Call) -> Answer:
        self.writable(call)
        if len(self.objects.get(call.json()["oid"], b"")) != call.json()["size"]:
            raise HubError(422, "The object was not uploaded, or has another size")
        return Answer()

    def commit(self, call: Call) -> Answer:
        repo, branch = self.writable(call), call.names["revision"]
        head = repo.resolve(branch)
        if branch not in repo.branches or "create_pr" in call.query():
            raise HubError(400, "This Hub takes commits to branches only")
        files = dict(repo.commits[head])
        for item in map(json.loads, call.body.splitlines()):
            match item["key"], item["value"]:
                case "header", value:
                    if not head.startswith(value.get("parentCommit", "")):
                        raise HubError(412, "A commit has happened since. Please refresh and try again.")
                case "file", {"path": path, "content": content}:
                    files[path] = File(path, base64.b64decode(content))
                case "lfsFile", {"path": path, "oid": oid}:
                    if oid not in self.objects:
                        raise HubError(400, f"LFS pointer to a file that does not exist: {path}")
                    files[path] = File(path, self.objects[oid])
                case "deletedFile", {"path": path}:
                    if files.pop(path, None) is None:
                        raise HubError(404, "Entry not found", "EntryNotFound", head)
                case "deletedFolder", {"path": path}:
                    files = {name: file for name, file in files.items() if not name.startswith(path.rstrip("/") + "/")}
                case key, _:
                    raise HubError(400, f"Unknown operation {key}")
        oid = repo.commit(branch, files)
        return in_json({"success": True, "commitOid": oid, "commitUrl": f"{self.url}/{repo.name}/commit/{oid}"})

    def model_info(self, call: Call) -> Answer:
        repo, sizes = self.readable(call), "blobs" in call.query()
        sha = repo.resolve(call.names.get("revision", "main"))
        files = sorted(repo.commits[sha].items())
        siblings = [{"rfilename": path} | (file.facts("blobId", "sha256") if sizes else {}) for path, file in files]
        gated = "manual" if repo.gated else False
        found = {"id": repo.name, "author": repo.owner, "sha": sha, "private": repo.private, "gated": gated}
        return in_json(found | {"tags": [], "siblings": siblings})

    def tree(self, call: Call) -> Answer:
        repo = self.readable(call)
        sha = repo.resolve(call.names["revision"])
        entries, folder = repo.entries(sha), call.names.get("path", "")
        if folder and folder not in entries:
            raise HubError(404, "Entry not found", "EntryNotFound", sha)
        start = f"{folder}/" if folder else ""
        deep = call.query().get("recursive") == ["true"]
        inside = {path: entry for path, entry in entries.items() if path.startswith(start)}
        return in_json([entry for path, entry in inside.items() if deep or "/" not in path.removeprefix(start)])

    def paths_info(self, call: Call) -> Answer:
        repo = self.readable(call)
        entries = repo.entries(repo.resolve(call.names["revision"]))
        wanted = parse_qs(call.body.decode()).get("paths", [])
        return in_json([entries[path] for path in wanted if path in entries])

    def resolve(self, call: Call) -> Answer:
        repo = self.readable(call)
        if repo.gated and call.server == "hub" and self.user(call) != repo.owner:
            raise HubError(403, f"Access to model {repo.name} is restricted", "GatedRepo")
        sha = repo.resolve(call.names["revision"])
        file = repo.commits[sha].get(call.names["path"])
        if file is None:
            raise HubError(404, "Entry not found", "EntryNotFound", sha)
        answer, size = in_bytes(file.content), str(len(file.content))
        answer.headers["ETag"] = f'"{file.etag}"'
        if call.server == "hub":
            linked = {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": size} if file.sha256 else {}
            answer.headers |= {"X-Repo-Commit": sha, **linked}
        return answer

    def refs(self, call: Call) -> Answer:
        heads = self.readable(call).branches.items()
        branches = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit} for name, commit in heads]
        return in_json({"branches": branches, "tags": [], "converts": []})

    def create_branch(self, call: Call) -> Answer:
        repo, branch = self.writable(call), call.names["branch"]
        if branch in repo.branches:
            raise HubError(409, f"Reference already exists: {branch}")
        repo.branches[branch] = repo.resolve(call.json().get("startingPoint", "main"))
        return Answer()

    def plain_file(self, call: Call) -> Answer:
        if call.names["name"] not in self.plain:
            raise HubError(404, "Not found")
        return in_bytes(self.plain[call.names["name"]])

    def control(self, call: Call) -> Answer:
        """The tests' own requests; only /_test/log has something to say."""
        match call.names["what"], json.loads(call.body or "null"):
            case "tokens", users:
                self.users |= users
            case "gate", wanted:
                self.repos[wanted["repo"]].gated = True
            case "files", wanted:
                self.plain[wanted["name"]] = base64.b64decode(wanted["content"])
            case "faults", rules:
                self.faults = [Fault(rule) for rule in rules]
            case "reset", _:
                self.reset()
            case "clear", _:
                self.clear()
            case "log", _:
                return in_json(self.log)
        return in_json(None)


# Matched against the path before it is unquoted: a revision with a slash in it arrives as one segment, a%2Fb.
REPO, REVISION = "(?P<repo>[^/]+/[^/]+)", "(?P<revision>[^/]+)"
ROUTES: list[tuple[str, str, Callable[[Service, Call], Answer]]] = [
    ("POST", "/api/repos/create", Service.create_repo),
    ("DELETE", "/api/repos/delete", Service.delete_repo),
    ("GET", "/api/whoami-v2", Service.whoami),
    ("POST", "/api/validate-yaml", Service.validate_yaml),
    ("POST", f"/api/models/{REPO}/preupload/{REVISION}", Service.preupload),
    ("POST", f"/{REPO}[.]git/info/lfs/objects/batch", Service.lfs_batch),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", Service.lfs_put),
    ("POST", f"/{REPO}[.]git/info/lfs/verify", Service.lfs_verify),
    ("POST", f"/api/models/{REPO}/commit/{REVISION}", Service.commit),
    ("GET", f"/api/models/{REPO}(/revision/{REVISION})?", Service.model_info),
    ("GET", f"/api/models/{REPO}/tree/{REVISION}(/(?P<path>.+))?", Service.tree),
    ("POST", f"/api/models/{REPO}/paths-info/{REVISION}", Service.paths_info),
    ("GET", f"/{REPO}/resolve/{REVISION}/(?P<path>.+)", Service.resolve),
    ("GET", f"/api/models/{REPO}/refs", Service.refs),
    ("POST", f"/api/models/{REPO}/branch/(?P<branch>[^/]+)", Service.create_branch),
    ("GET", "/files/(?P<name>.+)", Service.plain_file),
    ("GET|POST", "/_test/(?P<what>tokens|gate|files|faults|log|reset|clear)", Service.control),
]


def perform(service: Service, call: Call) -> Answer:
    """What the Hub does and answers when nothing goes wrong on the way."""
    method, path = call.method.replace("HEAD", "GET"), call.path.partition("?")[0]
    for methods, pattern, endpoint in ROUTES:
        found = re.fullmatch(pattern, path)
        if found and method in methods.split("|"):
            call.names = {name: unquote(part) for name, part in found.groupdict().items() if part is not None}
            try:
                with service.lock:
                    return part_of(endpoint(service, call), call.headers.get("range", ""))
            except HubError as error:
                return error.answer
            except Exception as error:  # a mistake in this file, or in a test's own request: the test shall see it
                return HubError(500, repr(error)).answer
    return HubError(404, "Not found").answer


def part_of(answer: Answer, wanted: str) -> Answer:
    """The part of a file's bytes that a Range header asks for."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
    if "Accept-Ranges" not in answer.headers or found is None:
        return answer
    size, (first, last) = len(answer.body), found.groups()
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        return Answer(416, {"Content-Range": f"bytes */{size}"})
    headers = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return Answer(206, answer.headers | headers, answer.body[start:stop])


def perform_faulty(service: Service, call: Call, fault: Fault) -> Answer:
    """What goes out instead, or after all, when a rule says that something goes wrong."""
    match fault.action:
        case "status":
            return Answer(fault.value, fault.headers, fault.body.encode())
        case "html":
            return Answer(200, {"Content-Type": "text/html"}, LOGIN_PAGE)
        case "hang":
            time.sleep(fault.value)
        case "ignore_range":
            del call.headers["range"]
    answer = perform(service, call)
    match fault.action:
        case "cut":
            answer.cut = fault.value
        case "corrupt" if answer.body:
            middle = len(answer.body) // 2
            answer.body = answer.body[:middle] + bytes([answer.body[middle] ^ 1]) + answer.body[middle + 1 :]
        case "pad" if answer.body:
            answer.body += bytes(fault.value)
        case "redirect" if answer.status in (200, 206):
            kept = {name: value for name, value in answer.headers.items() if name.startswith(("X-", "ETag"))}
            return Answer(302, kept | {"Location": service.cdn + call.path})
        case "drop_after":
            return HubError(500, "Internal Error - We're working hard to fix this as soon as possible!").answer
    return answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def exchange(self) -> None:
        server = cast(Server, self.server)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        call = Call(server.kind, self.command, self.path, headers, body)
        entry: dict[str, Any] = {"server": call.server, "method": call.method, "path": call.path}
        entry |= {"headers": dict(headers), "status": 0, "sent": 0}
        fault = None
        if not call.path.startswith("/_test/"):
            server.service.log.append(entry)
            fault = server.service.fault(call)
        answer = perform_faulty(server.service, call, fault) if fault else perform(server.service, call)
        entry["status"] = answer.status
        self.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection |= answer.cut is not None
        content = b"" if self.command == "HEAD" else answer.body[: answer.cut]
        for start in range(0, len(content), CHUNK):
            piece = content[start : start + CHUNK]
            # Counted before it is sent: a client that has it all, and then reads the log, finds it all there.
            entry["sent"] += len(piece)
            self.wfile.write(piece)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = exchange  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: there is /_test/log."""


class Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, host: str, kind: str, service: Service) -> None:
        super().__init__((host, 0), Handler)
        self.kind, self.service = kind, service
        self.url = f"http://{host}:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: the client went away."""


def main() -> None:
    service = Service()
    service.url, service.cdn = Server("127.0.0.1", "hub", service).url, Server("localhost", "cdn", service).url
    sys.stdout.write(json.dumps({"url": service.url, "cdn": service.cdn}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()  # ends when the parent does


class Hub:
    """The tests' side: the server as a process, for as long as a `with` block lasts."""

    def __enter__(self) -> Self:
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        addresses = json.loads(cast(IO[bytes], self._process.stdout).readline())
        self.url: str = addresses["url"]
        self.cdn: str = addresses["cdn"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def tokens(self, users: Mapping[str, str] | None = None, /, **more: str) -> None:
        """Makes tokens known: `tokens(hf_abc="ada")`."""
        self._control("tokens", {**(users or {}), **more})

    def gate(self, repo: str) -> None:
        self._control("gate", {"repo": repo})

    def file(self, name: str, content: bytes) -> str:
        """Serves bytes as any web server would; returns their URL."""
        self._control("files", {"name": name, "content": base64.b64encode(content).decode()})
        return f"{self.url}/files/{quote(name)}"

    def faults(self, *rules: Mapping[str, Any]) -> None:
        """Sets what goes wrong from now on, e.g. `{"method": "GET", "path": "/resolve/", "times": 1, "cut": 1000}`."""
        self._control("faults", rules)

    def log(self) -> list[dict[str, Any]]:
        return cast(list[dict[str, Any]], self._control("log"))

    def reset(self) -> None:
        """Forgets the log and the faults."""
        self._control("reset")

    def clear(self) -> None:
        """Forgets everything."""
        self._control("clear")

    def environment(self, folder: Path, token: str | None = None) -> dict[str, str]:
        """What a child's environment needs so that it speaks to this Hub and to nothing of the user's."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(folder),
            "HF_HUB_CACHE": str(folder / "hub"),
            "HF_TOKEN_PATH": str(folder / "token"),
            "HF_TOKEN": token or "",
            "HUGGING_FACE_HUB_TOKEN": "",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "",
            "no_proxy": "127.0.0.1,localhost",
        }

    def _control(self, what: str, value: Any = None) -> Any:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{self.url}/_test/{what}", json.dumps(value).encode(), timeout=30) as answer:
            return json.load(answer)


if __name__ == "__main__":
    main()
