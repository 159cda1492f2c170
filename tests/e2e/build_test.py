"""A real build of a very small package: what comes out, and who takes it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import textwrap
import zipfile

import gpu_images
import support


class Build(support.EndToEnd):
    def setUp(self):
        super().setUp()
        self.package = support.tiny_package(self.world / "tiny")

    def built(self, *more, arch="8.9"):
        outcome = self.build(self.package, *more, arch=arch)
        self.assertEqual(outcome.code, 0, outcome)
        return pathlib.Path(outcome.stdout.rstrip("\n"))

    def environment_with_torch(self):
        """A fresh virtual environment that sees the shared one's packages."""
        folder = self.world / "venv"
        subprocess.run([support.torch_python(), "-m", "venv", folder], check=True)
        packages = next((folder / "lib").glob("python3*")) / "site-packages"
        (packages / "torch-environment.pth").write_text(f"{support.torch_packages()}\n")
        return folder / "bin" / "python"

    def assert_imports(self, python):
        program = "import torch, tiny; print(tiny.answer(), bool(tiny.launcher()))"
        answer = subprocess.run([python, "-c", program], capture_output=True, text=True)
        self.assertEqual(answer.stdout, "42 True\n", answer.stderr)

    def unpacked(self, wheel):
        subprocess.run([support.torch_python(), "-m", "wheel", "unpack", "--dest", self.world / "unpacked", wheel], check=True,
                       stdout=subprocess.DEVNULL)
        return self.world / "unpacked"

    def test_stdout_is_the_wheels_path_and_installers_take_it(self):
        outcome = self.build(self.package)
        self.assertEqual(outcome.code, 0, outcome)
        wheel = pathlib.Path(outcome.stdout.rstrip("\n"))
        self.assertEqual(outcome.stdout, f"{wheel}\n")
        self.assertEqual({path.name for path in self.out.iterdir()}, {wheel.name, ".sagebuild-last.json"})
        commit = support.git(self.package, "rev-parse", "HEAD")
        self.assertRegex(wheel.name, rf"^tiny-1\.0\+cu13\d?\.g{commit[:7]}-cp3\d+-cp3\d+-manylinux_2_\d+_x86_64\.whl$")
        self.assertEqual(support.git(self.package, "status", "--porcelain", "--ignored"), "", "the source changed")

        metadata = next(self.unpacked(wheel).rglob("METADATA")).read_text()
        self.assertNotIn("Requires-Dist", metadata)  # it wants nothing of torch's, and asks for nothing

        python = self.environment_with_torch()
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-index", wheel], check=True)
        subprocess.run([python, "-m", "pip", "check"], check=True, stdout=subprocess.DEVNULL)
        self.assert_imports(python)
        subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "tiny"], check=True)
        subprocess.run(["uv", "pip", "install", "--quiet", "--no-index", "--no-deps", "--python", python, wheel], check=True)
        self.assert_imports(python)

    def test_json_is_one_document(self):
        outcome = self.build(self.package, "--json")
        self.assertEqual(outcome.code, 0, outcome)
        document = json.loads(outcome.stdout)
        self.assertEqual(document["schema"], "sagebuild.build/1")
        self.assertTrue(pathlib.Path(document["wheel"]).exists())
        self.assertNotIn(str(self.world / "tmp"), outcome.stdout, "a path of a folder that is gone")
        self.assertEqual([source["source"] for source in document["plan"]["modules"][0]["sources"]], ["csrc/binding.cpp", "csrc/kernel.cu"])
        again = json.loads(self.build(self.package, "--json").stdout)
        self.assertEqual(again["cached"], again["steps"], again)

    def test_a_line_for_each_source_and_module(self):
        """Not for each of their dozens of steps, and counted to a total that stays: -v has all."""
        lines = re.findall(r"^\[(\d)/(\d)\] (.*)$", self.build(self.package).stderr, re.MULTILINE)
        self.assertEqual([(done, total) for done, total, _ in lines], [("1", "3"), ("2", "3"), ("3", "3")], lines)
        self.assertEqual({text.split("  ")[0] for _, _, text in lines[:2]}, {"compile _kernel binding.cpp", "compile _kernel kernel.cu"})
        self.assertTrue(lines[2][2].startswith("module tiny._kernel"), lines)
        again = self.build(self.package, "-v", "--force", arch="8.0")
        self.assertIn("ptxas sm_80 _kernel kernel.cu", again.stderr)

    def test_json_on_failure(self):
        outcome = self.build(self.package, "--json", arch="9.9")
        self.assertEqual(json.loads(outcome.stdout)["error"]["exit_code"], outcome.code)

    def test_a_plain_folder_and_a_second_build(self):
        """No repository: no commit in the name. And the same command again works and says the same."""
        subprocess.run(["rm", "-rf", self.package / ".git"], check=True)
        first = self.built()
        self.assertEqual(self.built(), first)

    def test_architectures_in_the_module(self):
        wheel = self.built(arch="8.0 9.0 12.0+PTX")
        module = next(self.unpacked(wheel).rglob("_kernel*.so"))
        self.assertEqual(gpu_images.images(module), {"sm_80", "sm_90", "sm_120", "compute_120"})

    def test_plan_builds_nothing(self):
        arguments = ["plan" if part == "build" else part for part in self.build_arguments(self.package)]
        outcome = self.run_sagebuild(*arguments)
        self.assertEqual(outcome.code, 0, outcome)
        for part in ("_kernel", "kernel.cu", "binding.cpp", "sm_89", "-PLATFORM.whl", "the lowest manylinux tag that is true"):
            self.assertIn(part, outcome.stdout)
        self.assertIn("-linux_x86_64.whl, or tiny-1.0", self.run_sagebuild(*arguments, "--platform", "linux").stdout)
        self.assertEqual(list(self.out.iterdir()), [])


