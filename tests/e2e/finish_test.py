"""A finished wheel, held to those who know better: auditwheel for its platform tag, CycloneDX's own schema for its bill of materials,
pip for what `wheel retag` and `wheel label` write, and a second build for its provenance.
"""

import base64
import csv
import hashlib
import io
import json
import pathlib
import shutil
import subprocess
import sys
import textwrap
import unittest
import zipfile

import support

PEERS = ["auditwheel==6.8.1", "cyclonedx-python-lib[json-validation]==11.12.0", "pip"]


def peers_python():
    """A Python with the packages above, kept between runs."""
    venv = support.CACHE / "finish-peers"
    python = venv / "bin" / "python"
    if not (venv / "ready").exists():
        shutil.rmtree(venv, ignore_errors=True)
        uv = shutil.which("uv")
        make = [uv, "venv", "-q", venv] if uv else [sys.executable, "-m", "venv", venv]
        install = [uv, "pip", "install", "-q", "--python", python] if uv else [python, "-m", "pip", "install", "-q"]
        for command in (make, [*install, *PEERS]):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise unittest.SkipTest(f"{PEERS} cannot be installed (no network?): {done.stderr}")
        (venv / "ready").touch()
    return python


def record_of(files, record):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        writer.writerow([name, f"sha256={digest}", len(content)])
    writer.writerow([record, "", ""])
    return text.getvalue().encode()


def make_wheel(folder, name, files, metadata="", eol="\n"):
    """A sound wheel, as others pack them: times, modes and an extra file of signatures of their own."""
    stem, version, *_, python, abi, platform = name.removesuffix(".whl").split("-")
    info = f"{stem}-{version}.dist-info"
    tags = [f"Tag: {p}-{a}-{f}" for p in python.split(".") for a in abi.split(".") for f in platform.split(".")]
    wheel = ["Wheel-Version: 1.0", "Generator: test", "Root-Is-Purelib: false", *tags, ""]
    about = ["Metadata-Version: 2.1", f"Name: {stem}", f"Version: {version}", "Summary: Version: 9", "", "Version: of the text", ""]
    files = {**files, f"{info}/METADATA": eol.join(about).encode() + metadata.encode(), f"{info}/WHEEL": eol.join(wheel).encode()}
    record = record_of(files, f"{info}/RECORD")
    files = {**files, f"{info}/RECORD.jws": b"{}", f"{info}/RECORD": record}
    with zipfile.ZipFile(folder / name, "w") as archive:
        for number, (path, content) in enumerate(files.items()):
            entry = zipfile.ZipInfo(path, (2020, 3, 1 + number % 28, 12, 30, 44))
            entry.external_attr = (0o100755 if path.endswith(".so") else 0o100664) << 16
            entry.compress_type = zipfile.ZIP_STORED if number % 2 else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return folder / name


def library(folder, name, code, *options):
    path = folder / name
    subprocess.run(["g++", "-shared", "-fPIC", "-O1", "-xc++", "-", "-xnone", "-o", path, *options], input=textwrap.dedent(code), text=True,
                   check=True)
    return path


