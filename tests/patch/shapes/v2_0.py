"""Test fixture of sagebuild: version 2.0, one attention module. Same structure as the real file, other text."""

import os
import subprocess
import warnings

from packaging.version import Version, parse
from setuptools import find_packages, setup
import torch
from torch.utils.cpp_extension import BuildExtension, CUDAExtension, CUDA_HOME

SUPPORTED_ARCHS = {"8.0", "8.6", "8.7", "8.9", "9.0"}

# Flags for both compilers.
CXX_FLAGS = ["-O2", "-std=c++17"]
NVCC_FLAGS = [
    "-O2",
    "-std=c++17",
    "--use_fast_math",
    "--threads=8",
    "-diag-suppress=174", # one note
]

if CUDA_HOME is None:
    raise RuntimeError("no toolkit")

def get_nvcc_cuda_version(folder):
    words = subprocess.check_output([folder + "/bin/nvcc", "-V"], universal_newlines=True).split()
    return parse(words[words.index("release") + 1].split(",")[0])

def get_torch_arch_list():
    # What the user asks for.
    text = os.environ.get("TORCH_CUDA_ARCH_LIST", None)
    if text is None:
        return set()

    known = SUPPORTED_ARCHS.union({s + "+PTX" for s in SUPPORTED_ARCHS})
    found = set(text.replace(" ", ";").split(";")).intersection(known)
    if not found:
        raise RuntimeError(
            "nothing known in the list "
            f"{text}")
    return found

# The environment comes first.
compute_capabilities = get_torch_arch_list()
if not compute_capabilities:
    # Else the GPUs that are here.
    device_count = torch.cuda.device_count()
    for i in range(device_count):
        major, minor = torch.cuda.get_device_capability(i)
        if major < 8:
            raise RuntimeError(
                "GPUs with less than 8.0 will not do.")
        compute_capabilities.add(f"{major}.{minor}")

nvcc_cuda_version = get_nvcc_cuda_version(CUDA_HOME)
if not compute_capabilities:
    raise RuntimeError("nothing to build for")
if nvcc_cuda_version < Version("12.0"):
    raise RuntimeError("CUDA 12.0 or higher is required to build the package.")
if nvcc_cuda_version < Version("12.4") and any(cc.startswith("8.9") for cc in compute_capabilities):
    raise RuntimeError(
        "CUDA 12.4 or higher is required for compute capability 8.9.")

for capability in compute_capabilities:
    num = capability[0] + capability[2]
    NVCC_FLAGS += ["-gencode", f"arch=compute_{num},code=sm_{num}"]
    if capability.endswith("+PTX"):
        NVCC_FLAGS += ["-gencode", f"arch=compute_{num},code=compute_{num}"]

ext_modules = []

qattn_extension = CUDAExtension(
    name="sageattention._qattn",
    sources=[
        "csrc/q/bind.cpp",
        "csrc/q/f16.cu",
        "csrc/q/f8.cu",
    ],
    extra_compile_args={
        "cxx": CXX_FLAGS,
        "nvcc": NVCC_FLAGS,
    },
)
ext_modules.append(qattn_extension)

qattn_extension = CUDAExtension(
    name="sageattention._fused",
    sources=[
        "csrc/f/bind.cpp",
        "csrc/f/f.cu",
    ],
    extra_compile_args={
        "cxx": CXX_FLAGS,
        "nvcc": NVCC_FLAGS,
    },
)
ext_modules.append(qattn_extension)

setup(
    name='sageattention', 
    version='2.0.1',  
    long_description=open('README.md', encoding='utf-8').read(),
    packages=find_packages(),
    ext_modules=ext_modules,
    cmdclass={"build_ext": BuildExtension},
)