class OtherSources(support.EndToEnd):
    def planned(self, source, *more, arch="8.9", **variables):
        outcome = self.run_sagebuild("plan", "--source", source, "--python", support.torch_python(),
                                     *(["--arch", arch] if arch else []), *more, **variables)
        self.assertEqual(outcome.code, 0, outcome)
        return outcome

    def test_without_ninja_the_same_module_comes_out(self):
        """Recorded, not compiled: the compile is the one that a package with ninja has."""
        text = (support.SOURCE / "tests/e2e/packages/tiny/setup.py").read_text()
        modules = []
        for name, setup in (("ninja", text), ("none", text.replace('"build_ext": BuildExtension',
                                                                   '"build_ext": BuildExtension.with_options(use_ninja=False)'))):
            package = support.tiny_package(self.world / name, setup=setup)
            outcome = self.build(package)
            self.assertEqual(outcome.code, 0, outcome)
            with zipfile.ZipFile(outcome.stdout.strip()) as wheel:
                modules.append({part: wheel.read(part) for part in wheel.namelist() if part.endswith(".so")})
        self.assertEqual(len(modules[0]), 1)
        self.assertEqual(modules[0], modules[1])

    def test_a_subfolder_and_how_others_write_it(self):
        package = support.tiny_package(self.world / "repository" / "sub")
        shutil.rmtree(package / ".git")
        repository = package.parent
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "sub"], ["tag", "v1"]):
            support.git(repository, *command)
        for arguments in ([repository, "--subfolder", "sub"], [repository, "--ref", "v1", "--subfolder", "sub"],
                          [f"git+file://{repository}@v1#subdirectory=sub"]):
            self.assertIn("tiny._kernel", self.planned(*arguments).stdout)
        wrong = self.run_sagebuild("plan", "--source", repository, "--subfolder", "bus", "--arch", "8.9",
                                   "--python", support.torch_python())
        self.assertEqual(wrong.code, 2, wrong)
        self.assertIn("the source has no 'bus/setup.py'", wrong.stderr)

    def test_the_floor_is_the_toolkits_and_an_inherited_list_only_warns(self):
        package = support.tiny_package(self.world / "tiny")
        self.assertIn("sm_75, sm_86", self.planned(package, arch="7.5 8.6").stdout)
        outcome = self.planned(support.SOURCE / "examples" / "minisage", arch="", TORCH_CUDA_ARCH_LIST="7.5 8.9 11.0 12.0 13.0+PTX")
        for part in ("13.0+PTX is not known", "no code for 7.5", "no code for 11.0"):
            self.assertIn(part, outcome.stderr)

    def test_an_edited_setup_py_is_built_as_it_is(self):
        package = self.world / "minisage"
        shutil.copytree(support.SOURCE / "examples" / "minisage", package)
        setup = package / "setup.py"
        setup.write_text(setup.read_text().replace("compute_capabilities = set()", 'compute_capabilities = {"9.0"}'))
        outcome = self.planned(package, arch="8.9 9.0")
        self.assertIn("sm_89, sm_90 (from compute_89)", outcome.stdout)
        self.assertIn("warning: rule 'architectures' expects 1 match and found 0", outcome.stderr)
        strict = self.run_sagebuild("plan", "--source", package, "--strict-patch", "--arch", "8.9", "--python",
                                    support.torch_python())
        self.assertEqual(strict.code, 1, strict)
        self.assertIn("cannot patch 'setup.py'", strict.stderr)