MODULE = 'extern "C" void* PyInit__k() { return 0; }\n'
LIBRARIES = {
    "plain": (MODULE,),
    "threads": ("#include <pthread.h>\n#include <dlfcn.h>\n" + MODULE +
                'extern "C" void f(pthread_t* t, void* (*g)(void*)) { pthread_create(t, 0, g, 0); dlopen("x", 1); }',),
    "memcpy": ('#include <string.h>\n' + MODULE + 'extern "C" void* f(void* a, void* b, long n) { return memcpy(a, b, n); }', "-fno-builtin"),
    "strings": ("#include <map>\n#include <string>\n" + MODULE + "std::map<std::string, int> f(const char* t) { return {{t, 1}}; }",),
    "streams": ("#include <fstream>\n#include <regex>\n" + MODULE + 'bool f(std::string s) { std::ifstream in(s); '
                'return in && std::regex_match(s, std::regex("a+")); }',),
    "paths": ("#include <filesystem>\n" + MODULE + "bool f(const char* p) { return std::filesystem::exists(p); }",),
    "arrays": (MODULE + "char* f(int n) { return new char[n]; }", "-O0"),
    "chars": ("#include <charconv>\n" + MODULE + "int f(char* p, double d) { return std::to_chars(p, p + 9, d).ptr - p; }",),
    "maths": ("#include <math.h>\n" + MODULE + "double f(double d) { return exp(d) + pow(d, d) + fmod(d, 3); }", "-fno-builtin"),
    "relr": (MODULE + "int a; int* p[] = {&a, &a};", "-Wl,-z,pack-relative-relocs", "-lm"),
    "openmp": (MODULE + "void f(int* a) {\n#pragma omp parallel for\nfor (int i = 0; i < 9; ++i) a[i] = i;\n}", "-fopenmp"),
    "unwinds": (MODULE + "void g(); void f() { try { g(); } catch (int) { g(); } }",),
}


def read_from(archive, end):
    """The text of the one entry whose name ends so."""
    return archive.read(next(name for name in archive.namelist() if name.endswith(end))).decode()


class PlatformTag(support.EndToEnd):
    """The lowest that is true, as auditwheel sees it when it is told which libraries are the environment's."""

    SCRIPT = textwrap.dedent("""\
        import pathlib, sys
        from auditwheel.wheel_abi import analyze_wheel_abi
        exclude = frozenset({"libtorch*", "libc10*", "libcudart.so.*", "libcuda.so.1"})
        for wheel in sys.argv[1:]:
            found = analyze_wheel_abi(None, None, pathlib.Path(wheel), exclude, disable_isa_ext_check=True, allow_graft=False)
            print(found.overall_policy.name)
        """)

    def wheels(self):
        made = {}
        for name, (code, *options) in LIBRARIES.items():
            made[name] = library(self.world, f"{name}.so", code, *options)
        stubs = self.world / "stubs"
        stubs.mkdir()
        for soname in ("libtorch.so", "libc10.so", "libcudart.so.13", "libcuda.so.1"):
            library(stubs, soname, f'extern "C" int {soname.split(".")[0]}() {{ return 1; }}', f"-Wl,-soname,{soname}")
        calls = [name.split(".")[0] for name in sorted(path.name for path in stubs.iterdir())]
        code = MODULE + "".join(f'extern "C" int {call}();\n' for call in calls) + f"int f() {{ return {' + '.join(c + '()' for c in calls)}; }}"
        made["torch"] = library(self.world, "torch.so", code, *sorted(stubs.iterdir()))
        return [make_wheel(self.world, f"{name}-1.0-cp311-cp311-linux_x86_64.whl", {f"{name}/_k.cpython-311-x86_64-linux-gnu.so": path.read_bytes()})
                for name, path in made.items()]

    def test_the_tag_is_auditwheels(self):
        wheels = self.wheels()
        asked = subprocess.run([peers_python(), "-c", self.SCRIPT, *wheels], capture_output=True, text=True)
        self.assertEqual(asked.returncode, 0, asked.stderr)
        # Those that stay linux_x86_64 have their name already.
        expected = {wheel.name.split("-")[0]: tag for wheel, tag in zip(wheels, asked.stdout.split())}
        found = {}
        for wheel in wheels:
            name = wheel.name.split("-")[0]
            outcome = self.run_sagebuild("wheel", "retag", "--platform-tag", "auto", "--output", self.out, wheel)
            if outcome.code == 0:
                found[name] = outcome.stdout.strip().removesuffix(".whl").split("-")[-1]
                verified = self.run_sagebuild("verify", outcome.stdout.strip(), "--policy", "strict").stdout
                self.assertNotRegex(verified, "SB12[34]")
            else:
                self.assert_fails(outcome, 2, "has that name already")
                found[name] = "linux_x86_64"
        self.assertEqual(found, expected)
        self.assertGreater(len(set(found.values())), 3, found)
        self.assertEqual(found["openmp"], "linux_x86_64")
        self.assertNotEqual(found["torch"], "linux_x86_64")


