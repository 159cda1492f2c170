"""The Hub origin: the API, the LFS endpoints and resolve."""

import base64
import json
import re
import urllib.parse

from .state import Entry, Refused
from .wire import Answer

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
REPO = r"/api/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)"
FILES = r"/(?:(?P<kind>datasets|spaces)/)?(?P<name>[^/]+/[^/]+)"
LFS_TYPE = "application/vnd.git-lfs+json"

# In order; the first that matches is the endpoint's name.
ENDPOINTS = [
    ("whoami", "GET", r"/api/whoami-v2"),
    ("create", "POST", r"/api/repos/create"),
    ("oauth", "POST", r"/oauth/token"),
    ("identity", "GET", r"/ci/identity"),
    ("validate-yaml", "POST", r"/api/validate-yaml"),
    ("complete", "POST", r"/api/complete_multipart"),
    ("verify", "POST", r"/api/lfs-verify"),
    ("preupload", "POST", REPO + r"/preupload/(?P<rev>[^/]+)"),
    ("commit", "POST", REPO + r"/commit/(?P<rev>[^/]+)"),
    ("branch", "POST", REPO + r"/branch/(?P<rev>[^/]+)"),
    ("discussions", "GET|POST", REPO + r"/discussions"),
    ("discussion", "GET", REPO + r"/discussions/(?P<num>[0-9]+)"),
    ("auth-check", "GET", REPO + r"/auth-check(?P<write>/write)?"),
    ("tree", "GET", REPO + r"/tree/(?P<rev>[^/]+)(?:/(?P<path>.+))?"),
    ("paths-info", "POST", REPO + r"/paths-info/(?P<rev>[^/]+)"),
    ("refs", "GET", REPO + r"/refs"),
    ("commits", "GET", REPO + r"/commits/(?P<rev>[^/]+)"),
    ("revision", "GET", REPO + r"/revision/(?P<rev>[^/]+)"),
    ("info", "GET", REPO),
    ("batch", "POST", FILES + r"\.git/info/lfs/objects/batch"),
    ("resolve", "GET|HEAD", FILES + r"/resolve/(?P<rev>[^/]+)/(?P<path>.+)"),
]
ENDPOINTS = [(name, methods.split("|"), re.compile(pattern)) for name, methods, pattern in ENDPOINTS]


