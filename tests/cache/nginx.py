"""A real nginx with its DAV module as a remote cache, on loopback, in a folder of its own.

Four addresses: open, with basic authentication (user:pass word), with a bearer token (token123), and open with TLS by a CA of our own.
Prints {"skip": reason} where there is no nginx. Ends when standard input closes.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import make_ca

SERVER = """
  server {{
    listen 127.0.0.1:{port}{ssl};
    {extra}
    location / {{
      root {data};
      dav_methods PUT;
      create_full_put_path on;
      client_max_body_size {limit};
    }}
  }}
"""
CONFIG = """
daemon off;
master_process off;
pid {root}/pid;
error_log {root}/error.log;
events {{}}
http {{
  access_log {root}/access.log;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  {servers}
}}
"""
BEARER = 'if ($http_authorization != "Bearer token123") {{ return 401; }}'


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def wait_until_open(process, port):
    for _ in range(500):
        if process.poll() is not None:
            sys.exit("nginx ended")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    sys.exit("nginx does not answer")


def main(root):
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if nginx is None:
        print(json.dumps({"skip": "there is no nginx"}), flush=True)
        return
    data = root / "data"
    data.mkdir()
    make_ca.make(root)
    (root / "users").write_text("user:{PLAIN}pass word\n")
    names = ["open", "basic", "bearer", "tls", "small"]
    ports = dict(zip(names, free_ports(len(names))))
    extras = {"basic": f"auth_basic cache; auth_basic_user_file {root}/users;", "bearer": BEARER.format(),
              "tls": f"ssl_certificate {root}/server.pem; ssl_certificate_key {root}/server.pem;"}
    servers = "".join(SERVER.format(port=ports[name], ssl=" ssl" if name == "tls" else "", data=data, extra=extras.get(name, ""),
                                    limit="100k" if name == "small" else 0) for name in names)
    (root / "conf").write_text(CONFIG.format(root=root, servers=servers))
    process = subprocess.Popen([nginx, "-p", root, "-c", root / "conf", "-e", root / "error.log"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
    try:
        wait_until_open(process, ports["open"])
        urls = {name: f"http{'s' if name == 'tls' else ''}://127.0.0.1:{port}/cache" for name, port in ports.items()}
        print(json.dumps(urls | {"data": str(data / "cache"), "ca": str(root / "ca.pem"), "skip": ""}), flush=True)
        sys.stdin.read()
    finally:
        process.kill()
        process.wait()


with tempfile.TemporaryDirectory() as folder:
    main(pathlib.Path(folder))
