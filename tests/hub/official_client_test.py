"""The test Hub against the official client: what huggingface_hub cannot do with it, the real Hub does not speak either.

usage: official_client_test.py VENV_FOLDER. Installs huggingface_hub there once; without network it exits 125 (skipped).
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import skips

SKIPPED = 125
PACKAGE = "huggingface_hub>=1.28"

CLIENT = r'''
import hashlib, os, pathlib, sys
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.utils import HfHubHTTPError, RepositoryNotFoundError

folder, home = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
api, repo = HfApi(), "user/wheels"
assert api.whoami()["name"] == "user"
try:
    api.repo_info("user/missing")
    raise SystemExit("a missing repository was found")
except RepositoryNotFoundError:
    pass
for _ in range(2):
    api.create_repo(repo, exist_ok=True)
api.auth_check(repo, write=True)
first = api.upload_folder(repo_id=repo, folder_path=folder, commit_message="all of it")
files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
listed = {entry.path: entry for entry in api.list_repo_tree(repo, recursive=True) if hasattr(entry, "blob_id")}
for name, path in files.items():
    content = path.read_bytes()
    assert listed[name].size == len(content), name
    if listed[name].lfs:
        assert listed[name].lfs.sha256 == hashlib.sha256(content).hexdigest(), name
    assert pathlib.Path(hf_hub_download(repo, name, cache_dir=home / "cache")).read_bytes() == content, name
assert listed["big.bin"].lfs and listed["medium.bin"].lfs and not listed["README.md"].lfs
assert set(api.list_repo_files(repo)) == {*files, ".gitattributes"}
assert len(api.get_paths_info(repo, ["big.bin", "nothing"])) == 1
again = api.upload_folder(repo_id=repo, folder_path=folder)
assert again.oid == first.oid, "an unchanged folder made a commit"
pull = api.upload_file(path_or_fileobj=b"hello", path_in_repo="by-pr.txt", repo_id=repo, create_pr=True,
                       commit_description="said in the description")
opened = list(api.get_repo_discussions(repo, discussion_type="pull_request", discussion_status="open"))
assert [(each.num, each.is_pull_request) for each in opened] == [(1, True)]
details = api.get_discussion_details(repo, 1)
assert details.is_pull_request and details.events[0].content == "said in the description", details
for number in range(12):
    api.create_pull_request(repo, title=f"draft {number}")
opened = list(api.get_repo_discussions(repo, discussion_type="pull_request", discussion_status="open"))
assert sorted(each.num for each in opened) == list(range(1, 14)), "the pages of the list"
assert pull.pr_num == 1 and not api.file_exists(repo, "by-pr.txt")
try:
    api.upload_file(path_or_fileobj=b"x", path_in_repo="late.txt", repo_id=repo, parent_commit="0" * 40)
    raise SystemExit("a wrong parent was accepted")
except HfHubHTTPError as error:
    assert error.response.status_code == 412
api.create_branch(repo, branch="next")
api.upload_file(path_or_fileobj=b"x" * 300, path_in_repo="on-next.txt", repo_id=repo, revision="next")
assert api.file_exists(repo, "on-next.txt", revision="next") and not api.file_exists(repo, "on-next.txt")
api.delete_file("README.md", repo)
assert not api.file_exists(repo, "README.md")
print("the official client is satisfied")
'''


def python_with_client(venv: pathlib.Path) -> pathlib.Path:
    python = venv / "bin" / "python"
    if (venv / "ready").exists():
        return python
    shutil.rmtree(venv, ignore_errors=True)
    uv = shutil.which("uv")
    make = [uv, "venv", "-q", str(venv)] if uv else [sys.executable, "-m", "venv", str(venv)]
    install = [uv, "pip", "install", "-q", "--python", str(python)] if uv else [str(python), "-m", "pip", "install", "-q"]
    for command in (make, [*install, PACKAGE]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            skips.note("hub_official_client", f"{PACKAGE} cannot be installed (no network?): {done.stderr}")
            sys.exit(SKIPPED)
    (venv / "ready").touch()
    return python


def call(address: str, **what) -> dict:
    with urllib.request.urlopen(address + "/call", json.dumps(what).encode()) as answer:
        return json.load(answer)


def fill(folder: pathlib.Path) -> None:
    (folder / "whl").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Wheels\n")
    (folder / "medium.bin").write_bytes(bytes(range(256)) * 400)
    (folder / "big.bin").write_bytes(os.urandom(12_000_000))
    (folder / "whl" / "a-1.0+cu130-cp311-cp311-linux_x86_64.whl").write_bytes(os.urandom(300_000))
    for number in range(30):
        (folder / "whl" / f"note {number} \u00e9.txt").write_text(f"note {number}\n")


def main() -> None:
    python = python_with_client(pathlib.Path(sys.argv[1]))
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        address = json.loads(server.stdout.readline())
        with tempfile.TemporaryDirectory() as made:
            folder = pathlib.Path(made)
            fill(folder / "content")
            environment = {
                "PATH": os.environ["PATH"], "HOME": made, "HF_HOME": made + "/hf", "HF_ENDPOINT": address["hub"],
                "HF_TOKEN": "hf_writewritewritewrite", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1",
            }
            subprocess.run([python, "-c", CLIENT, str(folder / "content"), made], env=environment, check=True, timeout=120)
        log = call(address["control"], do="log")["log"]
        leaked = [entry for entry in log if entry["origin"] == "storage" and entry["auth"]]
        assert not leaked, leaked
        assert any(entry["endpoint"] == "complete" and entry["status"] == 200 for entry in log), "no multipart upload"
    finally:
        server.stdin.close()
        server.wait()


if __name__ == "__main__":
    main()
