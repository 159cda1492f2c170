"""One HTTP exchange with faults: reads the request, lets the application act, answers; each step can go wrong on the wire."""

import http.server
import json
import socket
import ssl
import struct
import threading
import time
import urllib.parse

from .state import Refused

HTML = b"<!DOCTYPE html><html><body>Bad gateway</body></html>"
STATUS_WITHOUT_BODY = (204, 304)


class Dropped(Exception):
    """The connection is gone or must go; nothing more is sent."""


class Answer:
    def __init__(self, status=200, body=b"", headers=None, content_type="application/json"):
        self.status, self.headers = status, dict(headers or {})
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.file = None  # (path, first, last + 1) instead of a body
        self.headers.setdefault("Content-Type", content_type)


def nodes_of(value):
    """(container, key) of everything in a JSON value, depth first."""
    for key, inner in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from nodes_of(inner)


def document_of(answer):
    if "json" not in answer.headers["Content-Type"]:
        return None
    try:
        return [json.loads(answer.body)]
    except (ValueError, RecursionError):
        return None


def count_nodes(answer):
    document = document_of(answer)
    return 0 if document is None else sum(1 for _ in nodes_of(document))


def retyped(answer, fault):
    document = document_of(answer)
    for number, (container, key) in enumerate(nodes_of(document) if document else ()):
        if number == fault.get("node", 0):
            if fault.get("drop") and number > 0:
                del container[key]
            else:
                container[key] = fault.get("value")
            break
    else:
        return answer
    return Answer(answer.status, document[0], {k: v for k, v in answer.headers.items() if k != "Content-Length"})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits for a delayed ACK
    app = None  # hub.Hub, storage.Storage or control.Control
    timeout = 60

    def log_message(self, *_):
        pass

    def any_method(self):
        split = urllib.parse.urlsplit(self.path)
        self.url_path = split.path
        self.query = dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
        self.endpoint, self.groups = self.app.route(self.command, split.path)
        auth = self.headers.get("Authorization", "")
        self.token = auth.removeprefix("Bearer ") if auth else None
        self.entry = self.app.log.begin(self, bool(auth))
        self.faults = self.app.faults.next(self.endpoint) if self.app.faults else []
        self.read, self.begun = 0, time.monotonic()
        try:
            self.exchange()
        except Dropped as dropped:
            self.entry["status"] = str(dropped)
            self.close_connection = True
        except (ConnectionError, ssl.SSLError, TimeoutError) as error:
            self.entry["status"] = type(error).__name__
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = any_method

    def exchange(self):
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return self.send(Answer(411, {"error": "chunked bodies are not accepted"}))
        self.strike("before")
        for fault in self.phase("during"):
            self.limit, self.limiting = fault.get("bytes", length // 2), fault
            break
        else:
            self.limit, self.limiting = None, None
        answer = self.faked("before", length)
        if answer is None:
            try:
                answer = self.app.handle(self, length)
            except Refused as refused:
                answer = self.app.refusal(refused)
            if self.read < length:
                self.body(length - self.read)
        self.strike("after")
        answer = self.faked("after", length) or answer
        self.entry["nodes"] = count_nodes(answer)
        self.send(self.spoiled(answer))

    def phase(self, name):
        return [fault for fault in self.faults if fault.phase == name]

    def strike(self, phase):
        for fault in self.phase(phase):
            if fault.action in ("reset", "close", "stall"):
                self.drop(fault.action)
            elif fault.action == "delay":
                time.sleep(fault.get("seconds", 1))
            elif fault.action in ("commit", "rename"):
                self.app.interfere(fault)

    def faked(self, phase, length):
        """The answer of a `status` fault. The body is read first: an answer in the middle of it may get lost."""
        for fault in self.phase(phase):
            if fault.action in ("status", "portal"):
                if self.read < length:
                    self.body(length - self.read)
                if fault.action == "portal":
                    return Answer(200, HTML, content_type="text/html")
                body = fault.get("body", {"error": "injected fault"})
                answer = Answer(fault.get("status"), body.encode() if isinstance(body, str) else body,
                                fault.get("headers"))
                return answer
        return None

    def odd(self, kind):
        return any(fault.action == "odd" and fault.get("kind") == kind for fault in self.faults)

    def pieces(self, length):
        """The request body. Phase `during` faults strike here."""
        while length > 0:
            room = min(length, 1 << 20)
            fault = self.limiting
            if fault and fault.action == "trickle":
                room = max(1, min(room, fault.get("rate", 1000) // 10))
                time.sleep(room / fault.get("rate", 1000))
            elif fault and fault.action in ("reset", "close", "stall"):
                if self.read >= self.limit:
                    self.drop(fault.action)
                room = min(room, self.limit - self.read)
            piece = self.rfile.read(room)
            if not piece:
                raise Dropped("client gone")
            self.read += len(piece)
            self.entry["bytes"] = self.read
            length -= len(piece)
            yield piece

    def body(self, length):
        return b"".join(self.pieces(length))

    def spoiled(self, answer):
        for fault in self.phase("after"):
            if fault.action == "html":
                answer = Answer(answer.status, HTML, content_type="text/html")
            elif fault.action == "broken_json":
                answer = Answer(answer.status, b'{"files": [{"path": ', answer.headers)
            elif fault.action == "retype":
                answer = retyped(answer, fault)
        return answer

    def send(self, answer):
        self.entry["status"] = answer.status
        self.entry["seconds"] = time.monotonic() - self.begun
        size = len(answer.body) if answer.file is None else answer.file[2] - answer.file[1]
        self.send_response_only(answer.status)
        answer.headers.setdefault("Date", self.date_time_string())
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers and answer.status not in STATUS_WITHOUT_BODY:
            self.send_header("Content-Length", str(size))
        cut, rate = None, None
        for fault in self.faults:
            if fault.action == "truncate" or (fault is self.limiting and fault.action in ("reset", "close", "stall")):
                cut = fault.action
            if fault.action == "trickle" and fault.phase == "after":
                rate = fault.get("rate", 1000)
        if self.command == "HEAD":
            return self.end_headers()
        self.end_headers()
        if answer.file is not None:
            return self.send_file(*answer.file)
        if cut:
            self.wfile.write(answer.body[: size // 2])
            self.wfile.flush()
            self.drop("close" if cut == "truncate" else cut)
        if rate:
            piece = max(1, rate // 10)
            for at in range(0, size, piece):
                self.wfile.write(answer.body[at : at + piece])
                self.wfile.flush()
                time.sleep(piece / rate)
        else:
            self.wfile.write(answer.body)

    def send_file(self, path, first, end):
        with open(path, "rb") as file:
            file.seek(first)
            while first < end and (piece := file.read(min(1 << 20, end - first))):
                self.wfile.write(piece)
                first += len(piece)

    def drop(self, how):
        if how == "stall":
            while not self.gone() and not self.app.stopping.wait(0.02):
                pass
            raise Dropped("stall")
        if how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        raise Dropped(how)

    def gone(self):
        """Whether the client closed or reset its end; unread bytes in the socket hide that from a read."""
        established = 1
        return self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != established


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, app, certificate=None):
        super().__init__(("127.0.0.1", 0), type("Bound", (Handler,), {"app": app}))
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{self.scheme}://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_):
        pass
