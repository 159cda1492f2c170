"""`inspect` against cuobjdump: on files that a real nvcc makes in every way, the same images, byte for byte, and the traps that are in
the sources. `verify` on wheels made of them.
"""

import base64
import csv
import hashlib
import io
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import unittest
import zipfile

import gpu_images
import support
from support import BINARY, SOURCE

KERNELS = """
__global__ void plain(int *x) { x[threadIdx.x] += 1; }
__global__ void traps_below_89(int *x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 890
  __brkpt();
#endif
  x[threadIdx.x] *= 3;
}
template <int N> __global__ void one_of_many(float *x) { for (int i = 0; i < N; ++i) x[i * 32 + threadIdx.x] += N; }
template __global__ void one_of_many<4>(float *);
template __global__ void one_of_many<5>(float *);
"""
SECOND = "__global__ void second(int *x) { x[0] = 7; }\n"
CODES = ["arch=compute_80,code=sm_80", "arch=compute_89,code=sm_89", "arch=compute_90a,code=sm_90a", "arch=compute_100f,code=sm_100f",
         "arch=compute_120,code=[sm_120,compute_120]"]
GENCODE = [f"-gencode={code}" for code in CODES]
WAYS = {
    "none": ["--compress-mode=none"],
    "speed": ["--compress-mode=speed", "-Xfatbin", "-compress-all"],
    "balance": ["--compress-mode=balance"],
    "size": ["--compress-mode=size"],
    "zlib": ["-Xfatbin", "--compress-algorithm=1", "-Xfatbin", "-compress-all"],
    "lz4 frame": ["-Xfatbin", "--compress-algorithm=3", "-Xfatbin", "-compress-all"],
    "line info": ["-lineinfo"],
    "debug": ["-G"],
}
HEADER = ("name", "kind", "arch", "codec", "stored_bytes", "unpacked_bytes")  # of an image: what is told without unpacking it
CODECS = {"none": "none", "speed": "LZ4", "size": "ZSTD", "zlib": "zlib", "lz4 frame": "LZ4 frame"}


def tool(name):
    """nvcc and cuobjdump: on PATH, of a toolkit, or beside the torch of the tests."""
    beside_torch = {"nvcc": "nvidia/cu13/bin/nvcc", "cuobjdump": "triton/backends/nvidia/bin/cuobjdump"}[name]
    for found in (shutil.which(name), f"/usr/local/cuda/bin/{name}", support.torch_packages() / beside_torch):
        if found and pathlib.Path(found).exists():
            return str(found)
    raise AssertionError(f"there is no {name}")


def command(*arguments, code=0):
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=support.LIMIT)
    assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def inspect(*arguments):
    return json.loads(command("--json", "inspect", *arguments))


def images_of(document):
    return [image for module in document["modules"] for container in module["containers"] for image in container["images"]]