class Hub:
    def __init__(self, state, faults, log, stopping):
        self.state, self.faults, self.log, self.stopping = state, faults, log, stopping
        self.storage_url = {}  # by scheme

    def route(self, method, path):
        for name, methods, pattern in ENDPOINTS:
            found = pattern.fullmatch(path)
            if found and method in methods:
                return name, found.groupdict()
        return "unknown", {}

    def refusal(self, refused):
        headers = {"X-Error-Message": refused.message, "X-Request-Id": "Root=1-test"}
        if refused.code:
            headers["X-Error-Code"] = refused.code
        return Answer(refused.status, {"error": refused.message, **refused.extra}, headers)

    def interfere(self, fault):
        kind, _, name = fault.get("repo").partition("/")
        with self.state.lock:
            if fault.action == "rename":
                repo = self.state.repos.pop((kind, name))
                repo.name = fault.get("to")
                self.state.repos[kind, repo.name] = repo
                self.state.renamed[name] = repo.name
                return
            files = {path: Entry(text.encode()) for path, text in fault.get("files", {}).items()}
            for path, (oid, size) in fault.get("lfs", {}).items():
                files[path] = Entry(oid=oid, size=size)
            repo = self.state.repos[kind, name]
            self.state.change(repo, fault.get("revision", "main"), files, fault.get("removed", []),
                              "somebody else's commit")

    # Every endpoint is a method `on_NAME(wire, body)` that gives an Answer.

    def handle(self, wire, length):
        self.wire, state = wire, self.state
        name = wire.groups.get("name")
        if name in state.renamed:
            moved = wire.path.replace(f"/{name}", f"/{state.renamed[name]}", 1)
            return Answer(307, b"", {"Location": moved})
        handler = getattr(self, "on_" + wire.endpoint.replace("-", "_"), None)
        if handler is None:
            raise Refused(404, "Sorry, we can't find the page you are looking for.")
        body = wire.body(length)
        with state.lock:
            answer = handler(wire, body)
        if state.warning:
            answer.headers["X-HF-Warning"] = state.warning
        return answer

    def user(self, wire):
        return self.state.user_of(wire.token)

    def repo(self, wire, write=False):
        kind = KINDS[wire.groups.get("kind") or "models"]
        return self.state.find(kind, wire.groups["name"], self.user(wire), write)

    def opens_pull(self, wire):
        return wire.query.get("create_pr") in ("1", "true", "True")

    def repo_to_change(self, wire):
        """For a pull request, a new one or one's own, it is enough to see the repository."""
        repo, user = self.repo(wire), self.user(wire)
        if user and (self.opens_pull(wire) or repo.is_of(self.revision(wire), user)):
            return repo
        return self.repo(wire, write=True)

    def revision(self, wire):
        return urllib.parse.unquote(wire.groups["rev"])

    def json(self, wire, body, keys, content_type="application/json"):
        """Stricter than the real Hub: a wrong content type or an unknown key is an error here."""
        given = (wire.headers.get("Content-Type") or "").partition(";")[0]
        if given != content_type:
            raise Refused(400, f"content type {given!r}, expected {content_type!r}")
        try:
            value = json.loads(body)
        except ValueError as error:
            raise Refused(400, "not JSON") from error
        if unknown := set(value) - keys:
            raise Refused(400, f"unknown keys {sorted(unknown)}")
        return value

    def on_whoami(self, wire, _):
        user = self.user(wire)
        if user is None:
            raise Refused(401, "Invalid username or password.")
        return Answer(200, {"type": "user", "name": user["name"], "orgs": [],
                            "auth": {"accessToken": {"displayName": "test", "role": user["role"]}}})

    def on_create(self, wire, body):
        asked = self.json(wire, body, {"name", "organization", "type", "visibility", "private", "sdk"})
        user = self.user(wire)
        owner = asked.get("organization") or (user or {}).get("name")
        kind, name = asked.get("type", "model"), f"{owner}/{asked['name']}"
        prefix = "" if kind == "model" else f"{kind}s/"
        if kind == "space" and asked.get("sdk") not in ("static", "gradio", "docker", "streamlit"):
            raise Refused(400, "Space SDK is required")
        shown = {"url": f"{wire.server.url}/{prefix}{name}", "name": name, "id": name}
        try:
            self.state.create(kind, name, asked.get("visibility") == "private" or asked.get("private", False), user)
        except Refused as refused:
            if refused.status == 409:
                return Answer(409, {"error": refused.message, **shown})
            raise
        return Answer(200, shown)

    def on_identity(self, wire, _):
        """What a CI gives a job: here the token of the job is `wire.token`, and the audience is told."""
        if wire.token != "job-token":
            raise Refused(401, "not a job of this CI")
        return Answer(200, {"value": f"identity for {wire.query.get('audience')}"})

    def on_oauth(self, wire, body):
        asked = self.json(wire, body, {"grant_type", "subject_token_type", "subject_token", "resource"})
        if asked["grant_type"] != "urn:ietf:params:oauth:grant-type:token-exchange":
            raise Refused(400, "unsupported grant type")
        if asked["subject_token"] != f"identity for {wire.server.url}":
            raise Refused(401, "no trusted publisher has this identity")
        owner = asked["resource"].split("/")[-2]
        self.state.tokens["hf_jwt_exchanged"] = {"name": owner, "role": "fineGrained", "repos": [asked["resource"]]}
        return Answer(200, {"access_token": "hf_jwt_exchanged", "token_type": "bearer", "expires_in": 3600})

    def on_validate_yaml(self, wire, body):
        self.json(wire, body, {"content", "repoType"})
        return Answer(200, {"errors": [], "warnings": []})

    def on_auth_check(self, wire, _):
        self.repo(wire, write=bool(wire.groups["write"]))
        return Answer(200, {"ok": True})

    def on_preupload(self, wire, body):
        asked = self.json(wire, body, {"files", "gitAttributes", "gitIgnore"})
        repo = self.repo_to_change(wire)
        head = repo.commit_at(self.revision(wire))
        files = []
        for file in asked["files"]:
            sample = base64.b64decode(file["sample"])
            lfs = file["path"].endswith((".whl", ".bin")) or file["size"] >= self.state.lfs_from or b"\0" in sample
            lfs = lfs and not self.state.never_lfs
            shown = {"path": file["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            if wire.odd("ignore"):
                shown["shouldIgnore"] = True
            present = head.files.get(file["path"])
            if present:
                shown["oid"] = present.lfs or present.blob
            files.append(shown)
        return Answer(200, {"files": files, "commitOid": head.id})

    def on_batch(self, wire, body):
        asked = self.json(wire, body, {"operation", "transfers", "objects", "hash_algo", "ref"}, LFS_TYPE)
        # Without a ref it is for a pull request, which anybody may open
        by_anybody = "ref" not in asked and self.state.lfs_for_pulls and self.user(wire)
        self.repo(wire, write=asked["operation"] == "upload" and not by_anybody)
        objects, transfer = [], "basic"
        for wanted in asked["objects"]:
            oid, size = wanted["oid"], wanted["size"]
            shown = {"oid": oid, "size": size}
            if wire.odd("object_error"):
                shown["error"] = {"code": 422, "message": "object is not welcome"}
            elif not self.state.stored(oid, size):
                upload, is_multipart = self.upload_action(wire, oid, size, asked.get("transfers", ["basic"]))
                transfer = "multipart" if is_multipart else transfer
                shown["actions"] = {"upload": upload, "verify": {"href": f"{wire.server.url}/api/lfs-verify"}}
            objects.append(shown)
        if wire.odd("xet"):
            transfer = "xet"
        return Answer(200, {"transfer": transfer, "objects": objects}, content_type=LFS_TYPE)

    def upload_action(self, wire, oid, size, transfers):
        storage = self.storage_url[wire.server.scheme]
        if "multipart" not in transfers or size < self.state.multipart_from:
            signature = self.state.sign(("single", oid))
            return {"href": f"{storage}/lfs/{oid}?X-Amz-Expires=900&X-Amz-Signature={signature}"}, False
        chunk, upload = self.state.chunk_size, f"u{next(self.state.counter)}"
        self.state.uploads[upload] = {"oid": oid, "size": size, "parts": {}}
        count = (size + chunk - 1) // chunk - (1 if wire.odd("part_missing") else 0)
        numbers = range(count, 0, -1) if wire.odd("unsorted") else range(1, count + 1)
        header = {"chunk_size": "many" if wire.odd("bad_chunk_size") else str(chunk)}
        for number in numbers:
            signature = self.state.sign((upload, number))
            key = str(number) if wire.odd("unsorted") else f"{number:05}"
            header[key] = f"{storage}/lfs/{oid}?uploadId={upload}&partNumber={number}&X-Amz-Signature={signature}"
        return {"href": f"{wire.server.url}/api/complete_multipart?uploadId={upload}&signature=x", "header": header}, True

    def on_complete(self, wire, body):
        if wire.token is not None:
            raise Refused(400, "the completion URL is signed; a token has no place here")
        asked = self.json(wire, body, {"oid", "parts"}, LFS_TYPE)
        self.storage.complete(wire.query.get("uploadId"), asked)
        return Answer(200, {"success": True})

    def on_verify(self, wire, body):
        asked = self.json(wire, body, {"oid", "size"})
        if self.user(wire) is None:
            raise Refused(401, "Invalid username or password.")
        if asked["oid"] not in self.state.objects:
            raise Refused(404, "Object not found")
        if not self.storage.is_sound(asked["oid"], asked["size"]):
            del self.state.objects[asked["oid"]]
            raise Refused(422, "the stored object is not what was promised")
        return Answer(200, {"oid": asked["oid"]})

    def on_commit(self, wire, body):
        if (wire.headers.get("Content-Type") or "") != "application/x-ndjson":
            raise Refused(400, "a commit is application/x-ndjson")
        repo = self.repo_to_change(wire)
        header, files, deleted = self.parsed_commit(body)
        revision = self.revision(wire)
        pull = None
        if self.opens_pull(wire) and not wire.odd("ignore_create_pr"):
            if header.get("parentCommit", repo.refs["main"].id) != repo.refs["main"].id:
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
            pull = repo.open_pull(header["summary"], header.get("description", ""), self.user(wire)["name"])
            revision = f"refs/pr/{pull}"
        commit = self.state.change(repo, revision, files, deleted, header["summary"], header.get("description", ""),
                                   header.get("parentCommit"))
        shown = {"success": True, "commitOid": commit.id, "hookOutput": "",
                 "commitUrl": f"{wire.server.url}/{repo.name}/commit/{commit.id}"}
        if wire.odd("wrong_commit"):
            shown["commitOid"] = "0" * 40
        if pull and not wire.odd("no_pull_url"):
            shown["pullRequestUrl"] = f"{wire.server.url}/{repo.name}/discussions/{pull}"
        return Answer(200, shown)

    def parsed_commit(self, body):
        lines = [json.loads(line) for line in body.decode().splitlines() if line]
        if not lines or lines[0].get("key") != "header":
            raise Refused(400, "the first line of a commit is its header")
        files, deleted = {}, []
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = Entry(base64.b64decode(value["content"], validate=True))
            elif line["key"] == "lfsFile":
                if not self.storage.is_sound(value["oid"], value["size"]):
                    raise Refused(400, "LFS pointer pointed to a file that does not exist")
                files[value["path"]] = Entry(oid=value["oid"], size=value["size"])
            elif line["key"] == "deletedFile":
                deleted.append(value["path"])
            else:
                raise Refused(400, f"unknown operation {line['key']}")
        return lines[0]["value"], files, deleted

    def on_branch(self, wire, body):
        repo = self.repo(wire, write=True)
        revision = self.revision(wire)
        if revision in repo.refs:
            raise Refused(409, "Reference already exists")
        start = json.loads(body or b"{}").get("startingPoint", "main")
        repo.refs[revision] = repo.commit_at(start)
        return Answer(200, {})

    def on_discussions(self, wire, body):
        if wire.command == "GET":
            repo = self.repo(wire)
            author, size = wire.query.get("author"), self.state.pulls_page
            numbers = [number for number in sorted(repo.pulls, reverse=True) if author in (None, repo.pulls[number]["author"])]
            start = int(wire.query.get("p", 0)) * size
            shown = [self.shown_pull(repo, number) for number in numbers[start : start + size]]
            return Answer(200, {"discussions": shown, "count": len(numbers), "start": start})
        asked = self.json(wire, body, {"title", "description", "pullRequest"})
        repo, user = self.repo(wire), self.user(wire)
        if user is None:
            raise Refused(401, "Invalid username or password.")
        number = repo.open_pull(asked["title"], asked.get("description", ""), user["name"])
        return Answer(200, {"num": number, "pullRequest": True, "url": f"{wire.server.url}/{repo.name}/discussions/{number}"})

    def shown_pull(self, repo, number):
        pull = repo.pulls[number]
        return {"num": number, "repo": {"name": repo.name, "type": repo.kind}, "title": pull["title"],
                "author": {"name": pull["author"]}, "status": "open", "isPullRequest": True,
                "createdAt": "2026-01-01T00:00:00.000Z"}

    def on_discussion(self, wire, _):
        repo, number = self.repo(wire), int(wire.groups["num"])
        if number not in repo.pulls:
            raise Refused(404, "Discussion not found")
        pull, date = repo.pulls[number], "2026-01-01T00:00:00.000Z"
        comment = {"id": "c1", "type": "comment", "author": {"name": pull["author"]}, "createdAt": date,
                   "data": {"edited": False, "hidden": False,
                            "latest": {"raw": pull["description"], "html": "", "updatedAt": date, "author": {"name": pull["author"]}}}}
        return Answer(200, {**self.shown_pull(repo, number), "events": [comment], "changes": {"base": "refs/heads/main"},
                            "filesWithConflicts": False, "mergeCommitId": None, "diff": ""})

    def on_info(self, wire, _):
        return self.shown_info(self.repo(wire), "main")

    def on_revision(self, wire, _):
        return self.shown_info(self.repo(wire), self.revision(wire))

    def shown_info(self, repo, revision):
        commit = repo.commit_at(revision)
        return Answer(200, {"id": repo.name, "modelId": repo.name, "_id": "1", "sha": commit.id, "private": repo.private,
                            "gated": repo.gated, "disabled": repo.disabled, "tags": [], "downloads": 0, "likes": 0,
                            "siblings": [{"rfilename": path} for path in sorted(commit.files)]})

    def on_tree(self, wire, _):
        commit = self.repo(wire).commit_at(self.revision(wire))
        folder = urllib.parse.unquote(wire.groups["path"] or "").strip("/")
        prefix = folder + "/" if folder else ""
        recursive = wire.query.get("recursive", "").lower() == "true"
        entries, folders = [], set()
        for path in sorted(path for path in commit.files if path.startswith(prefix)):
            inner = path[len(prefix):].split("/")
            for depth in range(1, len(inner) if recursive else min(len(inner), 2)):
                folders.add(prefix + "/".join(inner[:depth]))
            if recursive or len(inner) == 1:
                entries.append(commit.files[path].as_json(path))
        if folder and not entries and not folders:
            raise Refused(404, f"{folder} does not exist", "EntryNotFound")
        entries = [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in sorted(folders)] + entries
        start, size = int(wire.query.get("cursor", 0)), self.state.page_size
        headers = {}
        if start + size < len(entries):
            query = urllib.parse.urlencode({**wire.query, "cursor": start + size})
            headers["Link"] = f'<{wire.server.url}{wire.url_path}?{query}>; rel="next"'
        return Answer(200, entries[start : start + size], headers)

    def on_paths_info(self, wire, body):
        commit = self.repo(wire).commit_at(self.revision(wire))
        if (wire.headers.get("Content-Type") or "").startswith("application/json"):
            asked = json.loads(body)
            paths, expand = asked["paths"], asked.get("expand", False)
        else:
            asked = urllib.parse.parse_qsl(body.decode())
            paths = [value for key, value in asked if key == "paths"]
            expand = ("expand", "True") in asked or ("expand", "true") in asked
        shown = [commit.files[path].as_json(path) for path in paths if path in commit.files]
        for entry in shown if expand else []:
            last = commit.last_change(entry["path"])
            entry["lastCommit"] = {"id": last.id, "title": last.summary, "date": "2026-01-01T00:00:00.000Z"}
        return Answer(200, shown)

    def on_refs(self, wire, _):
        repo = self.repo(wire)
        shown = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": head.id}
                 for name, head in repo.refs.items() if not name.startswith("refs/")]
        return Answer(200, {"branches": shown, "tags": [], "converts": []})

    def on_commits(self, wire, _):
        history = self.repo(wire).commit_at(self.revision(wire)).history()
        return Answer(200, [{"id": c.id, "title": c.summary, "message": c.description, "authors": [],
                             "date": "2026-01-01T00:00:00.000Z"} for c in history])

    def on_resolve(self, wire, _):
        repo = self.repo(wire)
        if repo.gated:
            raise Refused(403, "Access to this model is restricted", "GatedRepo")
        commit = repo.commit_at(self.revision(wire))
        entry = commit.files.get(urllib.parse.unquote(wire.groups["path"]))
        if entry is None:
            raise Refused(404, "Entry not found", "EntryNotFound")
        headers = {"X-Repo-Commit": commit.id, "Accept-Ranges": "bytes"}
        if entry.lfs is None:
            return Answer(200, entry.content, {**headers, "ETag": f'"{entry.blob}"'}, content_type="text/plain")
        storage = self.storage_url[wire.server.scheme]
        headers |= {"X-Linked-Size": str(entry.size), "X-Linked-ETag": f'"{entry.lfs}"', "ETag": f'"{entry.blob}"',
                    "Location": f"{storage}/cdn/{entry.lfs}?Signature={self.state.sign(('get', entry.lfs))}"}
        return Answer(302, b"", headers)
