"""examples/minisage, built for a list that its own setup.py gets wrong in three ways. Minutes: full torch headers many times over."""

import subprocess
import textwrap

import gpu_images
import support

EXPECTED = {
    "_fused": {"sm_80", "sm_89", "sm_90", "sm_120", "compute_120"},
    "_qattn_sm80": {"sm_80", "sm_90", "sm_120", "compute_120"},
    "_qattn_sm89": {"sm_89", "sm_90", "sm_120", "compute_120"},
    "_qattn_sm90": {"sm_90a"},
}


class Minisage(support.EndToEnd):
    def test_modules_images_and_import(self):
        arguments = self.build_arguments(support.SOURCE / "examples" / "minisage", arch="8.0 8.9 9.0 12.0+PTX")
        outcome = self.start(*arguments).finish(3000)
        self.assertEqual(outcome.code, 0, outcome)
        tree = self.world / "tree"
        subprocess.run([support.torch_python(), "-m", "zipfile", "-e", outcome.stdout.rstrip("\n"), tree], check=True)
        found = {path.name.partition(".")[0]: gpu_images.images(path) for path in (tree / "minisage").glob("*.so")}
        self.assertEqual(found, EXPECTED)

        # The Hopper module needs the driver's library, which this machine may lack; the import asks for its name alone.
        driver = self.world / "driver"
        driver.mkdir()
        functions = "int cuTensorMapEncodeTiled() { return 1; } int cuGetErrorString() { return 1; }"
        subprocess.run(["g++", "-shared", "-fPIC", "-xc", "-", "-Wl,-soname,libcuda.so.1", "-o", driver / "libcuda.so.1"],
                       input=functions, text=True, check=True)
        program = textwrap.dedent("""\
            import importlib, torch, minisage
            for name in ("_fused", "_qattn_sm80", "_qattn_sm89", "_qattn_sm90"):
                importlib.import_module("minisage." + name)
            assert minisage.kernel_for((12, 0)) == "sm89" and minisage.kernel_for((9, 0)) == "sm90"
            """)
        done = subprocess.run([support.torch_python(), "-c", program], cwd=tree, capture_output=True, text=True,
                              env={**self.environment, "LD_LIBRARY_PATH": str(driver)})
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    support.main()