class CommonSource(support.EndToEnd):
    def test_each_module_has_its_own_object_of_a_source_that_two_have_in_common(self):
        """setuptools gives both objects one name. Code of the first module in the second would be a wheel that looks right."""
        package = support.tiny_package(self.world / "tiny", setup="""\
            from setuptools import setup
            from torch.utils.cpp_extension import BuildExtension, CUDAExtension
            modules = [CUDAExtension(name, ["csrc/common.cu"], extra_compile_args={"nvcc": [f"-DVALUE={value}"]})
                       for name, value in (("first", 111), ("second", 222))]
            setup(name="tiny", version="1.0", ext_modules=modules, cmdclass={"build_ext": BuildExtension})
            """, extra_sources=[("csrc/common.cu", """\
            __global__ void k(int* p) { *p = VALUE; }
            extern "C" __attribute__((visibility("default"))) int value(int* p) { if (p) k<<<1, 1>>>(p); return VALUE; }
            """)])
        for _ in range(2):  # and so from the cache
            outcome = self.build(package)
            self.assertEqual(outcome.code, 0, outcome)
            shutil.rmtree(self.world / "unpacked", ignore_errors=True)
            with zipfile.ZipFile(outcome.stdout.strip()) as wheel:
                wheel.extractall(self.world / "unpacked")
            for name, value in (("first", 111), ("second", 222)):
                module = next((self.world / "unpacked").glob(f"{name}.*.so"))
                program = "import ctypes, sys, torch; print(ctypes.CDLL(sys.argv[1]).value(None))"
                answer = subprocess.run([support.torch_python(), "-c", program, module], capture_output=True, text=True)
                self.assertEqual(answer.stdout, f"{value}\n", answer.stderr)

    def test_two_sources_of_one_object_are_refused_before_anything_is_compiled(self):
        package = support.tiny_package(self.world / "tiny", extra_sources=[("csrc/kernel.cpp", "int a;\n")], setup="""\
            from setuptools import setup
            from torch.utils.cpp_extension import BuildExtension, CUDAExtension
            setup(name="tiny", version="1.0", cmdclass={"build_ext": BuildExtension},
                  ext_modules=[CUDAExtension("tiny._kernel", ["csrc/kernel.cu", "csrc/kernel.cpp"])])
            """)
        self.assert_fails(self.build(package), 1, "'csrc/kernel.cpp' and 'csrc/kernel.cu' of one extension")


