"""Makes a CA and a certificate for 127.0.0.1 in a folder: ca.pem, server.pem (key and certificate); also expired.pem and wronghost.pem."""

import pathlib
import subprocess


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def certificate(folder: pathlib.Path, name: str, subject_alt: str, days: str) -> None:
    key, request, made = folder / f"{name}.key", folder / f"{name}.csr", folder / f"{name}.crt"
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={subject_alt}\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key), "-out",
            str(request), "-subj", f"/CN={name}")
    openssl("x509", "-req", "-in", str(request), "-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"),
            "-CAcreateserial", "-days", days, "-extfile", str(extensions), "-out", str(made))
    (folder / f"{name}.pem").write_text(key.read_text() + made.read_text())


def make(folder: pathlib.Path) -> None:
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=test CA", "-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem"))
    certificate(folder, "server", "IP:127.0.0.1,DNS:localhost", "2")
    certificate(folder, "wronghost", "DNS:elsewhere.example", "2")
    certificate(folder, "expired", "IP:127.0.0.1", "-1")
