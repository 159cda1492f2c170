"""Bad input: each case ends with its exit code, a message that names the object, a hint, and nothing half-written."""

import os
import pathlib
import shutil
import socket
import subprocess
import textwrap

import support

USAGE, FAILED, ENVIRONMENT, NETWORK = 2, 1, 3, 4


class Source(support.EndToEnd):
    def test_no_network(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]  # nobody listens there once this block ends
        outcome = self.build(f"http://127.0.0.1:{port}/project.git")
        self.assert_fails(outcome, NETWORK, f"127.0.0.1:{port}")
        self.assert_nothing_left()

    def test_unknown_host(self):
        outcome = self.build("https://sagebuild.invalid/project.git", HTTPS_PROXY="", https_proxy="")
        self.assert_fails(outcome, NETWORK, "sagebuild.invalid")
        self.assert_nothing_left()

    def test_wrong_ref(self):
        package = support.tiny_package(self.world / "tiny")
        outcome = self.build(package, "--ref", "no-such-branch")
        self.assert_fails(outcome, USAGE, "'no-such-branch'")
        self.assert_nothing_left()

    def test_no_such_folder(self):
        outcome = self.build(self.world / "nowhere")
        self.assert_fails(outcome, USAGE, "nowhere")
        self.assert_nothing_left()

    def test_not_a_repository(self):
        (self.world / "notes.txt").write_text("no source\n")
        outcome = self.build(self.world / "notes.txt")
        self.assert_fails(outcome, USAGE, "notes.txt")
        self.assert_nothing_left()

    def test_ref_of_a_plain_folder(self):
        package = support.tiny_package(self.world / "tiny")
        shutil.rmtree(package / ".git")
        self.assert_fails(self.build(package, "--ref", "main"), USAGE, "tiny")
        self.assert_nothing_left()


class BeforeAnythingIsFetched(support.EndToEnd):
    """No environment is there, and none can be made (--offline): what is wrong is told all the same, for it is looked at first."""

    def refused(self, code, *arguments, says, command="build"):
        outcome = self.run_sagebuild(command, "--offline", *arguments)
        self.assert_fails(outcome, code, *says)
        self.assertEqual(list((self.world / "cache").rglob("envs/*")), [])
        self.assert_nothing_left()

    def test_what_is_known_without_it(self):
        package = support.tiny_package(self.world / "tiny")
        (self.world / "notes.txt").write_text("no source\n")
        (self.world / "empty").mkdir()
        (self.world / "plain").mkdir()
        (self.world / "homeless.toml").write_text('name = "homeless"\ndetect = ["homeless"]\n')
        for code, arguments, says in (
                (USAGE, ["--source", package, "--arch", "5.7"], ["'5.7'"]),
                (USAGE, ["--source", self.world / "nowhere"], ["nowhere"]),
                (USAGE, ["--source", package, "--ref", "no-such-branch"], ["'no-such-branch'"]),
                (USAGE, ["--source", self.world / "plain", "--ref", "main"], ["not a git repository"]),
                (USAGE, ["--source", self.world / "notes.txt"], ["not a source archive"]),
                (USAGE, ["--source", package, "--recipe", "minisge"], ["'minisge'", "minisage"]),
                (USAGE, ["--source", package, "--recipe", "nowhere.toml"], ["'nowhere.toml'", "--recipe takes"]),
                (USAGE, ["--recipe", self.world / "homeless.toml"], ["'homeless' names no source", "--source"]),
                (USAGE, ["--source", package, "--torch", "newest"], ["'newest' is no torch version"]),
                (ENVIRONMENT, ["--source", package, "--cuda-home", self.world / "empty"], [str(self.world / "empty")]),
                (ENVIRONMENT, ["--source", package, "--torch", "2.11.0", "--cuda", "12.8"], ["download.pytorch.org/whl/cu128"])):
            with self.subTest(arguments=arguments):
                self.refused(code, *arguments, says=says)

    @support.require(not list(pathlib.Path("/usr/local").glob("cuda*12*")), "a CUDA 12 toolkit would do")
    def test_a_torch_without_toolkit(self):
        for command in ("build", "plan"):
            self.refused(ENVIRONMENT, "--torch", "2.8.0", says=["torch 2.8.0 needs a CUDA 12 toolkit"], command=command)

    def test_a_plan_makes_no_environment_unasked(self):
        self.refused(ENVIRONMENT, command="plan", says=["2.8 GB", "5.1 GB", str(self.world / "cache"), " are free", "--create-env", "--yes"])
        for flag in ("--create-env", "--yes"):
            outcome = self.run_sagebuild("plan", "--offline", flag)
            self.assertIn("2.8 GB to fetch", outcome.stderr, outcome)  # announced, then tried


