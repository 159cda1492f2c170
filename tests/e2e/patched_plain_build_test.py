"""A patched minisage built by plain pip, with no sagebuild in the build: the images in each module are those that the recipe says,
and what sagebuild itself builds holds the same kernels.

Minutes to an hour: torch's full headers, once per source and architecture. SAGEBUILD_TEST_ARCHS names a shorter list.
"""

import json
import os
import shutil
import subprocess

import gpu_images
import same_kernels
import support

ARCHS = os.environ.get("SAGEBUILD_TEST_ARCHS", "8.0 8.6 9.0 12.0+PTX")
FULL = {
    "_fused": {"sm_80", "sm_90", "sm_120", "compute_120"},
    "_qattn_sm80": {"sm_80", "sm_90", "sm_120", "compute_120"},
    "_qattn_sm89": {"sm_90", "sm_120", "compute_120"},
    "_qattn_sm90": {"sm_90a"},
}


class PatchedPlainBuild(support.EndToEnd):
    def test_pip_builds_what_the_table_says(self):
        folder = self.world / "minisage"
        shutil.copytree(support.SOURCE / "examples" / "minisage", folder)
        subprocess.run([support.BINARY, "patch", folder], check=True)
        told = subprocess.run([support.BINARY, "patch", "--json", "--verify", "--arch", ARCHS, folder], check=True,
                              capture_output=True, text=True)
        row, = json.loads(told.stdout)["table"]
        expected = {name.rpartition(".")[2]: set(images) for name, images in row["modules"].items()}
        if "SAGEBUILD_TEST_ARCHS" not in os.environ:
            self.assertEqual(expected, FULL)

        toolkit = support.torch_packages() / "nvidia" / "cu13"
        stubs = self.world / "stubs"  # torch's packages hold no libcuda to link with
        stubs.mkdir()
        function = "int cuTensorMapEncodeTiled() { return 1; }"
        subprocess.run(["g++", "-shared", "-fPIC", "-xc", "-", "-Wl,-soname,libcuda.so.1", "-o", stubs / "libcuda.so"],
                       input=function, text=True, check=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SAGEBUILD")}
        bin_folder = os.path.dirname(support.torch_python())
        environment.update(TORCH_CUDA_ARCH_LIST=ARCHS, CUDA_HOME=str(toolkit), LIBRARY_PATH=str(stubs),
                           PATH=f"{bin_folder}:{environment['PATH']}")
        environment.setdefault("MAX_JOBS", "2")
        wheels = self.world / "wheels"
        build = [support.torch_python(), "setup.py", "-q", "bdist_wheel", "-d", str(wheels)]
        if subprocess.run([support.torch_python(), "-m", "pip", "--version"], capture_output=True).returncode == 0:
            build = [support.torch_python(), "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, "."]
        done = subprocess.run(build, cwd=folder, env=environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:] + done.stderr[-4000:])

        tree = self.world / "tree"
        wheel, = wheels.glob("*.whl")
        subprocess.run([support.torch_python(), "-m", "zipfile", "-e", wheel, tree], check=True)
        found = {path.name.partition(".")[0]: gpu_images.images(path) for path in (tree / "minisage").glob("*.so")}
        self.assertEqual(found, expected)

        ours = self.start(*self.build_arguments(support.SOURCE / "examples" / "minisage", arch=ARCHS)).finish(3000)
        self.assertEqual(ours.code, 0, ours)
        os.environ.setdefault("CUOBJDUMP", str(support.torch_packages() / "triton" / "backends" / "nvidia" / "bin" / "cuobjdump"))
        told, differences = same_kernels.compare(ours.stdout.rstrip("\n"), wheel)
        print("\n".join(told))
        self.assertEqual(differences, 0)
        self.assertEqual([line for line in told if "only in" in line], [])


if __name__ == "__main__":
    support.main()
