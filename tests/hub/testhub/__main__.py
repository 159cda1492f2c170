"""python3 -m testhub [--tls]: serves on free loopback ports until standard input closes; prints its addresses as one JSON line."""

import json
import pathlib
import sys
import tempfile
import threading

from . import control, faults, hub, state, storage, wire


def certificates(folder):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
    import make_ca

    make_ca.make(folder)
    return [folder / f"{name}.pem" for name in ("server", "wronghost", "expired")]


def serve(folder, with_tls):
    objects = folder / "objects"
    objects.mkdir()
    remembered, script, log, stopping = state.State(objects), faults.Faults(), control.Log(), threading.Event()
    hub_app = hub.Hub(remembered, script, log, stopping)
    hub_app.storage = storage_app = storage.Storage(remembered, script, log, stopping)
    storage_app.hub = hub_app
    servers = {
        "hub": wire.Server(hub_app),
        "storage": wire.Server(storage_app),
        "elsewhere": wire.Server(control.Elsewhere(log, stopping)),
        "control": wire.Server(control.Control(remembered, script, log, stopping)),
    }
    hub_app.storage_url["http"] = servers["storage"].url
    addresses = {}
    if with_tls:
        good, wrong, expired = certificates(folder)
        servers |= {"tls_hub": wire.Server(hub_app, good), "tls_storage": wire.Server(storage_app, good),
                    "wronghost": wire.Server(hub_app, wrong), "expired": wire.Server(hub_app, expired)}
        hub_app.storage_url["https"] = servers["tls_storage"].url
        addresses["ca"] = str(folder / "ca.pem")
    addresses |= {name: server.url for name, server in servers.items()}
    print(json.dumps(addresses), flush=True)
    sys.stdin.read()
    stopping.set()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        serve(pathlib.Path(made), "--tls" in sys.argv[1:])