class OtherNvcc(support.EndToEnd):
    """The next release of CUDA: a dry run that is not understood. nvcc then compiles in one piece, and the build is made."""

    def toolkit(self, dry_run):
        """The real one, with an nvcc that does this for --dryrun."""
        found = shutil.which("nvcc")
        real = pathlib.Path(found).resolve().parents[1] if found else support.torch_packages() / "nvidia" / "cu13"
        home = self.world / "cuda"
        (home / "bin").mkdir(parents=True)
        for folder, names in ((home, real), (home / "bin", real / "bin")):
            for entry in names.iterdir():
                if entry.name not in ("bin", "nvcc"):
                    (folder / entry.name).symlink_to(entry)
        nvcc = home / "bin" / "nvcc"
        nvcc.write_text(f'#!/bin/sh\nreal={real / "bin" / "nvcc"}\ncase " $* " in *" --dryrun "*) {dry_run};; esac\n'
                        'exec "$real" "$@"\n')
        nvcc.chmod(0o755)
        return home

    def assert_builds(self, home, reason):
        package = support.tiny_package(self.world / "tiny")
        outcome = self.build(package, "--cuda-home", home, arch="8.9 12.0+PTX")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertIn("compiled by nvcc in one piece", outcome.stderr)
        self.assertIn(reason, outcome.stderr)
        # A script may run any nvcc, so nobody knows what the results depend on.
        self.assertIn("kernel.cu is not kept in the cache", outcome.stderr)
        folder = self.world / "unpacked"
        with zipfile.ZipFile(outcome.stdout.strip()) as wheel:
            wheel.extractall(folder)
        self.assertEqual(gpu_images.images(next(folder.rglob("_kernel*.so"))), {"sm_89", "sm_120", "compute_120"})
        return folder

    def test_one_more_command(self):
        home = self.toolkit('"$real" "$@"; code=$?; echo "#$ tileir -arch=sm_89 in -o out" >&2; exit $code')
        folder = self.assert_builds(home, "tileir")
        program = "import torch, tiny; print(tiny.answer(), bool(tiny.launcher()))"
        loaded = subprocess.run([support.torch_python(), "-c", program], cwd=folder, capture_output=True, text=True)
        self.assertEqual(loaded.stdout, "42 True\n", loaded.stderr)

    def test_nothing_that_is_understood(self):
        self.assert_builds(self.toolkit('echo "{\\"steps\\": []}" >&2; exit 0'), "nvcc printed no")

    def test_no_dry_run_at_all(self):
        self.assert_builds(self.toolkit('echo "nvcc fatal: unknown option --dryrun" >&2; exit 1'), "unknown option --dryrun")

    def test_one_that_compiles_nothing(self):
        """The toolkit is looked at while setup.py runs, and what is told of a setup.py that fails is not for it."""
        home = self.toolkit('exec "$real" "$@";; *" --keep-dir "*) echo "nvcc fatal: no such luck" >&2; exit 1')
        package = support.tiny_package(self.world / "tiny", setup="import torch, time\nif torch.cuda.is_available():\n    pass\ntime.sleep(600)\n")
        outcome = self.build(package, "--cuda-home", home)
        self.assert_fails(outcome, 1, "self-test failed at 'nvcc'", "no such luck")
        self.assertNotIn("setup.py asks for a GPU", outcome.stderr)
        self.assert_nothing_left()


