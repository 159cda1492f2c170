"""Git's own servers on a free loopback port, for tests. Writes the port to a FIFO when it listens, logs each request, and ends
with the process that started it.

git_server.py git|http|https|ssh|proxy|silent --ready FIFO [--root DIR] [--log FILE] [--cert FILE --key FILE]
    [--password WORD] [--stall-after BYTES]
"""

import argparse
import base64
import ctypes
import http.server
import os
import shlex
import signal
import socket
import socketserver
import ssl
import subprocess
import threading

options = None
log_lock = threading.Lock()


def log(line):
    with log_lock, open(options.log, "a", encoding="utf-8") as file:
        file.write(line + "\n")


class GitDaemon(socketserver.BaseRequestHandler):
    """git daemon as inetd would start it: its own --port cannot be 0."""

    def handle(self):
        log("connection")
        command = ["git", "daemon", "--inetd", "--export-all", "--timeout=20", "--base-path=" + options.root]
        subprocess.run(command, stdin=self.request, stdout=self.request, check=False)


class Silent(socketserver.BaseRequestHandler):
    """Takes the connection and says nothing, until the client goes."""

    def handle(self):
        log("connection")
        while self.request.recv(4096):
            pass


class Proxy(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        log("CONNECT " + self.path)
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as upstream:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=pump, args=(upstream, self.connection), daemon=True)
            back.start()
            pump(self.connection, upstream)
            back.join()
        self.close_connection = True

    def log_message(self, *_):
        pass


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class HttpBackend(http.server.BaseHTTPRequestHandler):
    """Smart HTTP: git http-backend as a CGI program."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.answer(self.chunks())
        else:
            self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, body):
        path, _, query = self.path.partition("?")
        log(f"{self.command} {self.path}")
        if options.password and not self.is_allowed():
            return self.reply("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="test"')], b"")
        environment = dict(os.environ, GIT_PROJECT_ROOT=options.root, GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path,
                           QUERY_STRING=query, REQUEST_METHOD=self.command, REMOTE_ADDR="127.0.0.1",
                           CONTENT_TYPE=self.headers.get("Content-Type", ""), CONTENT_LENGTH=str(len(body)),
                           HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""))
        result = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, content = result.stdout.partition(b"\r\n\r\n")
        fields = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n") if ": " in line]
        status = dict(fields).get("Status", "200 OK")
        self.reply(status, [field for field in fields if field[0] != "Status"], content)

    def is_allowed(self):
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        return kind == "Basic" and base64.b64decode(given).decode().partition(":")[2] == options.password

    def reply(self, status, fields, content):
        code, _, text = status.partition(" ")
        self.send_response(int(code), text)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if options.stall_after is not None and self.command == "POST" and len(content) > options.stall_after:
            self.wfile.write(content[: options.stall_after])
            self.wfile.flush()
            log("stalled")
            self.connection.recv(1)  # until the client goes
            self.close_connection = True
            return
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Ssh(socketserver.BaseRequestHandler):
    """Any key is let in; the one command is git-upload-pack. Needs paramiko."""

    def handle(self):
        import paramiko

        class Policy(paramiko.ServerInterface):
            command, asked = b"", threading.Event()

            def check_channel_request(self, kind, chanid):
                return paramiko.OPEN_SUCCEEDED

            def get_allowed_auths(self, username):
                return "publickey"

            def check_auth_publickey(self, username, key):
                log(f"key {key.get_name()} of {username}")
                return paramiko.AUTH_SUCCESSFUL

            def check_channel_exec_request(self, channel, command):
                self.command = command
                self.asked.set()
                return True

        transport = paramiko.Transport(self.request)
        transport.add_server_key(paramiko.ECDSAKey.from_private_key_file(options.key))
        policy = Policy()
        transport.start_server(server=policy)
        channel = transport.accept(20)
        if channel is None or not policy.asked.wait(20):
            return
        program, path = shlex.split(policy.command.decode())
        log(f"{program} {path}")
        command = ["git", "upload-pack", options.root + path]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            threading.Thread(target=self.feed, args=(channel, child.stdin), daemon=True).start()
            while data := child.stdout.read1(65536):
                channel.sendall(data)
            channel.send_exit_status(child.wait())
        channel.close()
        transport.join(20)  # until the client has read it all and goes

    def feed(self, channel, sink):
        try:
            while data := channel.recv(65536):
                sink.write(data)
                sink.flush()
            sink.close()
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what many tests are about


def main():
    global options
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["git", "http", "https", "ssh", "proxy", "silent"])
    parser.add_argument("--ready", required=True)
    parser.add_argument("--root", default="/nonexistent")
    parser.add_argument("--log", default=os.devnull)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--password")
    parser.add_argument("--stall-after", type=int)
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    handler = {"git": GitDaemon, "ssh": Ssh, "silent": Silent, "proxy": Proxy}.get(options.mode, HttpBackend)
    with Server(("127.0.0.1", 0), handler) as server:
        if options.mode == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(options.cert, options.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        with open(options.ready, "w", encoding="utf-8") as ready:
            ready.write(f"{server.server_address[1]}\n")
        server.serve_forever()


if __name__ == "__main__":
    main()