class Rewritten(support.EndToEnd):
    NAME = "some_pkg-1.0-cp311-cp311-linux_x86_64.whl"
    SBOM = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": {"component": {"type": "library", "name": "some-pkg", "version": "1.0", "bom-ref": "pkg:pypi/some-pkg@1.0",
                                       "purl": "pkg:pypi/some-pkg@1.0"}},
            "dependencies": [{"ref": "pkg:pypi/some-pkg@1.0"}]}

    def make(self, eol="\n"):
        files = {"some_pkg/__init__.py": b'__version__ = "1.0"\n', "some_pkg/with,comma.txt": b"x", "some_pkg/_k.so": bytes(range(256)) * 999,
                 "some_pkg-1.0.data/scripts/tool": b"#!python\n", "some_pkg-1.0.dist-info/sboms/x.cdx.json": json.dumps(self.SBOM).encode()}
        return make_wheel(self.world, self.NAME, files, eol=eol)

    def rewritten(self, *arguments):
        outcome = self.run_sagebuild("wheel", *arguments)
        self.assertEqual(outcome.code, 0, outcome)
        return pathlib.Path(outcome.stdout.strip()), outcome

    def entries(self, wheel):
        with zipfile.ZipFile(wheel) as archive:
            self.assertIsNone(archive.testzip())
            return {entry.filename: (archive.read(entry), entry.external_attr >> 16, entry.date_time) for entry in archive.infolist()}

    def assert_record_is_true(self, wheel):
        entries = self.entries(wheel)
        record = next(name for name in entries if name.endswith("/RECORD"))
        self.assertEqual(list(entries)[-1], record)
        rows = list(csv.reader(io.StringIO(entries[record][0].decode())))
        self.assertEqual(sorted(row[0] for row in rows), sorted(entries))
        for name, digest, size in rows:
            if name != record:
                content = entries[name][0]
                self.assertEqual(digest, "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode())
                self.assertEqual(int(size), len(content))

    def installed(self, wheel, name):
        """What pip and importlib.metadata say of it."""
        folder = self.world / f"venv-{wheel.stem}"
        subprocess.run([support.torch_python(), "-m", "venv", folder], check=True)
        python = folder / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--disable-pip-version-check", wheel], check=True)
        subprocess.run([python, "-m", "pip", "check"], check=True, stdout=subprocess.DEVNULL)
        program = f"import importlib.metadata as m; print(m.version('{name}'), len(m.files('{name}')), all(f.locate().exists() for f in m.files('{name}')))"
        return subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout.split()

    def test_a_label_stands_in_every_place(self):
        source = self.make()
        before = source.read_bytes()
        wheel, outcome = self.rewritten("label", "--label", "CU130-torch2.11", "--output", self.out, source)
        self.assertEqual(wheel.name, "some_pkg-1.0+cu130.torch2.11-cp311-cp311-linux_x86_64.whl")
        self.assertEqual(source.read_bytes(), before)
        self.assertIn('some_pkg/__init__.py still says __version__ = "1.0"', outcome.stderr)
        self.assert_record_is_true(wheel)
        old, new = self.entries(source), self.entries(wheel)
        version = "1.0+cu130.torch2.11"
        renamed = {name.replace("some_pkg-1.0.", f"some_pkg-{version}."): entry for name, entry in old.items() if not name.endswith(".jws")}
        self.assertEqual(list(new), list(renamed))
        changed = {name.rpartition("/")[2] for name in new if new[name] != renamed[name]}
        self.assertEqual(changed, {"METADATA", "RECORD", "x.cdx.json"})
        info = f"some_pkg-{version}.dist-info"
        self.assertEqual(new[f"{info}/METADATA"][0].decode(), old["some_pkg-1.0.dist-info/METADATA"][0].decode().replace(
            "\nVersion: 1.0\n", f"\nVersion: {version}\n"))
        sbom = json.loads(new[f"{info}/sboms/x.cdx.json"][0])
        self.assertEqual(sbom["metadata"]["component"]["version"], version)
        self.assertEqual(sbom["dependencies"], [{"ref": f"pkg:pypi/some-pkg@{version.replace('+', '%2B')}"}])
        self.assertEqual(self.installed(wheel, "some-pkg")[::2], [version, "True"])
        # And away again: each file is the first one's, but for the blanks of the bill of materials.
        back, _ = self.rewritten("label", "--no-label", "--output", self.out, wheel)
        self.assertEqual(back.name, self.NAME)
        again = self.entries(back)
        bill = "some_pkg-1.0.dist-info/sboms/x.cdx.json"
        self.assertEqual({name for name in again if again[name][0] != old[name][0]}, {"some_pkg-1.0.dist-info/RECORD", bill})
        self.assertEqual(json.loads(again[bill][0])["metadata"]["component"], {**self.SBOM["metadata"]["component"]})
        self.assert_record_is_true(back)

    def test_tags_stand_in_name_and_wheel(self):
        source = self.make(eol="\r\n")
        wheel, outcome = self.rewritten("retag", "--python-tag", "py2.py3", "--abi-tag", "none", "--platform-tag",
                                        "manylinux_2_5_x86_64", "--build-tag", "7x", source)
        self.assertEqual(wheel, self.world / "some_pkg-1.0-7x-py2.py3-none-manylinux_2_5_x86_64.whl")
        self.assert_record_is_true(wheel)
        old, new = self.entries(source), self.entries(wheel)
        changed = {name.rpartition("/")[2] for name in new if new[name] != old[name]}
        self.assertEqual(changed, {"WHEEL", "RECORD"})
        self.assertEqual(new["some_pkg-1.0.dist-info/WHEEL"][0], b"Wheel-Version: 1.0\r\nGenerator: test\r\nRoot-Is-Purelib: false\r\nBuild: 7x\r\n"
                         b"Tag: py2-none-manylinux_2_5_x86_64\r\nTag: py3-none-manylinux_2_5_x86_64\r\n")
        self.assertEqual(self.installed(wheel, "some-pkg")[::2], ["1.0", "True"])

    def test_bad_input_is_refused_before_anything_is_written(self):
        good = self.make()
        bad = self.world / "cut-1.0-cp311-cp311-linux_x86_64.whl"
        bad.write_bytes(good.read_bytes()[:-40])
        listing = sorted(self.world.iterdir())
        for code, part, *arguments in [
                (2, "is no local version label", "label", "--label", "a b", good), (2, "is no local version label", "label", "--label", "a..b", good),
                (2, "no label is given", "label", good), (2, "no tag is given", "retag", good), (2, "is no tag", "retag", "--abi-tag", "a-b", good),
                (2, "is no build tag", "retag", "--build-tag", "x1", good), (2, "has that name already", "retag", "--abi-tag", "cp311", good),
                (2, "there is no file", "label", "--label", "x", self.world / "none-1.0-py3-none-any.whl"),
                (5, "is not a sound wheel", "label", "--label", "x", good, bad),
                (2, "two wheels would be", "label", "--label", "x", good, good),
                (2, "two wheels would be", "label", "--label", "x", good, good.name)]:
            with self.subTest(part):
                self.assert_fails(self.run_sagebuild("wheel", *arguments), code, part)
                self.assertEqual(sorted(self.world.iterdir()), listing)
        there = self.world / self.NAME.replace("1.0-", "1.0+x-")
        there.write_text("mine")
        self.assert_fails(self.run_sagebuild("wheel", "label", "--label", "x", good), 2, "there is a file", "--force")
        self.assertEqual(there.read_text(), "mine")
        self.rewritten("label", "--label", "x", "--force", good)
        self.assert_record_is_true(there)

    def test_an_untrue_platform_is_told_of(self):
        module = library(self.world, "m.so", LIBRARIES["threads"][0])
        source = make_wheel(self.world, "m-1.0-cp311-cp311-linux_x86_64.whl", {"m/_k.so": module.read_bytes()})
        _, outcome = self.rewritten("retag", "--platform-tag", "manylinux2014_x86_64", source)
        self.assertIn("manylinux2014_x86_64 is not true: m/_k.so wants GLIBC_2.", outcome.stderr)
        for tag in ("manylinux_2_40_aarch64", "any", "win_amd64"):
            _, outcome = self.rewritten("retag", "--platform-tag", tag, source)
            self.assertIn(f"{tag} is not true: m/_k.so is for Linux on x86_64", outcome.stderr)
        for tag in ("manylinux_2_28", "auto.linux_x86_64", "x"):
            self.assert_fails(self.run_sagebuild("wheel", "retag", "--platform-tag", tag, source), 2, "is no platform tag")
        stub = library(self.world, "libssl.so.3", 'extern "C" int ssl() { return 1; }', "-Wl,-soname,libssl.so.3")
        module = library(self.world, "s.so", MODULE + 'extern "C" int ssl();\nint f() { return ssl(); }', stub)
        source = make_wheel(self.world, "s-1.0-cp311-cp311-linux_x86_64.whl", {"s/_k.so": module.read_bytes()})
        _, outcome = self.rewritten("retag", "--platform-tag", "manylinux_2_17_x86_64", source)
        self.assertIn("manylinux_2_17_x86_64 is not true: s/_k.so wants libssl.so.3, which not every Linux has", outcome.stderr)

    def test_an_untrue_python_is_told_of(self):
        module = "m/_k.cpython-311-x86_64-linux-gnu.so"
        source = make_wheel(self.world, "m-1.0-cp311-cp311-linux_x86_64.whl", {module: b"x"})
        for option, tag in (("--python-tag", "cp312"), ("--python-tag", "py3"), ("--abi-tag", "abi3")):
            _, outcome = self.rewritten("retag", option, tag, source)
            self.assertIn(f"{tag} is not true: {module} is for cp311", outcome.stderr)
        _, outcome = self.rewritten("retag", "--abi-tag", "none", source)
        self.assertNotIn("is not true", outcome.stderr)
        source = make_wheel(self.world, "n-1.0-cp39-abi3-linux_x86_64.whl", {"n/_k.abi3.so": b"x"})
        _, outcome = self.rewritten("retag", "--python-tag", "cp310", source)
        self.assertNotIn("is not true", outcome.stderr)

    def test_auto_is_refused_where_libraries_do_not_say(self):
        module = library(self.world, "m.so", MODULE).read_bytes()
        other = bytearray(module)
        other[18:20] = (21).to_bytes(2, "little")  # EM_PPC64
        arm = bytearray(module)
        arm[18:20] = (183).to_bytes(2, "little")  # EM_AARCH64
        small = bytearray(module)
        small[4] = 1  # ELFCLASS32
        for code, platform, files, part in [
                (2, "any", {"m.py": b""}, "it is for any, and not for Linux with glibc"), (2, "win_amd64", {"m/k.pyd": b"MZ"}, "it is for win_amd64"),
                (2, "macosx_11_0_arm64", {"m/k.so": b"\xcf\xfa\xed\xfe"}, "it is for macosx_11_0_arm64"),
                (2, "musllinux_1_2_x86_64", {"m/k.so": module}, "it is for musllinux_1_2_x86_64"),
                (2, "linux_x86_64", {"m.py": b""}, "it holds no library"), (2, "linux_x86_64", {"m/k.so": b"x"}, "m/k.so is no library for Linux"),
                (2, "linux_ppc64le", {"m/k.so": bytes(other)}, "m/k.so is for ppc64le, and only x86_64 and aarch64 are known"),
                (2, "linux_x86_64", {"m/k.so": module, "m/l.so": bytes(arm)}, "m/l.so is for aarch64, and others for x86_64"),
                (1, "linux_i686", {"m/k.so": bytes(small)}, "cannot read the library 'm/k.so'")]:
            with self.subTest(part):
                source = make_wheel(self.world, f"m-1.0-cp311-cp311-{platform}.whl", files)
                self.assert_fails(self.run_sagebuild("wheel", "retag", "--platform-tag", "auto", source), code, part, "--platform-tag TAG")
                self.assertEqual(list(self.world.glob("*.whl")), [source])
                source.unlink()

    def test_one_that_is_right_already_is_left(self):
        module = library(self.world, "m.so", MODULE).read_bytes()
        right = make_wheel(self.world, "m-1.0-cp311-cp311-manylinux_2_5_x86_64.whl", {"m/k.so": module})
        other = make_wheel(self.world, "n-1.0-cp311-cp311-linux_x86_64.whl", {"n/k.so": module})
        wheel, outcome = self.rewritten("retag", "--platform-tag", "auto", right, other)
        self.assertEqual(wheel.name, "n-1.0-cp311-cp311-manylinux_2_5_x86_64.whl")
        self.assertIn("has that name already", outcome.stderr)

    def test_metadata_keeps_the_lines_that_continue_others(self):
        for folded in ("License: mine\n        Version: 3 of it\n", "License: mine\n        \n        more\n"):
            text = f"Metadata-Version: 2.1\nName: foo\n{folded}Version: 1.0\n\nVersion: of the text\n"
            source = self.with_metadata("foo-1.0-py3-none-any.whl", text)
            wheel, _ = self.rewritten("label", "--label", "x", "--force", source)
            self.assert_record_is_true(wheel)
            self.assertEqual(self.entries(wheel)["foo-1.0+x.dist-info/METADATA"][0].decode(), text.replace("Version: 1.0\n", "Version: 1.0+x\n"))
        # Tags alone do not touch it, however it writes the version.
        text = "Metadata-Version: 2.1\nName: bar\nVersion: 1.0-1\n"
        wheel, _ = self.rewritten("retag", "--build-tag", "3", self.with_metadata("bar-1.0_1-py3-none-any.whl", text))
        self.assertEqual(self.entries(wheel)["bar-1.0_1.dist-info/METADATA"][0].decode(), text)

    def with_metadata(self, name, text):
        stem, version = name.split("-")[:2]
        info = f"{stem}-{version}.dist-info"
        files = {f"{info}/METADATA": text.encode(), f"{info}/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n"}
        with zipfile.ZipFile(self.world / name, "w") as archive:
            for path, content in {**files, f"{info}/RECORD": record_of(files, f"{info}/RECORD")}.items():
                archive.writestr(path, content)
        return self.world / name

    def test_force_spares_the_wheels_that_are_named(self):
        source = self.make()
        before = source.read_bytes()
        link = self.world / self.NAME.replace("1.0-", "1.0+y-")
        link.symlink_to(source.name)
        outcome = self.run_sagebuild("wheel", "label", "--label", "y", "--force", source)
        self.assert_fails(outcome, 2, "would take the place of", "--output")
        self.assertEqual(source.read_bytes(), before)
        link.unlink()
        wheel, _ = self.rewritten("label", "--label", "y", source)
        before = wheel.read_bytes()
        outcome = self.run_sagebuild("wheel", "label", "--label", "y", "--force", source, wheel)
        self.assert_fails(outcome, 2, "would take the place of")
        self.assertEqual(wheel.read_bytes(), before)
        self.assert_fails(self.run_sagebuild("wheel", "label", "--label", "z", "--no-label", source), 2, "give one of the two")


class Compressed(support.EndToEnd):
    """Other bytes of the container, the same code in it."""

    def images(self, *options):
        wheel = self.built(*options)
        facts = json.loads(self.run_sagebuild("--json", "inspect", wheel, "--extract", self.world / "code").stdout)
        listed = [image for module in facts["modules"] for container in module["containers"] for image in container["images"]]
        code = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.world / "code").rglob("*") if path.is_file())
        shutil.rmtree(self.world / "code")
        return {image["codec"] for image in listed}, sum(image["stored_bytes"] for image in listed), code

    def built(self, *options):
        outcome = self.build(self.project, "--force", *options, arch="8.0 8.9+PTX")
        self.assertEqual(outcome.code, 0, outcome)
        wheel = self.world / outcome.stdout.strip()
        self.assertEqual(self.run_sagebuild("verify", wheel).code, 0)
        return wheel

    def test_every_image_is_compressed_and_none_is_another(self):
        self.project = support.tiny_package(self.world / "tiny")
        codecs, size, code = self.images()
        self.assertEqual(codecs, {"ZSTD"})
        as_it_was, plain_size, plain_code = self.images("--compress", "project")
        self.assertIn("none", as_it_was)
        self.assertLess(size, plain_size)
        self.assertEqual((code, len(code)), (plain_code, 3))
        codecs, smallest, smallest_code = self.images("--compress", "size")
        self.assertEqual((codecs, smallest_code), ({"ZSTD"}, code))
        self.assertLessEqual(smallest, size)
        self.assert_fails(self.run_sagebuild("build", "--compress", "best"), 2, "'best'", "auto, size, project")


