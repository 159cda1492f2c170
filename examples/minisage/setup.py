"""minisage: a small attention package in the shape of SageAttention's setup.py, written for sagebuild's demo and tests.

Its architecture list is read with the same faults on purpose: only ',' and ';' separate items, unknown items are dropped without
a word, and all extensions share one list of -gencode flags. `sagebuild patch` puts that right.
"""

import copy
import os
import sys

from setuptools import find_packages, setup

SKIP_CUDA_BUILD = os.environ.get("MINISAGE_SKIP_CUDA_BUILD", "") == "1" or "sdist" in sys.argv

ext_modules = []
cmdclass = {}

if not SKIP_CUDA_BUILD:
    import torch
    from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CUDAExtension

    HAS_SM80 = False
    HAS_SM86 = False
    HAS_SM89 = False
    HAS_SM90 = False

    CXX_FLAGS = ["-O3", "-std=c++17"]
    NVCC_FLAGS = [
        "-O3",
        "-std=c++17",
        "-U__CUDA_NO_HALF_OPERATORS__",
        "-U__CUDA_NO_HALF_CONVERSIONS__",
        "--use_fast_math",
        "--threads=2",
    ]
    CXX_FLAGS += os.environ.get("CXX_APPEND_FLAGS", "").split()

    if CUDA_HOME is None:
        raise RuntimeError("minisage needs a CUDA toolkit; set CUDA_HOME")

    # What to build for: the environment's list, else the GPUs of this machine.
    compute_capabilities = set()
    for entry in os.environ.get("TORCH_CUDA_ARCH_LIST", "").replace(",", ";").split(";"):
        if entry.strip():
            compute_capabilities.add(entry.strip().lower().replace("a", ""))
    if not compute_capabilities and torch.cuda.is_available():
        for device in range(torch.cuda.device_count()):
            compute_capabilities.add("%d.%d" % torch.cuda.get_device_capability(device))
    if not compute_capabilities:
        raise RuntimeError("minisage found no GPU; set TORCH_CUDA_ARCH_LIST")

    for capability in compute_capabilities:
        if capability.startswith("8.0"):
            HAS_SM80 = True
            number = "80"
        elif capability.startswith("8.6"):
            HAS_SM86 = True
            number = "86"
        elif capability.startswith("8.9"):
            HAS_SM89 = True
            number = "89"
        elif capability.startswith("9.0"):
            HAS_SM90 = True
            number = "90a"
        else:
            continue
        NVCC_FLAGS += ["-gencode", f"arch=compute_{number},code=sm_{number}"]
        if capability.endswith("+ptx"):
            NVCC_FLAGS += ["-gencode", f"arch=compute_{number},code=compute_{number}"]

    if HAS_SM80 or HAS_SM86 or HAS_SM89 or HAS_SM90:
        ext_modules.append(
            CUDAExtension(
                name="minisage._qattn_sm80",
                sources=[
                    "csrc/qattn/pybind_sm80.cpp",
                    "csrc/qattn/qk_int8_sv_f16_sm80.cu",
                ],
                extra_compile_args={"cxx": CXX_FLAGS, "nvcc": NVCC_FLAGS},
            )
        )

    if HAS_SM89 or HAS_SM90:
        ext_modules.append(
            CUDAExtension(
                name="minisage._qattn_sm89",
                sources=[
                    "csrc/qattn/pybind_sm89.cpp",
                    "csrc/qattn/sm89_qk_int8_sv_f8_accum_f32_attn.cu",
                    "csrc/qattn/sm89_qk_int8_sv_f8_accum_f16_attn.cu",
                ],
                extra_compile_args={"cxx": CXX_FLAGS, "nvcc": NVCC_FLAGS},
            )
        )

    if HAS_SM90:
        ext_modules.append(
            CUDAExtension(
                name="minisage._qattn_sm90",
                sources=[
                    "csrc/qattn/pybind_sm90.cpp",
                    "csrc/qattn/qk_int8_sv_f8_sm90.cu",
                ],
                extra_compile_args={"cxx": CXX_FLAGS, "nvcc": NVCC_FLAGS},
                extra_link_args=["-lcuda"],
            )
        )

    ext_modules.append(
        CUDAExtension(
            name="minisage._fused",
            sources=["csrc/fused/pybind.cpp", "csrc/fused/fused.cu"],
            extra_compile_args={"cxx": CXX_FLAGS, "nvcc": NVCC_FLAGS},
        )
    )

    class BuildExtensionsAtOnce(BuildExtension):
        """Several extensions at a time, each in a folder of its own: torch writes one build.ninja per folder."""

        def finalize_options(self):
            self.parallel = int(os.environ.get("EXT_PARALLEL") or os.environ.get("MAX_JOBS") or 4)
            super().finalize_options()

        def build_extension(self, ext):
            alone = copy.copy(self)
            alone.build_temp = os.path.join(self.build_temp, ext.name)
            BuildExtension.build_extension(alone, ext)

    cmdclass = {"build_ext": BuildExtensionsAtOnce}

setup(
    name="minisage",
    version="0.1.0",
    description="a small int8/FP8 attention package: sagebuild's demo and test subject",
    license="Apache-2.0",
    packages=find_packages(),
    python_requires=">=3.9",
    ext_modules=ext_modules,
    cmdclass=cmdclass,
)
