"""Test fixture of sagebuild: version 2.1.0, list from the environment. Same structure as the real file, other text."""

import os
import subprocess
import warnings

from packaging.version import Version, parse
from setuptools import find_packages, setup
import torch
from torch.utils.cpp_extension import BuildExtension, CUDAExtension, CUDA_HOME

HAS_SM80 = False
HAS_SM86 = False
HAS_SM89 = False
HAS_SM90 = False

SUPPORTED_ARCHS = {"8.0", "8.6", "8.9", "9.0"}

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
    if num == "80":
        HAS_SM80 = True
    elif num == "86":
        HAS_SM86 = True
    elif num == "89":
        HAS_SM89 = True
    elif num == "90":
        HAS_SM90 = True
        num = num + "a" # the letter
    NVCC_FLAGS += ["-gencode", f"arch=compute_{num},code=sm_{num}"]
    if capability.endswith("+PTX"):
        NVCC_FLAGS += ["-gencode", f"arch=compute_{num},code=compute_{num}"]

ext_modules = []

if HAS_SM80 or HAS_SM86 or HAS_SM89 or HAS_SM90:
    qattn_extension = CUDAExtension(
        name="sageattention._qattn_sm80",
        sources=[
            "csrc/q/bind80.cpp",
            "csrc/q/int8_f16.cu",
        ],
        extra_compile_args={
            "cxx": CXX_FLAGS,
            "nvcc": NVCC_FLAGS,
        },
    )
    ext_modules.append(qattn_extension)

if HAS_SM89:
    qattn_extension = CUDAExtension(
        name="sageattention._qattn_sm89",
        sources=[
            "csrc/q/bind89.cpp",
            "csrc/q/int8_f8.cu",
        ],
        extra_compile_args={
            "cxx": CXX_FLAGS,
            "nvcc": NVCC_FLAGS,
        },
    )
    ext_modules.append(qattn_extension)

if HAS_SM90:
    qattn_extension = CUDAExtension(
        name="sageattention._qattn_sm90",
        sources=[
            "csrc/q/bind90.cpp",
            "csrc/q/int8_f8_90.cu",
        ],
        extra_compile_args={
            "cxx": CXX_FLAGS,
            "nvcc": NVCC_FLAGS,
        },
        extra_link_args=['-lcuda'],
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
    version='2.1.0',  
    long_description=open('README.md', encoding='utf-8').read(),
    packages=find_packages(),
    ext_modules=ext_modules,
    cmdclass={"build_ext": BuildExtension},
)