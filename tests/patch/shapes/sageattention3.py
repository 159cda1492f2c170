"""Test fixture of sagebuild: the FP4 subproject, the local GPU alone. Same structure as the real file, other text."""

import os
import subprocess
import warnings
from pathlib import Path

import torch
from packaging.version import Version, parse
from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CUDAExtension


def toolkit_version(folder):
    words = subprocess.check_output([folder + "/bin/nvcc", "-V"], universal_newlines=True).split()
    return parse(words[words.index("release") + 1].split(",")[0])


def append_nvcc_threads(nvcc_extra_args):
    return nvcc_extra_args + ["--threads", "4"]


ext_modules = []

if os.getenv("SKIP", "FALSE") != "TRUE":
    cc_flag = []
    if toolkit_version(CUDA_HOME) < Version("12.8"):
        raise RuntimeError("CUDA 12.8 is needed")
    cc_major, cc_minor = torch.cuda.get_device_capability()
    if (cc_major, cc_minor) == (10, 0):  # B200
        cc_flag.append("-gencode")
        cc_flag.append("arch=compute_100a,code=sm_100a")
    elif (cc_major, cc_minor) == (12, 0):  # RTX 50
        cc_flag.append("-gencode")
        cc_flag.append("arch=compute_120a,code=sm_120a")
    else:
        raise RuntimeError("Unsupported GPU")

    nvcc_flags = [
        "-O2",
        "-std=c++17",
        "-lineinfo",
    ]
    include_dirs = [Path("csrc") / "cutlass" / "include"]

    ext_modules.append(
        CUDAExtension(
            name="fp4attn_cuda",
            sources=["attn/api.cu"],
            extra_compile_args={
                "cxx": ["-O2", "-std=c++17"],
                "nvcc": append_nvcc_threads(
                    nvcc_flags + ["-DMODE=0"] + cc_flag
                ),
            },
            include_dirs=include_dirs,
            # TMA descriptors
            libraries=["cuda"]
        )
    )
    ext_modules.append(
        CUDAExtension(
            name="fp4quant_cuda",
            sources=["quant/quant.cu"],
            extra_compile_args={
                "cxx": ["-O2", "-std=c++17"],
                "nvcc": append_nvcc_threads(
                    nvcc_flags + ["-DMODE=0"] + cc_flag
                ),
            },
            include_dirs=include_dirs,
            libraries=["cuda"]
        )
    )

setup(name="sageattn3", version="1.0.0", packages=find_packages(), ext_modules=ext_modules,
      cmdclass={"build_ext": BuildExtension})
