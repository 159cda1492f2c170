"""The storage origin: presigned PUTs (single and parts), and GETs. Like S3 it refuses a request that carries a token as well."""

import hashlib
import re

from .state import Refused
from .wire import Answer

ENDPOINTS = [
    ("part", "PUT", re.compile(r"/lfs/([0-9a-f]{64})")),  # with uploadId; without, see route
    ("get", "GET", re.compile(r"/cdn/([0-9a-f]{64})")),
    ("get", "HEAD", re.compile(r"/cdn/([0-9a-f]{64})")),
]


class Storage:
    def __init__(self, state, faults, log, stopping):
        self.state, self.faults, self.log, self.stopping = state, faults, log, stopping

    def route(self, method, path):
        for name, wanted, pattern in ENDPOINTS:
            found = pattern.fullmatch(path)
            if found and method == wanted:
                return name, {"oid": found.group(1)}
        return "unknown-storage", {}

    def refusal(self, refused):
        code = refused.code or "AccessDenied"
        text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{refused.message}</Message></Error>'
        return Answer(refused.status, text.encode(), content_type="application/xml")

    def interfere(self, fault):
        self.hub.interfere(fault)

    def handle(self, wire, length):
        if wire.headers.get("Authorization"):
            raise Refused(400, "Only one auth mechanism allowed", "InvalidArgument")
        oid = wire.groups.get("oid")
        if wire.endpoint == "get":
            return self.read(wire, oid)
        if wire.endpoint != "part":
            raise Refused(404, "no such key", "NoSuchKey")
        upload, number = wire.query.get("uploadId"), int(wire.query.get("partNumber", 0))
        expected = (upload, number) if upload else ("single", oid)
        if self.state.signatures.get(wire.query.get("X-Amz-Signature")) != expected:
            raise Refused(403, "Request has expired", "AccessDenied")
        name = f"{upload}.{number}.{id(wire)}" if upload else f"{oid}.{id(wire)}"
        path, md5, sha = self.state.object_path(name), hashlib.md5(), hashlib.sha256()
        with open(path, "wb") as file:
            for piece in wire.pieces(length):
                file.write(piece)
                if upload:
                    md5.update(piece)
                elif self.state.check_storage_hash:
                    sha.update(piece)
        if wire.odd("corrupt"):
            with open(path, "r+b") as file:
                file.write(b"\xff\xff\xff\xff")
        headers = {} if wire.odd("no_etag") else {"ETag": f'"{md5.hexdigest()}"'}
        if upload:
            with self.state.lock:
                self.state.uploads[upload]["parts"][number] = (path, md5.hexdigest(), length)
            return Answer(200, b"", headers)
        if self.state.check_storage_hash and sha.hexdigest() != oid:
            raise Refused(400, "The checksum you specified did not match", "BadDigest")
        self.state.store(oid, path, length)
        return Answer(200, b"", headers)

    def complete(self, upload, asked):
        known = self.state.uploads.get(upload)
        if known is None or known["oid"] != asked["oid"]:
            raise Refused(400, "no such upload")
        path = self.state.object_path(f"{known['oid']}.{upload}")
        if known.get("done"):
            return
        with open(path, "wb") as whole:
            for place, part in enumerate(asked["parts"], 1):
                number, stored = part["partNumber"], known["parts"].get(part["partNumber"])
                if number != place or stored is None or part["etag"] != f'"{stored[1]}"':
                    raise Refused(400, "one or more of the specified parts could not be found", "InvalidPart")
                whole.write(stored[0].read_bytes())
        if path.stat().st_size != known["size"]:
            raise Refused(400, "the parts are not the whole object")
        known["done"] = True
        self.state.store(known["oid"], path, known["size"])

    def is_sound(self, oid, size):
        """Whether the stored object has the promised bytes."""
        if not self.state.stored(oid, size):
            return False
        if not self.state.check_storage_hash:
            return True
        digest = hashlib.sha256()
        with open(self.state.objects[oid][0], "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return digest.hexdigest() == oid

    def read(self, wire, oid):
        if self.state.signatures.get(wire.query.get("Signature")) != ("get", oid) or oid not in self.state.objects:
            raise Refused(403, "Request has expired", "AccessDenied")
        path, size = self.state.objects[oid]
        first, end, status, headers = 0, size, 200, {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", wire.headers.get("Range") or "")
        if wanted:
            first, end = int(wanted[1]), min(size, int(wanted[2]) + 1 if wanted[2] else size)
            if first >= size:
                raise Refused(416, "The requested range is not satisfiable", "InvalidRange")
            status, headers["Content-Range"] = 206, f"bytes {first}-{end - 1}/{size}"
        answer = Answer(status, b"", headers, content_type="application/octet-stream")
        answer.file = (path, first, end)
        return answer
