"""What the test Hub remembers: repositories with commits, branches and pull requests, and LFS objects checked by SHA-256.

One lock guards everything; an operation either happens whole or raises Refused.
"""

import hashlib
import itertools
import pathlib
import threading


class Refused(Exception):
    def __init__(self, status, message, code=None, **extra):
        super().__init__(message)
        self.status, self.message, self.code, self.extra = status, message, code, extra


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def lfs_pointer(oid: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()


class Entry:
    """One file of a commit: regular content, or an LFS oid with its size."""

    def __init__(self, content=None, oid=None, size=None):
        self.content, self.lfs, self.size = content, oid, size if content is None else len(content)
        self.blob = blob_id(content if content is not None else lfs_pointer(oid, size))

    def as_json(self, path):
        shown = {"type": "file", "path": path, "size": self.size, "oid": self.blob}
        if self.lfs:
            shown["lfs"] = {"oid": self.lfs, "size": self.size, "pointerSize": len(lfs_pointer(self.lfs, self.size))}
        return shown


class Commit:
    numbers = itertools.count()

    def __init__(self, parent, files, summary, description=""):
        self.parent, self.files, self.summary, self.description = parent, files, summary, description
        seed = f"{next(Commit.numbers)} {parent.id if parent else ''} {summary}"
        self.id = hashlib.sha1(seed.encode()).hexdigest()

    def last_change(self, path):
        """The newest commit that has the file as it is here."""
        return [commit for commit in self.history() if path in commit.files and
                commit.files[path].blob == self.files[path].blob][-1]

    def history(self):
        commit = self
        while commit:
            yield commit
            commit = commit.parent


class Repo:
    def __init__(self, kind, name, private=False):
        self.kind, self.name, self.private = kind, name, private
        self.gated, self.disabled = False, False
        first = Commit(None, {".gitattributes": Entry(b"*.whl filter=lfs diff=lfs merge=lfs -text\n")}, "initial commit")
        self.refs = {"main": first}
        self.pulls = {}  # number -> title, description, author

    def commit_at(self, revision):
        revision = revision.removeprefix("refs/heads/")
        if revision in self.refs:
            return self.refs[revision]
        for ref in self.refs.values():
            for commit in ref.history():
                if commit.id == revision:
                    return commit
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def open_pull(self, title, description="", author="user"):
        number = len(self.pulls) + 1
        self.pulls[number] = {"title": title, "description": description, "author": author}
        self.refs[f"refs/pr/{number}"] = self.refs["main"]
        return number

    def is_of(self, revision, user):
        """Whether the pull request behind `revision` is the user's own."""
        number = revision.removeprefix("refs/pr/")
        return number.isdigit() and user and self.pulls.get(int(number), {}).get("author") == user["name"]


class State:
    def __init__(self, folder: pathlib.Path):
        self.folder, self.lock = folder, threading.RLock()
        self.reset({})

    def reset(self, options):
        with self.lock:
            for file in self.folder.glob("*"):
                file.unlink()
            self.repos, self.renamed, self.objects = {}, {}, {}
            self.uploads, self.signatures = {}, {}
            self.tokens = options.get("tokens", {"hf_writewritewritewrite": {"name": "user", "role": "write"}})
            self.lfs_from = options.get("lfs_from", 10_000_000)
            self.never_lfs = options.get("never_lfs", False)
            self.multipart_from = options.get("multipart_from", 5_000_000)
            self.chunk_size = options.get("chunk_size", 2_000_000)
            self.page_size = options.get("page_size", 1000)
            self.warning = options.get("warning")  # sent as X-HF-Warning with every answer
            self.pulls_page = options.get("pulls_page", 10)
            self.lfs_for_pulls = options.get("lfs_for_pulls", True)
            self.discard = options.get("discard", False)  # for the throughput bench: nothing is kept
            self.check_storage_hash = options.get("check_storage_hash", True)
            self.counter = itertools.count(1)

    # Repositories

    def user_of(self, token):
        if token is None:
            return None
        user = self.tokens.get(token)
        if user is None or user.get("expired"):
            raise Refused(401, "Invalid credentials in Authorization header")
        return user

    def find(self, kind, name, user, write=False):
        """The repository, if `user` may see it; a missing one and a private one look alike, as on the Hub."""
        repo = self.repos.get((kind, name))
        scoped = user and user.get("role") == "fineGrained" and name not in user.get("repos", [])
        foreign = user and not name.startswith(user["name"] + "/")
        if user is None and (repo is None or repo.private):
            raise Refused(401, "Invalid username or password.", "RepoNotFound")
        if repo is None or (repo.private and scoped):
            raise Refused(404, "Repository not found", "RepoNotFound")
        if repo.disabled:
            raise Refused(403, "Access to this resource is disabled.")
        if write and (user is None or user["role"] == "read" or scoped or foreign):
            raise Refused(403 if user else 401, "You don't have the rights to write to this repository")
        return repo

    def create(self, kind, name, private, user):
        if user is None:
            raise Refused(401, "Invalid username or password.")
        if user["role"] == "read" or (user["role"] == "fineGrained" and not user.get("may_create")):
            raise Refused(403, "You don't have the rights to create a model under this namespace")
        if (kind, name) in self.repos:
            raise Refused(409, "You already created this model repo", exists=True)
        self.repos[kind, name] = Repo(kind, name, private)

    def change(self, repo, revision, files, deleted, summary, description="", parent=None):
        """A commit on a branch; None in `parent` takes the head whatever it is."""
        with self.lock:
            head = repo.refs.get(revision.removeprefix("refs/heads/"))
            if head is None:
                raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
            if parent and parent != head.id:
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
            content = {**head.files, **files}
            for path in deleted:
                content.pop(path, None)
            commit = Commit(head, content, summary, description)
            repo.refs[revision.removeprefix("refs/heads/")] = commit
            return commit

    # LFS objects

    def object_path(self, name):
        return pathlib.Path("/dev/null") if self.discard else self.folder / name.replace("/", "_")

    def sign(self, key):
        signature = f"sig{next(self.counter)}"
        self.signatures[signature] = key
        return signature

    def store(self, oid, path, size):
        with self.lock:
            self.objects[oid] = (path, size)

    def stored(self, oid, size):
        found = self.objects.get(oid)
        return found is not None and found[1] == size

    # For assertions

    def summary(self):
        with self.lock:
            repos = {}
            for (kind, name), repo in self.repos.items():
                refs = {}
                for ref, head in repo.refs.items():
                    refs[ref] = {
                        "head": head.id,
                        "commits": [{"id": c.id, "summary": c.summary, "description": c.description}
                                    for c in head.history()],
                        "files": {path: {"sha256": entry.lfs or hashlib.sha256(entry.content).hexdigest(),
                                         "size": entry.size, "lfs": bool(entry.lfs)}
                                  for path, entry in head.files.items()},
                    }
                repos[f"{kind}/{name}"] = {"private": repo.private, "refs": refs, "pulls": repo.pulls}
            return {"repos": repos, "objects": sorted(self.objects), "uploads": len(self.uploads)}