class World(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="sagebuild-inspect"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        (cls.folder / "kernels.cu").write_text(KERNELS)
        (cls.folder / "second.cu").write_text(SECOND)
        cls.libraries = {}

    @classmethod
    def library(cls, way):
        """A shared library of two translation units, compiled in one of the ways."""
        if way not in cls.libraries:
            place = cls.folder / way.replace(" ", "-")
            place.mkdir(exist_ok=True)
            for source in ("kernels", "second"):
                subprocess.run([tool("nvcc"), "-c", "-Xcompiler", "-fPIC", *WAYS[way], *GENCODE, f"../{source}.cu", "-o", f"{source}.o"],
                               cwd=place, check=True, capture_output=True)
            # g++ links, as torch's builds do; nvcc's own link adds a container without kernels.
            subprocess.run(["g++", "-shared", "-o", "lib.so", "kernels.o", "second.o"], cwd=place, check=True)
            cls.libraries[way] = place / "lib.so"
        return cls.libraries[way]


class Peer(World):
    def listed(self, library):
        """What cuobjdump lists; it leaves the suffix out of the names of some, and says it in the dump."""
        listing = subprocess.run([tool("cuobjdump"), "--list-elf", "--list-ptx", library], capture_output=True, text=True).stdout
        cubins = re.findall(r"^ELF file .*\.(sm_\d+)\w?\.cubin$", listing, re.MULTILINE)
        texts = re.findall(r"^PTX file .*\.(sm_\d+)\w?\.ptx$", listing, re.MULTILINE)
        return sorted(cubins) + sorted(texts)

    def extracted(self, library, place):
        place.mkdir()
        for what in ("-xelf", "-xptx"):
            subprocess.run([tool("cuobjdump"), what, "all", library], cwd=place, check=True, capture_output=True)
        return sorted(self.digest(file) for file in place.iterdir())

    @staticmethod
    def digest(file):
        """Without the zeros that pad an image, which cuobjdump writes or not."""
        return hashlib.sha256(file.read_bytes().rstrip(b"\0")).hexdigest()

    def test_the_images_are_those_that_cuobjdump_finds_byte_for_byte(self):
        for way in WAYS:
            with self.subTest(way):
                library = self.library(way)
                mine = self.folder / f"mine-{library.parent.name}"
                document = inspect(library, "--extract", mine)
                images = images_of(document)
                # Again into the same folder: the same files.
                first = sorted(mine.iterdir())
                inspect(library, "--extract", mine)
                self.assertEqual(sorted(mine.iterdir()), first)
                self.assertEqual(document["modules"][0]["gpu_faults"], [])
                # By their headers alone: the same images.
                headers = images_of(inspect(library, "--images"))
                self.assertEqual(headers, [{name: image[name] for name in HEADER} for image in images])
                kinds = {"sass": [], "ptx": []}
                for image in images:
                    kinds[image["kind"]].append("sm_" + image["arch"].replace(".", "").rstrip("af"))
                self.assertEqual(sorted(kinds["sass"]) + sorted(kinds["ptx"]), self.listed(library))
                theirs = self.extracted(library, self.folder / f"theirs-{library.parent.name}")
                self.assertEqual(sorted(map(self.digest, mine.iterdir())), theirs)
                self.assertEqual({image["name"] for image in images}, gpu_images.images(library))
                if way in CODECS:
                    self.assertEqual({image["codec"] for image in images}, {CODECS[way]})
                self.assertEqual(any(image.get("debug") for image in images), way == "debug")

    def test_a_list_of_images_has_a_line_for_each(self):
        text = command("inspect", self.library("size"), "--images")
        self.assertRegex(text, r"(?m)^  \.nv_fatbin 0x\w+ +sm_90a +[\d.]+ k?B +ZSTD +[\d.]+ k?B unpacked$")
        self.assertEqual(text.count("unpacked\n"), len(images_of(inspect(self.library("size")))))
        command("inspect", self.library("size"), "--images", "--kernels", code=2)
        os.environ["SAGEBUILD_KERNELS"] = "false"
        self.addCleanup(os.environ.pop, "SAGEBUILD_KERNELS")
        self.assertEqual(command("inspect", self.library("size"), "--images"), text)

    def test_kernels_and_traps_are_those_of_the_source(self):
        for way in ("none", "size", "lz4 frame"):
            document = inspect(self.library(way), "--kernels")
            for container in document["modules"][0]["containers"]:
                for image in container["images"]:
                    names = sorted(kernel["name"] for kernel in image["kernel_names"])
                    if len(names) == 1:
                        self.assertEqual(names, ["_Z6secondPi"])
                        continue
                    self.assertEqual(names, ["_Z11one_of_manyILi4EEvPf", "_Z11one_of_manyILi5EEvPf", "_Z14traps_below_89Pi", "_Z5plainPi"])
                    trapping = [kernel["name"] for kernel in image.get("trapping", [])]
                    self.assertEqual(trapping, ["_Z14traps_below_89Pi"] if image["arch"] == "8.0" else [], image["name"])
                    if image["kind"] == "sass":
                        self.assertEqual(image["toolkit"], "13.0")

    def test_traps_are_those_that_the_disassembler_prints(self):
        listing = subprocess.run([tool("cuobjdump"), "-sass", "-arch", "sm_80", self.library("none")], capture_output=True, text=True).stdout
        images = images_of(inspect(self.library("none")))
        self.assertEqual(sum(image["traps"] for image in images if image["name"] == "sm_80"), listing.count("BPT."))
        self.assertGreater(listing.count("BPT."), 0)

    def test_relocatable_code_stands_apart_and_a_device_link_counts_once(self):
        place = self.folder / "rdc"
        place.mkdir()
        for source in ("kernels", "second"):
            subprocess.run([tool("nvcc"), "-c", "-rdc=true", "-Xcompiler", "-fPIC", "-gencode=arch=compute_90,code=sm_90", f"../{source}.cu",
                            "-o", f"{source}.o"], cwd=place, check=True, capture_output=True)
        subprocess.run([tool("nvcc"), "-shared", "-gencode=arch=compute_90,code=sm_90", "kernels.o", "second.o", "-o", "lib.so"], cwd=place,
                       check=True, capture_output=True)
        containers = inspect(place / "lib.so")["modules"][0]["containers"]
        loadable = [container for container in containers if not container["relocatable"]]
        self.assertEqual([container["section"] for container in containers if container["relocatable"]], ["__nv_relfatbin"] * 2)
        self.assertEqual(sum(image["kernels"] for container in loadable for image in container["images"]), 5)
        for way in ("-fatbin", "-cubin"):
            subprocess.run([tool("nvcc"), way, "-arch=sm_90", "../second.cu", "-o", "bare"], cwd=place, check=True, capture_output=True)
            self.assertEqual([(image["name"], image["kernels"]) for image in images_of(inspect(place / "bare")) if image["kind"] == "sass"],
                             [("sm_90", 1)])

    def test_a_cubin_in_the_data_is_found_with_deep(self):
        place = self.folder / "deep"
        place.mkdir()
        subprocess.run([tool("nvcc"), "-cubin", "-arch=sm_90a", "../second.cu", "-o", "second.cubin"], cwd=place, check=True,
                       capture_output=True)
        (place / "data.c").write_text('__asm__(".section .rodata\\n.byte 1\\n.incbin \\"second.cubin\\"\\n.byte 0\\n.previous");')
        subprocess.run(["gcc", "-shared", "-fPIC", "data.c", "-o", "lib.so"], cwd=place, check=True)
        self.assertEqual(images_of(inspect(place / "lib.so")), [])
        found = images_of(inspect("--deep", place / "lib.so"))
        self.assertEqual([(image["name"], image["kernels"]) for image in found], [("sm_90a", 1)])


def make_wheel(folder, name, files, metadata=""):
    """A sound wheel of that name."""
    info = "-".join(name.split("-")[:2]) + ".dist-info"
    distribution, version = name.split("-")[:2]
    tags = "-".join(name.removesuffix(".whl").split("-")[-3:])
    content = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{metadata}".encode(),
               f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tags}\n".encode()}
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for path, data in content.items():
        rows.writerow([path, "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode(), len(data)])
    rows.writerow([f"{info}/RECORD", "", ""])
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in {**content, f"{info}/RECORD": record.getvalue().encode()}.items():
            archive.writestr(path, data)
    return folder / name


class Verify(World):
    def wheel(self, name="thing-1.0+cu130-py3-none-linux_x86_64.whl"):
        return make_wheel(self.folder, name, {"thing/_k.so": self.library("none").read_bytes(), "thing/__init__.py": b""})

    def codes(self, *arguments, code=0):
        document = json.loads(command("--json", "verify", *arguments, code=code))
        self.assertEqual(document["schema"], "sagebuild.verify/1")
        return {(finding["code"], finding["severity"]) for finding in document["findings"]}

    def test_a_wheel_that_keeps_what_it_promises(self):
        self.assertNotIn("error", {severity for _, severity in self.codes(self.wheel(), "--arch", "8.9 9.0 12.0+PTX")})

    def test_each_gpu_that_is_not_served_and_each_trap_is_found(self):
        wheel = self.wheel()
        self.assertIn(("SB101", "error"), self.codes(wheel, "--arch", "11.0", code=5))
        self.assertIn(("SB103", "warning"), self.codes(wheel, "--arch", "8.6"))
        self.assertIn(("SB103", "error"), self.codes(wheel, "--arch", "8.6", "--policy", "strict", code=5))
        self.assertIn(("SB101", "error"), self.codes(wheel, "--arch", "7.5", code=5))

    def test_a_file_that_cannot_be_written_is_no_fault_of_the_wheel(self):
        wheel, library = self.wheel(), self.library("none")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

        for arguments in (["inspect", library, "--extract", self.folder / "images"], ["inspect", wheel], ["verify", wheel]):
            done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=support.LIMIT, preexec_fn=limit)
            self.assertEqual(done.returncode, 1, (arguments, done))
            self.assertIn("File too large", done.stderr)
            self.assertNotIn("not sound", done.stdout)

    def test_what_is_there_and_is_no_file(self):
        folder, pipe = self.folder / "a.whl", self.folder / "b.whl"
        folder.mkdir()
        os.mkfifo(pipe)
        for path in (folder, pipe, "/dev/zero"):
            for verb in ("inspect", "verify"):
                done = subprocess.run([BINARY, verb, path], capture_output=True, text=True, timeout=support.LIMIT)
                self.assertEqual(done.returncode, 2, done)
                self.assertIn("is no file to look into", done.stderr)

    def test_what_is_called_a_module_and_is_none(self):
        whole = self.library("none").read_bytes()
        for path, content in (("a.cpython-311-x86_64-linux-gnu.so", b"text"), ("a.abi3.so", b"<html>"), ("liba.so", b""),
                              ("liba.so", whole[:len(whole) // 2])):
            wheel = make_wheel(self.folder, "cut-1.0-cp311-cp311-linux_x86_64.whl", {path: content})
            self.assertIn(("SB144", "error"), self.codes(wheel, code=5), (path, content[:9]))
        script = make_wheel(self.folder, "cut-1.0-cp311-cp311-linux_x86_64.whl", {"liba.so": b"INPUT(liba.so.1)"})
        self.assertEqual(self.codes(script), set())

    def test_the_default_is_what_its_name_says(self):
        named = make_wheel(self.folder, "thing-1.0+cu130.sm110-py3-none-linux_x86_64.whl", {"_k.so": self.library("none").read_bytes()})
        self.assertIn(("SB101", "error"), self.codes(named, code=5))
        self.assertIn(("SB106", "note"), self.codes(self.wheel()))

    def test_inspect_says_for_every_gpu_whether_it_runs(self):
        verdicts = {row["capability"]: row["runs"] for row in inspect(self.wheel())["runs_on"]}
        self.assertEqual(verdicts, {"7.5": "no", "8.0": "traps", "8.6": "traps", "8.7": "traps", "8.9": "yes", "9.0": "yes", "10.0": "yes",
                                    "10.3": "yes", "11.0": "no", "12.0": "yes", "12.1": "yes"})
        text = command("inspect", self.wheel())
        self.assertRegex(text, r"8\.6 \(RTX 30, A10, A40\) +traps +1 kernel of _k ends in a trap there \(it takes sm_80\)")
        self.assertNotIn("\x1b", text)

    def test_sarif_and_policies(self):
        wheel = make_wheel(self.folder, "thing-2.0-py3-none-linux_x86_64.whl", {"_k.so": self.library("none").read_bytes()})
        sarif = self.folder / "x.sarif"
        command("verify", wheel, "--arch", "11.0", "--sarif", sarif, code=5)
        run, = json.loads(sarif.read_text())["runs"]
        self.assertIn("SB101", {result["ruleId"] for result in run["results"]})
        self.assertLessEqual({result["ruleId"] for result in run["results"]}, {rule["id"] for rule in run["tool"]["driver"]["rules"]})
        self.assertIn("no kernel image", command("explain", "sb101"))
        command("explain", "SB999", code=2)
        command("verify", wheel, "--policy", "hopeful", code=2)

    def test_what_is_told_replaces_nothing_that_it_tells_of(self):
        wheel = make_wheel(self.folder, "thing-2.0-py3-none-linux_x86_64.whl", {"_k.so": self.library("none").read_bytes()})
        before = wheel.read_bytes()
        command("inspect", wheel, "--html", wheel, code=2)
        command("verify", wheel, "--sarif", self.folder / "." / wheel.name, code=2)
        command("inspect", wheel, "--html", self.folder / "x.html", "--diff", wheel, code=2)
        self.assertEqual(wheel.read_bytes(), before)

    def test_two_files_are_compared(self):
        self.assertEqual(command("inspect", self.library("none"), "--diff", self.library("none")), "nothing differs\n")
        text = command("inspect", self.library("none"), "--diff", self.library("size"))
        self.assertRegex(text, r"(?m)^- lib sm_80: .* raw.*\n\+ lib sm_80: .* ZSTD")

    def test_upload_sends_no_wheel_that_fails(self):
        named = make_wheel(self.folder, "thing-1.0+cu130.sm110-py3-none-linux_x86_64.whl", {"_k.so": self.library("none").read_bytes()})
        # Nobody listens there: a wheel that goes on fails by the network.
        away = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_none"}
        upload = [BINARY, "upload", "--repo", "me/wheels", "--retry-delay-ms", "1", named]
        refused = subprocess.run(upload, env=away, capture_output=True, text=True, timeout=support.LIMIT)
        self.assertEqual(refused.returncode, 5, refused.stderr)
        self.assertIn("SB101 _k.so", refused.stderr)
        self.assertIn("--unverified", refused.stderr)
        sent = subprocess.run([*upload, "--unverified"], env=away, capture_output=True, text=True, timeout=support.LIMIT)
        self.assertEqual(sent.returncode, 4, sent.stderr)
        self.assertIn("warning: SB101", sent.stderr)


class Built(support.EndToEnd):
    def test_build_puts_no_wheel_in_its_place_that_fails(self):
        # A trap in every kernel: in some of them it is a warning.
        kernel = (SOURCE / "tests/e2e/packages/tiny/csrc/kernel.cu").read_text().replace("{\n", "{\n  if (count < 0) __trap();\n", 1)
        package = support.tiny_package(self.world / "tiny", kernel=kernel)
        outcome = self.build(package)
        self.assert_fails(outcome, 5, "SB103 tiny/_kernel", "--unverified")
        self.assertEqual(list(self.out.glob("*")), [])
        outcome = self.build(package, "--unverified")
        self.assertEqual(outcome.code, 0, outcome)
        self.assertIn("warning: SB103", outcome.stderr)
        self.assertTrue(pathlib.Path(outcome.stdout.strip()).is_file(), outcome)


if __name__ == "__main__":
    unittest.main()
