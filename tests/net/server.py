"""A server whose paths are faults. Two plain origins, one with TLS, one with TLS for another host name.

/echo answers what came as JSON. The rest is in Handler.answer. Counters are per path, so "fail N times, then work" needs a path
of its own: the query's `id` makes one.
"""

import collections
import email.utils
import http.server
import json
import pathlib
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import make_ca

seen = collections.Counter()
never = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits for a delayed ACK

    def log_message(self, *_):
        pass

    def any_method(self):
        target = urllib.parse.urlsplit(self.path)  # a whole URL when we are the proxy
        self.proxied, path = bool(target.netloc), target.path
        args = dict(urllib.parse.parse_qsl(target.query))
        seen[self.path] += 1
        if path == "/reset-in-body":
            self.rfile.read(int(args["after"]))
            return self.reset()
        if path == "/stall-in-body":
            self.rfile.read(int(args["after"]))
            return never.wait()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(path, args, body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = any_method

    def answer(self, path, args, body):
        if path == "/echo":
            self.echo(body)
        elif path == "/fail-first":  # n times this status (0: reset), then the echo
            if seen[self.path] > int(args["n"]):
                self.echo(body)
            elif args["status"] == "0":
                self.reset()
            else:
                headers = {"Retry-After": args["wait"]} if "wait" in args else {}
                self.reply(int(args["status"]), b"not yet", headers)
        elif path == "/retry-date":  # the server's clock is a day ahead; it asks for one second
            day = time.time() + 86400
            dates = {"Date": email.utils.formatdate(day, usegmt=True),
                     "Retry-After": email.utils.formatdate(day + 1, usegmt=True)}
            self.reply(503, b"", dates)
        elif path == "/redirect":
            self.reply(int(args["status"]), b"", {"Location": args["to"]})
        elif path == "/loop":
            self.reply(302, b"", {"Location": "/loop"})
        elif path == "/truncated":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
            self.close_connection = True
        elif path == "/stall":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
            self.wfile.flush()
            never.wait()
        elif path == "/slow":  # 1 kB/s, in ten pieces
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(10):
                self.wfile.write(b"x" * 100)
                time.sleep(0.1)
        elif path == "/trickle":  # a byte at a time, for ever
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            while not self.wfile.closed:
                self.wfile.write(b"x")
                time.sleep(0.02)
        elif path == "/bytes":
            self.reply(200, b"x" * int(args["n"]))
        elif path == "/header-flood":  # n bytes of header lines
            self.reply(200, b"", {f"X-{number}": "x" * 990 for number in range(int(args["n"]) // 1000)})
        elif path == "/count":
            self.reply(200, str(seen[args["of"]]).encode())

    def echo(self, body):
        answer = {"method": self.command, "path": self.path, "size": len(body), "headers": dict(self.headers),
                  "head": body[:64].decode("latin-1"), "count": seen[self.path],
                  "proxied": self.proxied}
        self.reply(200, json.dumps(answer).encode(), {"X-Mixed-CASE": "yes"})

    def reply(self, status, body, headers=None):
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, certificate=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder)
        make_ca.make(made)
        servers = {"plain": Server(), "other": Server(), "tls": Server(made / "server.pem"),
                   "wronghost": Server(made / "wronghost.pem")}
        print(json.dumps({name: server.url for name, server in servers.items()} | {"ca": str(made / "ca.pem")}), flush=True)
        sys.stdin.read()
