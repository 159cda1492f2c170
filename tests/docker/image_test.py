"""The image as its users run it. tests/docker/run.sh makes it and starts this: ENGINE is docker or podman, IMAGE what is tested.

A container here is that of `docker run`: its program is process 1, its root may be read-only, its volumes are mounts.
"""

import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import zipfile

ENGINE, IMAGE = os.environ["ENGINE"], os.environ["IMAGE"]
CALLER, GROUP = 1234, 2345  # nobody that the image knows
ARCHS = os.environ.get("SAGEBUILD_TEST_ARCHS", "8.0 12.0+PTX")
MINISAGE = ("-e", "SAGEBUILD_RECIPE=minisage")  # the project in sagebuild's own data: no network for the source
# Docker's --read-only leaves nothing writable; podman's would mount a /tmp.
READ_ONLY = ("--read-only", "--read-only-tmpfs=false") if ENGINE == "podman" else ("--read-only",)


class Run:
    def __init__(self, arguments, options, limit):
        started = time.monotonic()
        done = subprocess.run([ENGINE, "run", "--rm", *options, IMAGE, *arguments], capture_output=True, text=True, timeout=limit)
        self.code, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        self.seconds = time.monotonic() - started

    def __repr__(self):
        return f"exit code {self.code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Image(unittest.TestCase):
    def setUp(self):
        self.world = pathlib.Path(tempfile.mkdtemp(prefix="sagebuild-image-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.world)
        self.world.chmod(0o755)
        self.out = self.world / "out"
        self.out.mkdir()

    def of_caller(self):
        os.chown(self.out, CALLER, GROUP)

    def mounts(self):
        # One cache for all tests: what one compiled the next need not.
        return ("-v", f"{self.out}:/out", "-v", "sagebuild-test-cache:/cache")

    def run_image(self, *arguments, options=(), limit=1800):
        return Run(arguments, options, limit)

    def assert_wheel_of(self, outcome, owner, group):
        self.assertEqual(outcome.code, 0, outcome)
        wheels = sorted(self.out.glob("*.whl"))
        self.assertEqual([f"/out/{path.name}" for path in wheels], outcome.stdout.split(), outcome)
        for path in self.out.iterdir():
            status = path.stat()
            self.assertEqual((status.st_uid, status.st_gid), (owner, group), path)
        with zipfile.ZipFile(wheels[0]) as wheel:
            self.assertIsNone(wheel.testzip())
            self.assertTrue([name for name in wheel.namelist() if re.search(r"_qattn_sm80.*\.so$", name)], wheel.namelist())
        print(f"  {self._testMethodName}: {outcome.seconds:.0f} s, {wheels[0].name}, {wheels[0].stat().st_size} bytes", flush=True)
        return wheels[0]

    # Building

    def test_1_root_leaves_wheel_to_owner_of_out(self):
        self.of_caller()
        outcome = self.run_image(options=(*self.mounts(), *MINISAGE, "-e", f"TORCH_CUDA_ARCH_LIST={ARCHS}"))
        wheel = self.assert_wheel_of(outcome, CALLER, GROUP)
        verdict = self.run_image("verify", f"/out/{wheel.name}", "--arch", ARCHS, options=self.mounts())
        self.assertEqual(verdict.code, 0, verdict)

    def test_2_another_user_on_a_read_only_root(self):
        self.of_caller()
        outcome = self.run_image(options=(*self.mounts(), *MINISAGE, *READ_ONLY, "--user", f"{CALLER}:{GROUP}",
                                          "-e", f"TORCH_CUDA_ARCH_LIST={ARCHS}"))
        self.assert_wheel_of(outcome, CALLER, GROUP)

    def test_3_root_where_out_is_of_root(self):
        outcome = self.run_image(options=(*self.mounts(), *MINISAGE, *READ_ONLY, "-e", "TORCH_CUDA_ARCH_LIST=8.0"))
        self.assert_wheel_of(outcome, 0, 0)

    def test_the_same_wheel_whoever_builds_it(self):
        digests = set()
        for options in ((), ("--user", f"{CALLER}:{GROUP}", *READ_ONLY)):
            self.of_caller()
            outcome = self.run_image(options=(*self.mounts(), *MINISAGE, *options, "-e", "TORCH_CUDA_ARCH_LIST=8.0"))
            wheel = self.assert_wheel_of(outcome, CALLER, GROUP)
            digests.add(hashlib.sha256(wheel.read_bytes()).hexdigest())
            wheel.unlink()
        self.assertEqual(len(digests), 1)

    def test_empty_list_is_that_of_the_recipe(self):
        outcome = self.run_image("plan", options=(*self.mounts(), *MINISAGE, "-e", "TORCH_CUDA_ARCH_LIST="))
        self.assertEqual(outcome.code, 0, outcome)
        self.assertRegex(outcome.stdout + outcome.stderr, r"architectures 8\.0[ ;]8\.9[ ;]9\.0[ ;]12\.0\+PTX \(from .*recipe")

    def test_list_that_cannot_be_built_is_refused(self):
        outcome = self.run_image(options=(*self.mounts(), *MINISAGE, "-e", "TORCH_CUDA_ARCH_LIST=8.0 3.5"))
        self.assertEqual(outcome.code, 3, outcome)
        self.assertIn("3.5", outcome.stderr)
        self.assertFalse(list(self.out.iterdir()))

    # What is told at once

    def test_nothing_mounted_at_out(self):
        outcome = self.run_image(options=MINISAGE, limit=60)
        self.assertEqual(outcome.code, 2, outcome)
        self.assertIn("nothing is mounted at /out", outcome.stderr)
        self.assertIn('-v "$PWD/out:/out"', outcome.stderr)

    def test_out_that_cannot_be_written(self):
        outcome = self.run_image(options=(*self.mounts(), *MINISAGE, "--user", f"{CALLER}:{GROUP}"), limit=60)
        self.assertEqual(outcome.code, 2, outcome)
        self.assertIn(f"user {CALLER} may not write to /out, which belongs to user 0", outcome.stderr)

    def test_cache_that_cannot_be_written(self):
        self.of_caller()
        cache = self.world / "cache"
        cache.mkdir()
        outcome = self.run_image(options=("-v", f"{self.out}:/out", "-v", f"{cache}:/cache", *MINISAGE), limit=60)
        self.assertEqual(outcome.code, 2, outcome)
        self.assertIn(f"user {CALLER} may not write to /cache, which belongs to user 0", outcome.stderr)

    def test_root_without_the_right_to_become_another(self):
        self.of_caller()
        outcome = self.run_image(options=(*self.mounts(), *MINISAGE, "--cap-drop", "ALL"), limit=60)
        self.assertEqual(outcome.code, 2, outcome)
        self.assertIn(f"add --user {CALLER}:{GROUP}", outcome.stderr)

    def test_help_needs_no_mount(self):
        for words in (("--help",), ("build", "--help"), ("upload", "--help"), ("--version",)):
            outcome = self.run_image(*words, limit=60)
            self.assertEqual(outcome.code, 0, outcome)
            self.assertTrue(outcome.stdout)

    # The other commands

    def test_doctor_without_gpu(self):
        outcome = self.run_image("doctor", "--offline", options=(*self.mounts(), *READ_ONLY))
        self.assertEqual(outcome.code, 0, outcome)

    def test_patch_of_a_mounted_source(self):
        self.of_caller()
        source = self.world / "source"
        shutil.copytree(pathlib.Path(__file__).parents[2] / "examples" / "minisage", source)
        outcome = self.run_image("patch", "--diff", "/source/setup.py", options=(*self.mounts(), "-v", f"{source}:/source:ro"))
        self.assertEqual(outcome.code, 0, outcome)
        self.assertIn("+++", outcome.stdout)

    def test_upload_takes_what_lies_in_out_and_shows_no_token(self):
        self.of_caller()
        secret = "hf_" + "s3cr3t" * 5
        token = self.world / "token"
        token.write_text(secret + "\n")
        os.chown(token, CALLER, GROUP)
        token.chmod(0o600)
        empty = self.run_image("upload", "--repo", "me/wheels", options=self.mounts(), limit=60)
        self.assertEqual(empty.code, 2, empty)
        self.assertIn("there is no wheel in '/out'", empty.stderr)
        self.assertEqual(self.run_image(options=(*self.mounts(), *MINISAGE, "-e", "TORCH_CUDA_ARCH_LIST=8.0")).code, 0)
        # A Hub that nobody answers for: the token is read, and not told to anybody.
        for options in (("-v", f"{token}:/run/secrets/hf_token:ro"), ("-e", f"HF_TOKEN={secret}")):
            outcome = self.run_image("upload", "--repo", "me/wheels", "-v", "--retry-delay-ms", "1",
                                     options=(*self.mounts(), *options, "-e", "HF_ENDPOINT=http://127.0.0.1:9"), limit=120)
            self.assertEqual(outcome.code, 4, outcome)
            self.assertNotIn(secret, outcome.stdout + outcome.stderr)
            self.assertNotIn("log in", outcome.stderr)
        logs = self.run_image("-c", f"grep -r {secret} /cache /out", options=(*self.mounts(), "--entrypoint", "bash"))
        self.assertEqual(logs.code, 1, logs)

    # Stopping

    def stopped_by(self, number):
        self.of_caller()
        name = f"sagebuild-test-{os.getpid()}-{number}"
        # No cache, so that there is something to stop.
        process = subprocess.Popen([ENGINE, "run", "--rm", "--name", name, *self.mounts(), *MINISAGE, *READ_ONLY,
                                    "-e", "TORCH_CUDA_ARCH_LIST=8.0 8.9 9.0", "-e", "SAGEBUILD_NO_CACHE=1", IMAGE],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        limit = time.monotonic() + 300
        while not (seen := self.compilers(name)) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.5)
        self.assertTrue(seen, "no compiler was started")
        asked = time.monotonic()
        subprocess.run([ENGINE, "kill", "--signal", str(int(number)), name], check=True, capture_output=True)
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 128 + number, stderr)
        self.assertEqual(list(self.out.iterdir()), [], stderr)
        print(f"  signal {int(number)}: ended after {time.monotonic() - asked:.1f} s with {process.returncode}", flush=True)
        left = Run(("-c", "find /cache -name 'sagebuild-*' -path '*/tmp/*'"), (*self.mounts(), "--entrypoint", "bash"), 60)
        self.assertEqual(left.stdout, "", "temporary folders are left")

    @staticmethod
    def compilers(name):
        """Command lines in the container. Not `top`: podman has it only where it made a cgroup."""
        script = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; echo; done 2> /dev/null"
        done = subprocess.run([ENGINE, "exec", name, "sh", "-c", script], capture_output=True, text=True)
        return [line for line in done.stdout.splitlines() if "cicc" in line or "cc1plus" in line]

    def test_interrupt_as_process_1(self):
        self.stopped_by(signal.SIGINT)

    def test_docker_stop_as_process_1(self):
        self.stopped_by(signal.SIGTERM)

    # The image

    def test_labels_and_no_secret_in_a_layer(self):
        text = subprocess.run([ENGINE, "image", "inspect", IMAGE], capture_output=True, text=True, check=True).stdout
        for word in ("org.opencontainers.image.title", "org.opencontainers.image.licenses", "org.opencontainers.image.version"):
            self.assertIn(word, text)
        history = subprocess.run([ENGINE, "history", "--no-trunc", IMAGE], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("hf_", (text + history).replace("hf_token", ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