class Proof(support.EndToEnd):
    """What a build writes of itself, and that it is enough to build it again."""

    VALIDATE = textwrap.dedent("""\
        import sys
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
        fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
        sys.exit(str(fault) if fault else 0)
        """)

    def valid(self, text):
        return subprocess.run([peers_python(), "-c", self.VALIDATE], input=text, text=True, capture_output=True)

    def test_provenance_and_bill_of_materials_and_a_second_build(self):
        package = support.tiny_package(self.world / "tiny")
        outcome = self.build(package)
        self.assertEqual(outcome.code, 0, outcome)
        wheel = pathlib.Path(outcome.stdout.strip())
        self.assertRegex(wheel.name, r"-manylinux_2_\d+_x86_64\.whl$")
        with zipfile.ZipFile(wheel) as archive:
            provenance, sbom = json.loads(read_from(archive, "/sagebuild.json")), read_from(archive, "/sboms/sagebuild.cdx.json")
        commit = support.git(package, "rev-parse", "HEAD")
        self.assertEqual(self.valid(sbom).returncode, 0, self.valid(sbom).stdout + self.valid(sbom).stderr)
        self.assertNotEqual(self.valid(sbom.replace('"library"', '"book"')).returncode, 0)
        about = json.loads(sbom)["metadata"]["component"]
        self.assertEqual((about["name"], about["version"]), ("tiny", wheel.name.split("-")[1]))
        self.assertEqual(about["pedigree"]["commits"], [{"uid": commit}])

        # https://slsa.dev/spec/v1.0/provenance: what is required, and no field that is neither its nor ours.
        definition, run = provenance["buildDefinition"], provenance["runDetails"]
        self.assertEqual(set(provenance), {"buildDefinition", "runDetails", "sagebuild_schema"})
        self.assertEqual(set(definition), {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"})
        self.assertIn("id", run["builder"])
        for material in definition["resolvedDependencies"]:
            self.assertTrue({"uri", "digest", "content"} & set(material), material)
            self.assertLessEqual(set(material), {"uri", "digest", "name", "downloadLocation", "mediaType", "content", "annotations"})
        by_name = {material["name"]: material for material in definition["resolvedDependencies"]}
        self.assertEqual(by_name["source"]["digest"], {"gitCommit": commit})
        self.assertIn("sha256", by_name["tool ptxas"]["digest"])
        sources = {source["source"]: source for source in definition["internalParameters"]["modules"][0]["sources"]}
        self.assertEqual(sources["kernel.cu"]["headers"], "full headers")
        self.assertEqual(sources["kernel.cu"]["targets"][0]["code"], ["sm_89"])
        self.assertNotIn(str(self.world), json.dumps(provenance) + sbom)

        rebuild = ["verify", wheel, "--rebuild", "--python", support.torch_python()]
        self.assert_fails(self.run_sagebuild(*rebuild), 2, "names no address of its source", "--source")
        again = self.run_sagebuild(*rebuild, "--source", package)
        self.assertEqual(again.code, 0, again)
        self.assertIn(f"the same, byte for byte: sha256 {hashlib.sha256(wheel.read_bytes()).hexdigest()}", again.stdout)
        self.assertEqual(sorted((self.world / "tmp").iterdir()), [])
        self.assert_fails(self.run_sagebuild(*rebuild, "--source", package, "--output", wheel.parent), 2, "would replace it")

        # Another commit under the first one's name: what it changed is named.
        (package / "tiny" / "__init__.py").write_text("from ._kernel import answer, launcher  # another\n")
        shutil.rmtree(package / ".git")
        other = self.run_sagebuild(*rebuild, "--source", package, "--json")
        self.assertEqual(other.code, 2, other)  # the commit is not there
        plain = self.build(package, "--force")
        self.assertEqual(plain.code, 0, plain)
        plain = pathlib.Path(plain.stdout.strip())
        (package / "tiny" / "__init__.py").write_text("from ._kernel import answer, launcher\n")
        other = self.run_sagebuild("verify", plain, "--rebuild", "--python", support.torch_python(), "--source", package, "--json")
        self.assertEqual(other.code, 5, other)
        document = json.loads(other.stdout)["rebuild"]
        self.assertFalse(document["same_bytes"])
        self.assertEqual([line.rpartition("/")[2] for line in document["differences"]], ["RECORD differs", "__init__.py differs"])

        # What setup.py asked the environment for decided what was compiled, so a second build is told.
        setup = (package / "setup.py").read_text()
        (package / "setup.py").write_text("import os\n" + setup.replace(
            "csrc/kernel.cu\"]", "csrc/kernel.cu\"], define_macros=[(\"LEVEL\", os.environ.get(\"TINY_LEVEL\", \"1\"))]"))
        asked = self.build(package, "--force", TINY_LEVEL="2", UNASKED="3")
        self.assertEqual(asked.code, 0, asked)
        wheel = pathlib.Path(asked.stdout.strip())
        with zipfile.ZipFile(wheel) as archive:
            parameters = json.loads(read_from(archive, "/sagebuild.json"))["buildDefinition"]["externalParameters"]
        self.assertEqual((parameters["variables"], parameters["nvcc_flags"]), (["TINY_LEVEL=2"], []))
        again = self.run_sagebuild("verify", wheel, "--rebuild", "--python", support.torch_python(), "--source", package)
        self.assertEqual(again.code, 0, again)
        self.assert_fails(self.run_sagebuild("verify", wheel, "--rebuild", "--python", support.torch_python(), "--source", package,
                                             NVCC_APPEND_FLAGS="-lineinfo"), 2, "no NVCC_APPEND_FLAGS", "unset")
        (package / "setup.py").write_text(setup)

        # pip takes the higher platform tag: the older wheel does not stay beside the new one.
        linux = self.build(package, "--platform", "linux")
        self.assertEqual(linux.code, 0, linux)
        same_name = plain.name.removesuffix(plain.name.rpartition("-")[2]) + "*.whl"
        self.assertEqual(list(plain.parent.glob(same_name)), [pathlib.Path(linux.stdout.strip())])
        self.assertTrue(linux.stdout.strip().endswith("linux_x86_64.whl"), linux)


if __name__ == "__main__":
    support.main()