class OtherWorlds(support.EndToEnd):
    def test_a_setup_py_in_latin_1(self):
        """PEP 263: what Python reads is built, and patched in its own coding."""
        text = (support.SOURCE / "tests/e2e/packages/tiny/setup.py").read_text()
        package = support.tiny_package(self.world / "tiny")
        (package / "setup.py").write_bytes(("# -*- coding: latin-1 -*-\n# caf\u00e9\n" + text).encode("latin-1"))
        (self.world / "tiny.toml").write_text(textwrap.dedent("""\
            name = "tiny"
            detect = ["tiny._kernel"]
            [[module]]
            name = "tiny._kernel"
            targets = [{request = "8.9"}]
            [[rule]]
            id = "version"
            why = "to see that it was applied"
            pattern = 'version="1.0"'
            replace = 'version="1.5"'
            done = 'version="1.5"'
            """))
        outcome = self.build(package, "--recipe", self.world / "tiny.toml")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertIn("tiny-1.5", outcome.stdout)

    def test_a_version_that_refuses_what_its_recipe_records(self):
        """The recipe's list is for the newest version; an older one is built for what was asked."""
        text = (support.SOURCE / "tests/e2e/packages/tiny/setup.py").read_text()
        check = """import os
if "12.0" in os.environ["TORCH_CUDA_ARCH_LIST"]: raise SystemExit("no 12.0 here")
"""
        package = support.tiny_package(self.world / "tiny", setup=check + text)
        (self.world / "tiny.toml").write_text(textwrap.dedent("""\
            name = "tiny"
            detect = ["tiny._kernel"]
            record_archs = "8.9;12.0"
            [[module]]
            name = "tiny._kernel"
            targets = [{request = "8.9"}, {request = "12.0"}]
            """))
        def plan(arch):
            return self.run_sagebuild("plan", "--source", package, "--arch", arch,
                                      "--python", support.torch_python(),
                                      "--recipe", self.world / "tiny.toml", "--output", self.out)
        served = plan("8.9")
        self.assertEqual(served.code, 0, served)
        self.assertRegex(served.stdout, r"tiny\._kernel +kernel\.cu +sm_89 ")
        self.assert_fails(plan("8.9 12.0"), 1, "setup.py of the project failed", "no 12.0 here")

    def test_a_home_that_cannot_be_written(self):
        """Neither results nor a log can be kept; the build is made, and says both."""
        package = support.tiny_package(self.world / "tiny")
        home = self.world / "home"
        home.chmod(0o555)
        self.addCleanup(home.chmod, 0o755)
        # Root may write anywhere; without these two capabilities it is held by the modes like everybody.
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        outcome = self.build(package, prefix=prefix, XDG_CACHE_HOME="")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertIn("warning: no log of this run is kept", outcome.stderr)
        self.assertIn("nothing is stored in this run", outcome.stderr)
        self.assertEqual(len(list(self.out.glob("*.whl"))), 1)


