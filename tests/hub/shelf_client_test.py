"""`sagebuild hub` against the test Hub, with the official client looking at what is there afterwards.

usage: shelf_client_test.py VENV_FOLDER, as official_client_test.py.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import official_client_test
import program

SMALL = "sage-2.9+cu130torch2.11-cp311-cp311-linux_x86_64.whl"
NEWER = "sage-2.10+cu130torch2.11-cp311-cp311-linux_x86_64.whl"
LARGE = "sage-2.10+cu128torch2.8-cp310-cp310-linux_x86_64.whl"

LOOK = r'''
import hashlib, json, pathlib, sys
from huggingface_hub import HfApi, hf_hub_download

api, repo = HfApi(), sys.argv[1]
files, content = sorted(api.list_repo_files(repo)), {}
for name in files:
    content[name] = pathlib.Path(hf_hub_download(repo, name, cache_dir=sys.argv[2], force_download=True)).read_bytes()
wheels = [name for name in files if name.endswith(".whl")]
dates = {each.path: str(each.last_commit.date) for each in api.get_paths_info(repo, wheels, expand=True)} if wheels else {}
print(json.dumps({
    "files": files, "dates": dates, "commits": [each.title for each in api.list_repo_commits(repo)],
    "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in content.items()},
    "text": {name: data.decode() for name, data in content.items() if not name.endswith(".whl")}}))
'''


def main():
    python = official_client_test.python_with_client(pathlib.Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as home, program.test_hub() as address:
        environment = program.environment(address, home)
        client = {**environment, "HF_HOME": home + "/hf", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
                  "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1"}
        program.call(address, do="reset", multipart_from=50_000, chunk_size=30_000)
        program.call(address, do="create", name=program.REPO)

        def look():
            done = subprocess.run([python, "-c", LOOK, program.REPO, home + "/seen"], env=client, check=True,
                                  capture_output=True, text=True, timeout=120)
            return json.loads(done.stdout)

        def sagebuild(*words, code=0):
            command = [program.BINARY, *words, "--repo", program.REPO]
            done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
            assert done.returncode == code, (command, done)
            return done.stdout

        def check(wheels, commits):
            """The official client sees these wheels, an index that is true of them, and so many commits."""
            seen = look()
            assert sorted(name for name in seen["files"] if name.endswith(".whl")) == sorted(wheels), seen["files"]
            rows = json.loads(seen["text"]["wheels.json"])["wheels"]
            assert {row["file"]: row["sha256"] for row in rows} == {name: seen["sha256"][name] for name in wheels}
            sums = dict(reversed(line.split("  ", 1)) for line in seen["text"]["SHA256SUMS"].splitlines())
            assert sums == {name: seen["sha256"][name] for name in wheels}, sums
            for name in wheels:
                assert seen["sha256"][name] in seen["text"]["README.md"], name
            assert len(seen["commits"]) == commits, seen["commits"]
            return seen

        wheels = [program.make_wheel(home, name, size) for name, size in ((SMALL, 20_000), (NEWER, 20_000), (LARGE, 130_000))]
        sagebuild("upload", *map(str, wheels))
        seen = check([SMALL, NEWER, LARGE], 2)
        for wheel in wheels:
            assert seen["sha256"][wheel.name] == hashlib.sha256(wheel.read_bytes()).hexdigest()
        order = [line.split("]")[0] for line in seen["text"]["README.md"].splitlines() if line.startswith("| [")]
        assert order == [f"| [{NEWER}", f"| [{LARGE}", f"| [{SMALL}"], order

        listed = json.loads(sagebuild("hub", "ls", "--json"))
        assert [row["file"] for row in listed["wheels"]] == [NEWER, LARGE, SMALL]
        for row in listed["wheels"]:  # the same day as the official client is told
            assert row["date"][:10] == seen["dates"][row["file"]][:10], (row, seen["dates"])
        table = sagebuild("hub", "ls").splitlines()
        assert table[0].split() == ["version", "torch", "CUDA", "Python", "GPUs", "platform", "size", "date", "file"], table
        assert table[1].split()[:4] == ["2.10+cu130torch2.11", "2.11", "13.0", "cp311"], table
        print("\n".join(table))

        sagebuild("hub", "rm", SMALL, code=2)  # nobody to ask
        sagebuild("hub", "rm", SMALL, "--dry-run")
        check([SMALL, NEWER, LARGE], 2)
        sagebuild("hub", "rm", SMALL, "--yes", "--commit-message", "Too old")
        assert check([NEWER, LARGE], 3)["commits"][0] == "Too old"
        sagebuild("hub", "mv", LARGE, "cu128/")
        check([NEWER, "cu128/" + LARGE], 4)
        sagebuild("hub", "reindex")
        check([NEWER, "cu128/" + LARGE], 4)
        program.call(address, do="commit", name=program.REPO, files={"hand-1.0-py3-none-any.whl": "by hand"})
        sagebuild("hub", "reindex")
        check([NEWER, "cu128/" + LARGE, "hand-1.0-py3-none-any.whl"], 6)
        sagebuild("hub", "rm", "nothing.whl", "--yes", code=1)
    print("the official client sees what hub ls, rm, mv and reindex say")


if __name__ == "__main__":
    main()