class SetupPy(support.EndToEnd):
    def test_missing(self):
        package = support.tiny_package(self.world / "tiny")
        support.git(package, "rm", "-q", "setup.py")
        support.git(package, "commit", "-q", "-m", "no setup.py")
        self.assert_fails(self.build(package), FAILED, "setup.py")
        self.assert_nothing_left()

    def test_syntax_error(self):
        package = support.tiny_package(self.world / "tiny", setup="from setuptools import setup\nsetup(name='tiny'\n")
        outcome = self.build(package)
        self.assert_fails(outcome, FAILED, "setup.py", "SyntaxError")
        self.assert_nothing_left()

    def test_failing(self):
        package = support.tiny_package(self.world / "tiny", setup="raise RuntimeError('the moon is wrong')\n")
        outcome = self.build(package)
        self.assert_fails(outcome, FAILED, "setup.py", "RuntimeError: the moon is wrong")
        self.assert_nothing_left()

    def test_without_extensions(self):
        package = support.tiny_package(self.world / "tiny", setup="from setuptools import setup\nsetup(name='tiny', packages=['tiny'])\n")
        self.assert_fails(self.build(package), FAILED, "setup.py")
        self.assert_nothing_left()


class Environment(support.EndToEnd):
    def setUp(self):
        super().setUp()
        self.package = support.tiny_package(self.world / "tiny")

    def build_with(self, python, *more, arch="8.9"):
        return self.run_sagebuild("build", "--source", self.package, "--arch", arch, "--python", python, "--output", self.out, *more)

    def test_temporary_folder_that_compilers_misread(self):
        folder = self.world / "with blank"
        folder.mkdir()
        self.assert_fails(self.build(self.package, TMPDIR=str(folder)), ENVIRONMENT, "with blank")
        self.assertEqual(list(folder.iterdir()), [])

    def test_torch_missing(self):
        subprocess.run([support.torch_python(), "-m", "venv", "--without-pip", self.world / "bare"], check=True)
        outcome = self.build_with(self.world / "bare" / "bin" / "python")
        self.assert_fails(outcome, ENVIRONMENT, "torch", str(self.world / "bare"))
        self.assert_nothing_left()

    def test_no_such_python(self):
        outcome = self.build_with(self.world / "no-python")
        self.assert_fails(outcome, ENVIRONMENT, "no-python")
        self.assert_nothing_left()

    def test_no_toolkit_where_it_was_said_to_be(self):
        (self.world / "empty").mkdir()
        outcome = self.build_with(support.torch_python(), "--cuda-home", self.world / "empty")
        self.assert_fails(outcome, ENVIRONMENT, str(self.world / "empty"))
        self.assert_nothing_left()

    def older_toolkit(self, version, build):
        """torch's toolkit with an nvcc that calls itself older: sagebuild believes the compiler, and so does torch."""
        folder, real = self.world / f"cuda-{version}", support.torch_packages() / "nvidia" / "cu13"
        for name in ("bin", "lib"):
            (folder / name).mkdir(parents=True)
            for entry in (real / name).iterdir():
                if entry.name != "nvcc":
                    (folder / name / entry.name).symlink_to(entry)
        if not (folder / "lib" / "libcudart.so").exists():
            (folder / "lib" / "libcudart.so").symlink_to("libcudart.so.13")
        (folder / "lib64").symlink_to("lib")
        for name in ("include", "nvvm"):
            (folder / name).symlink_to(real / name)
        (folder / "bin" / "nvcc").write_text(textwrap.dedent(f"""\
            #!/bin/sh
            echo "nvcc: NVIDIA (R) Cuda compiler driver"
            echo "Cuda compilation tools, release {version}, V{version}.{build}"
            """))
        (folder / "bin" / "nvcc").chmod(0o755)
        return folder

    def test_torch_of_another_cuda_major(self):
        outcome = self.build_with(support.torch_python(), "--cuda-home", self.older_toolkit("12.8", 93))
        self.assert_fails(outcome, ENVIRONMENT, "12.8", "needs CUDA 13")
        self.assert_nothing_left()

    def test_nvcc_too_old_for_the_architecture(self):
        """What is asked of torch before this is known, claiming CUDA 12.4, with an nvcc that says the same and knows no 12.0."""
        folder = self.world / "venv"
        subprocess.run([support.torch_python(), "-m", "venv", "--without-pip", folder], check=True)
        packages = next((folder / "lib").glob("python3*")) / "site-packages"
        (packages / "torch-environment.pth").write_text(f"{support.torch_packages()}\n")  # setuptools and wheel
        (packages / "torch").mkdir()
        for name, text in (("__init__.py", "from . import _C\nfrom .version import __version__\n"),
                           ("_C.py", "_GLIBCXX_USE_CXX11_ABI = False\n"),
                           ("version.py", "__version__ = '2.6.0+cu124'\ncuda = '12.4'\nhip = None\n")):
            (packages / "torch" / name).write_text(text)
        outcome = self.build_with(folder / "bin" / "python", "--cuda-home", self.older_toolkit("12.4", 131), arch="12.0")
        self.assert_fails(outcome, ENVIRONMENT, "12.4", "12.8")
        self.assert_nothing_left()

    def test_unknown_architecture(self):
        outcome = self.build_with(support.torch_python(), arch="8.0 12.00")
        self.assert_fails(outcome, USAGE, "'12.00'")
        self.assert_nothing_left()

    def test_architecture_too_old_for_the_toolkit(self):
        outcome = self.build_with(support.torch_python(), arch="7.0")
        self.assert_fails(outcome, ENVIRONMENT, "7.0 went away in CUDA 13.0")
        self.assert_nothing_left()