class WrongWheels(support.EndToEnd):
    """What setup.py decides by itself must not make another wheel than its name says."""

    SWITCHED = """\
        import os
        from setuptools import find_packages, setup
        from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

        cuda = os.getenv("FORCE_CUDA", "0") == "1"
        sources = ["csrc/binding.cpp"] + (["csrc/kernel.cu"] if cuda else [])
        setup(name="tiny", version="1.0", packages=find_packages(), cmdclass={"build_ext": BuildExtension},
              ext_modules=[(CUDAExtension if cuda else CppExtension)("tiny._kernel", sources)])
        """

    def plan(self, source, *more, arch="8.9", **variables):
        return self.run_sagebuild("plan", "--source", source, "--arch", arch, "--python", support.torch_python(),
                                  "--output", self.out, *more, **variables)

    def versioned(self, version):
        """A package that says its version in an error, so that nothing is compiled."""
        return support.tiny_package(self.world / "tiny", setup=f"""\
            import subprocess, sys
            {version}
            raise SystemExit("its version is <" + version + ">")
            """)

    def test_a_setup_py_that_wants_a_switch_for_cuda(self):
        package = support.tiny_package(self.world / "tiny", setup=self.SWITCHED)
        self.assert_fails(self.plan(package), 1, "no module of this package has a CUDA source", "--env FORCE_CUDA=1",
                          "--allow-cpu")
        for passed in (self.plan(package, "--env", "OTHER", "--env", "FORCE_CUDA=1", "-v", OTHER="x y"),
                       self.plan(package, "-v", FORCE_CUDA="1")):
            self.assertEqual(passed.code, 0, passed)
            self.assertIn("kernel.cu", passed.stdout)
            self.assertIn("setup.py asks for FORCE_CUDA: '1'", passed.stderr)
        self.assertEqual(self.plan(package, "--allow-cpu").code, 0)
        # The list that nvcc and g++ get has nothing of it, so what they made is found again.
        self.assert_fails(self.plan(package, "--env", "NOT_THERE"), 2, "'NOT_THERE'")

    ASKING = """\
        import torch
        from setuptools import find_packages, setup
        from torch.utils.cpp_extension import BuildExtension, CUDAExtension

        if not torch.cuda.is_available():
            raise RuntimeError("this needs a GPU")
        gpus = [torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())]
        gpus += [(it.major, it.minor) for it in [torch.cuda.get_device_properties("cuda:1")]]
        flags = [f"-gencode=arch=compute_{a}{b},code=sm_{a}{b}" for a, b in sorted(set(gpus))]
        setup(name="tiny", version="1.0", packages=find_packages(),
              cmdclass={"build_ext": BuildExtension},
              ext_modules=[CUDAExtension("tiny._kernel", ["csrc/binding.cpp", "csrc/kernel.cu"],
                                         extra_compile_args={"nvcc": flags})])
        """

    def test_a_setup_py_that_asks_for_gpus(self):
        package = support.tiny_package(self.world / "tiny", setup=self.ASKING)
        self.assert_fails(self.plan(package, arch="8.9 9.0"), 1, "this needs a GPU",
                          "line 5 of setup.py asks for a GPU: --assume-gpus")
        for more in ((), ("--no-cache",)):
            told = self.plan(package, "--assume-gpus", *more, arch="8.9 9.0+PTX")
            self.assertEqual(told.code, 0, told)
            self.assertIn("sm_89, sm_90", told.stdout)
        deciding = self.SWITCHED.replace("import os\n", "import torch\n", 1)
        deciding = deciding.replace('os.getenv("FORCE_CUDA", "0") == "1"',
                                    "torch.cuda.is_available()")
        (package / "setup.py").write_text(textwrap.dedent(deciding))
        self.assert_fails(self.plan(package), 1, "no module of this package has a CUDA source",
                          "line 5 of setup.py asks for a GPU: --assume-gpus", "--allow-cpu")
        self.assert_fails(self.plan(package, "--env", "SAGEBUILD_GPUS=8.9"), 2, "SAGEBUILD_GPUS")

    def test_a_secret_that_setup_py_prints_is_shown_nowhere(self):
        package = support.tiny_package(self.world / "tiny", setup='import os; raise SystemExit("boom " + os.environ["MY_TOKEN"])')
        for passed in (self.plan(package, "--env", "MY_TOKEN=word-of-the-user"), self.plan(package, "--env", "MY_TOKEN", MY_TOKEN="word-of-the-user")):
            self.assert_fails(passed, 1, "boom ***")
            self.assertNotIn("word-of-the-user", passed.stdout + passed.stderr)

    def test_lists_that_torch_refuses_are_recorded_all_the_same(self):
        package = support.tiny_package(self.world / "tiny")
        outcome = self.plan(package, arch="8.0 8.8 12.0f compute_120")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertIn("sm_80, sm_88, compute_120, sm_120f", outcome.stdout)

    def test_a_wheel_without_device_code_names_no_cuda(self):
        package = support.tiny_package(self.world / "tiny", setup=self.SWITCHED, binding="""\
            extern "C" __attribute__((visibility("default"))) void* PyInit__kernel() { return 0; }
            """)
        outcome = self.build(package, "--allow-cpu")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertRegex(outcome.stdout, r"tiny-1\.0\+cpu\.g")

    def test_a_setup_py_that_takes_a_ready_wheel(self):
        package = support.tiny_package(self.world / "tiny", setup="""\
            import os, zipfile
            from setuptools import setup
            from torch.utils.cpp_extension import BuildExtension, CUDAExtension
            from setuptools.command.bdist_wheel import bdist_wheel

            class Ready(bdist_wheel):
                def run(self):
                    if os.getenv("TINY_FORCE_BUILD") == "TRUE":
                        return super().run()
                    os.makedirs(self.dist_dir, exist_ok=True)
                    with zipfile.ZipFile(f"{self.dist_dir}/{self.wheel_dist_name}-{'-'.join(self.get_tag())}.whl", "w") as z:
                        z.writestr("tiny.so", "machine code for somebody else's GPUs")

            setup(name="tiny", version="1.0", ext_modules=[CUDAExtension("tiny", ["csrc/kernel.cu"])],
                  cmdclass={"bdist_wheel": Ready, "build_ext": BuildExtension})
            """)
        self.assert_fails(self.plan(package), 1, "made a wheel without compiling", "'tiny.so'", "TINY_FORCE_BUILD")
        self.assertEqual(self.plan(package, TINY_FORCE_BUILD="TRUE").code, 0)

    def test_git_says_the_version_that_it_says_in_the_clone(self):
        package = self.versioned(
            'version = subprocess.check_output(["git", "describe", "--tags", "--dirty"], text=True).strip()')
        support.git(package, "tag", "v1.2")
        for _ in range(2):
            expected = support.git(package, "describe", "--tags", "--dirty")
            self.assertIn(f"<{expected}>", self.plan(package).stderr)
            self.assertIn(f"<{expected}>", self.plan(f"file://{package}").stderr)
            support.git(package, "commit", "-q", "--allow-empty", "-m", "more")
        (package / "csrc/kernel.cu").write_text("// edited\n")
        self.assertIn("-dirty>", self.plan(package).stderr)

    def test_setuptools_scm_gives_the_version_of_the_clone(self):
        folder = self.world / "scm"
        subprocess.run(["uv", "pip", "install", "--quiet", "--target", folder, "--python", support.torch_python(),
                        "setuptools_scm==8.3.1"], check=True)
        package = self.versioned(f"sys.path.insert(0, {str(folder)!r})\n            import setuptools_scm\n"
                                 "            version = setuptools_scm.get_version()")
        program = f"import sys; sys.path.insert(0, {str(folder)!r}); import setuptools_scm; print(setuptools_scm.get_version())"

        def same_as_in_the_clone():
            expected = subprocess.run([support.torch_python(), "-c", program], cwd=package, check=True, text=True,
                                      capture_output=True).stdout.strip()
            self.assertIn(f"<{expected}>", self.plan(package).stderr)
            return expected

        self.assertRegex(same_as_in_the_clone(), r"^0\.1\.dev1\+g")  # no tag
        support.git(package, "tag", "v1.2")
        self.assertEqual(same_as_in_the_clone(), "1.2")
        support.git(package, "commit", "-q", "--allow-empty", "-m", "more")
        self.assertRegex(same_as_in_the_clone(), r"^1\.3\.dev1\+g[0-9a-f]+$")
        (package / "csrc/kernel.cu").write_text("// edited\n")
        self.assertRegex(same_as_in_the_clone(), r"^1\.3\.dev1\+g[0-9a-f]+\.d\d+$")

    def test_a_wheel_for_other_architectures_is_not_replaced_without_a_word(self):
        package = support.tiny_package(self.world / "tiny")
        first = self.build(package, arch="8.6")
        self.assertEqual(first.code, 0, first)
        wheel = pathlib.Path(first.stdout.strip())
        content = wheel.read_bytes()
        planned = self.plan(package)
        self.assertEqual(planned.code, 0, planned)
        self.assertIn("it is for 8.6, this build for 8.9", planned.stderr)
        self.assert_fails(self.build(package), 2, wheel.name, "it is for 8.6, this build for 8.9", "--force")
        self.assertEqual(wheel.read_bytes(), content)
        # Another platform tag is no other name: pip would choose between the two by it.
        self.assert_fails(self.build(package, "--platform", "linux"), 2, wheel.name, "it is for 8.6, this build for 8.9", "--force")
        self.assertEqual(self.build(package, arch="8.6").code, 0)  # the same again
        self.assertEqual(wheel.read_bytes(), content)
        forced = self.build(package, "--force")
        self.assertEqual(forced.stdout, first.stdout, forced)
        self.assertNotEqual(wheel.read_bytes(), content)
        # A folder of that name is in the way of any wheel, and that is told before the compilation.
        wheel.unlink()
        wheel.mkdir()
        refused = self.build(package, "--force")
        self.assert_fails(refused, 2, "a folder has the name of the wheel", wheel.name, "--output")
        self.assertNotIn("compiling", refused.stderr)


if __name__ == "__main__":
    support.main()
