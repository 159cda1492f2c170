"""A remote cache that takes what bazel-remote takes by default, and refuses what it refuses (server/http.go, cache/disk/disk.go and
utils/validate/action_result.go of buchgr/bazel-remote):

names are /ac/ or /cas/ and 64 lower-case hex digits; PUT needs Content-Length; contents must have their digest; an entry must parse
as a non-empty ActionResult with relative paths and good digests; it is stored with a worker added, and answered 404 when one of its
files is gone.

/control?NAME=VALUE sets faults: delay (seconds before each answer), status (of every answer), trickle (a byte per 0.05 s),
put_delay, flood (`cas` or `ac`: each is 400 MB of zeros), lenient (entries are given whether their files are there or not).
/flooded waits for the end of a flood and gives how many MB went out. /seen gives the requests so far. Ends when standard input closes.
"""

import hashlib
import http.server
import json
import queue
import re
import sys
import threading
import time
import urllib.parse

NAME = re.compile(r"^/?(?:.*/)?(ac|cas)/([a-f0-9]{64})$")
HEX = re.compile(r"^[a-f0-9]{64}$")
EMPTY = hashlib.sha256(b"").hexdigest()
WORKER = b"\x4a\x0b\x0a\x09127.0.0.1"  # execution_metadata { worker: "127.0.0.1" }

stored, seen, faults = {}, [], {}
flooded = queue.Queue()


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 2:
            length, at = varint(data, at)
            if at + length > len(data):
                raise ValueError("too short")
            value, at = data[at:at + length], at + length
        else:
            raise ValueError("wire type")
        yield tag >> 3, value


def output_files(data):
    """(hash, size) of each output file of an ActionResult; raises for what bazel-remote's validation refuses."""
    if not data:
        raise ValueError("empty ActionResult")
    found = []
    for number, value in fields(data):
        if number != 2:
            continue
        output = dict(fields(value))
        path, digest = output[1].decode(), dict(fields(output[2]))
        if not path or path.startswith("/") or not HEX.match(digest[1].decode()):
            raise ValueError("bad output file")
        found.append((digest[1].decode(), digest.get(2, 0)))
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body=b""):
        if "trickle" in faults and self.command == "GET" and NAME.match(self.path):
            return self.trickle(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def trickle(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + 1_000_000))
        self.end_headers()
        for byte in body + b" " * 1_000_000:
            self.wfile.write(bytes([byte]))
            time.sleep(0.05)

    def any_method(self):
        try:
            self.answer()
        except OSError:  # the client has given up
            self.close_connection = True

    do_GET = do_PUT = do_HEAD = any_method

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/control":
            faults.clear()
            faults.update(urllib.parse.parse_qsl(url.query))
            return self.reply(200)
        if url.path == "/seen":
            return self.reply(200, json.dumps(seen).encode())
        if url.path == "/flooded":
            return self.reply(200, str(flooded.get()).encode())
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length or 0))
        seen.append(f"{self.command} {url.path}")
        time.sleep(float(faults.get("put_delay" if self.command == "PUT" else "delay", 0)))
        if "status" in faults:
            return self.reply(int(faults["status"]), b"as told")
        name = NAME.match(url.path)
        if name is None:
            return self.reply(400, b"resource name must be a SHA256 hash in hex")
        if self.command == "PUT":
            return self.put(*name.groups(), body, length)
        self.get(*name.groups())

    def put(self, kind, digest, body, length):
        if length is None or self.headers.get("Content-Encoding", "identity") != "identity":
            return self.reply(400)
        if kind == "cas" and (hashlib.sha256(body).hexdigest() != digest or (not body and digest != EMPTY)):
            return self.reply(400, b"not its digest")
        if kind == "ac":
            try:
                output_files(body)
            except (ValueError, KeyError, IndexError) as error:
                return self.reply(400, str(error).encode())
            body = WORKER + body
        stored[kind, digest] = body
        self.reply(200)

    def flood(self):
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        sent = 0  # which is what the client took, and what stands in the sockets' buffers
        try:
            for _ in range(400):
                self.wfile.write(bytes(1_000_000))
                sent += 1
        finally:
            flooded.put(sent)

    def get(self, kind, digest):
        if faults.get("flood") == kind:
            return self.flood()
        body = stored.get((kind, digest))
        if body is None:
            return self.reply(404)
        if kind == "ac" and "lenient" not in faults and any(len(stored.get(("cas", blob), b"-" * (size + 1))) != size for blob, size in output_files(body)):
            return self.reply(404)
        self.reply(200, body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"origin": f"http://127.0.0.1:{server.server_address[1]}"}), flush=True)
sys.stdin.read()