class Output(support.EndToEnd):
    def setUp(self):
        super().setUp()
        self.package = support.tiny_package(self.world / "tiny")

    def test_output_is_a_file(self):
        shutil.rmtree(self.out)
        self.out.write_text("mine\n")
        outcome = self.build(self.package)
        self.assert_fails(outcome, FAILED, str(self.out))
        self.assertEqual(self.out.read_text(), "mine\n")

    def test_output_is_not_writable(self):
        self.out.chmod(0o555)
        self.addCleanup(self.out.chmod, 0o755)
        # Root may write anywhere; without these two capabilities it is held by the modes like everybody.
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        outcome = self.build(self.package, prefix=prefix)
        self.assert_fails(outcome, FAILED, str(self.out))
        self.assert_nothing_left()

    @support.require(support.can_mount(), "no mount namespace without root")
    def test_output_disk_full(self):
        outcome = self.build(self.package, prefix=support.mounted(self.out, "size=4k"))
        self.assert_fails(outcome, FAILED, "No space left on device", str(self.out))

    @support.require(support.can_mount(), "no mount namespace without root")
    def test_temporary_disk_full(self):
        # Full while the source is copied, while setup.py runs, and while the toolkit or its test compiles: never its own fault.
        for kilobytes in (16, 64, 1000):
            with self.subTest(kilobytes=kilobytes):
                outcome = self.build(self.package, prefix=support.mounted(self.world / "tmp", f"size={kilobytes}k"),
                                     SAGEBUILD_CACHE_DIR=str(self.world / "cache"))
                self.assert_fails(outcome, FAILED, "No space left on device", "is full: free some space")
                self.assert_nothing_left()

    @support.require(support.can_mount(), "no mount namespace without root")
    def test_temporary_disk_full_in_a_compile(self):
        self.assertEqual(self.build(self.package).code, 0)  # so that the toolkit's own test is known
        shutil.rmtree(self.out)
        self.out.mkdir()
        kernel = self.package / "csrc" / "kernel.cu"
        kernel.write_text(kernel.read_text() + "__global__ void another(int* p) { *p = 2; }\n")
        outcome = self.build(self.package, prefix=support.mounted(self.world / "tmp", "size=700k"))
        self.assert_fails(outcome, FAILED, "No space left on device", "a disk is full: free some space")
        self.assert_nothing_left()


class Refused(support.EndToEnd):
    """What the system refuses is an error that names the path, the reason and the next step, whichever command meets it."""

    def closed(self, name):
        folder = self.world / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o000)
        self.addCleanup(folder.chmod, 0o755)
        return folder

    def refused(self, *arguments, **variables):
        # Root may look everywhere; without these two capabilities it is held by the modes like everybody.
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        return self.run_sagebuild(*arguments, prefix=prefix, **variables)

    def assert_names(self, outcome, path):
        self.assertIn(outcome.code, (1, 3), outcome)
        self.assertIn(str(path), outcome.stderr + outcome.stdout, outcome)
        self.assertIn("Permission denied", outcome.stderr + outcome.stdout, outcome)
        self.assertNotIn("sagebuild itself failed", outcome.stderr, outcome)

    def test_a_cache_folder_that_cannot_be_read(self):
        cache = self.closed("their-cache")
        package = support.tiny_package(self.world / "tiny")
        for command in (["env", "ls"], ["env", "rm", "--name", "x"], ["doctor", "--offline"], ["cache", "stat"],
                        ["plan", "--source", package, "--arch", "8.9"], ["build", "--source", package, "--arch", "8.9"]):
            with self.subTest(command=command):
                self.assert_names(self.refused(*command, XDG_CACHE_HOME=str(cache)), cache)

    def test_a_python_in_a_folder_of_somebody_else(self):
        folder = self.closed("theirs")
        for python in (folder / "bin" / "python", folder / "venv"):
            for command in (["doctor", "--offline"], ["plan", "--source", self.world, "--arch", "8.9"]):
                with self.subTest(python=python, command=command):
                    self.assert_names(self.refused(*command, "--python", python), python)

    def test_a_source_in_a_folder_of_somebody_else(self):
        folder = self.closed("theirs")
        self.assert_names(self.refused("plan", "--source", folder / "project", "--arch", "8.9"), folder / "project")

    def test_a_toolkit_in_a_folder_of_somebody_else(self):
        folder = self.closed("theirs")
        self.assert_names(self.refused("plan", "--source", self.world, "--arch", "8.9", "--python", support.torch_python(),
                                       "--cuda-home", folder / "cuda"), folder / "cuda")

    def test_part_of_a_source_that_cannot_be_read(self):
        package = support.tiny_package(self.world / "tiny")
        (package / "data").mkdir()
        self.closed("tiny/data")
        self.assert_names(self.refused("plan", "--source", package, "--arch", "8.9", "--python", support.torch_python()),
                          package / "data")


if __name__ == "__main__":
    support.main()
