"""Test fixture of sagebuild: the sparse sibling, with generated sources. Same structure as the real file, other text."""

import os
import subprocess
from pathlib import Path
import warnings

from packaging.version import parse, Version
from setuptools import setup, find_packages
import torch
from torch.utils.cpp_extension import BuildExtension, CUDAExtension, CUDA_HOME

HAS_SM90 = False
SAGE2PP_ENABLED = True

def run_instantiations(folder):
    for py_file in Path(folder).rglob('*.py'):
        os.system(f"python {py_file}")

SUPPORTED_ARCHS = {"8.0", "8.6", "8.7", "8.9", "9.0"}

CXX_FLAGS = ["-O2", "-std=c++17"]
NVCC_FLAGS = [
    "-O2",
    "-std=c++17",
    "--threads=8",
]

def get_torch_arch_list():
    text = os.environ.get("TORCH_CUDA_ARCH_LIST", None)
    if text is None:
        return set()
    return set(text.replace(" ", ";").split(";")).intersection(SUPPORTED_ARCHS)

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

if not compute_capabilities:
    raise RuntimeError("nothing to build for")

for capability in compute_capabilities:
    num = capability.replace(".", "")
    if num == '90':
        num = '90a'
        HAS_SM90 = True
        CXX_FLAGS += ["-DHAS_SM90"]
    if num == '80' or num == '86' or num == '87':
        SAGE2PP_ENABLED = False
    
    NVCC_FLAGS += ["-gencode", f"arch=compute_{num},code=sm_{num}"]
    if capability.endswith("+PTX"):
        NVCC_FLAGS += ["-gencode", f"arch=compute_{num},code=compute_{num}"]

if SAGE2PP_ENABLED:
    CXX_FLAGS += ["-DSAGE2PP_ENABLED"]

ext_modules = []

run_instantiations("csrc/generated")

sources = ["csrc/bind.cpp", "csrc/f16.cu", "csrc/f8.cu"]
if HAS_SM90:
    sources += ["csrc/f8_90.cu"]

qattn_extension = CUDAExtension(
    name="spas_sage_attn._qattn",
    sources=sources,
    extra_compile_args={
        "cxx": CXX_FLAGS,
        "nvcc": NVCC_FLAGS,
    },
    extra_link_args=['-lcuda'],
)
ext_modules.append(qattn_extension)

fused_extension = CUDAExtension(
    name="spas_sage_attn._fused",
    sources=["csrc/f/bind.cpp", "csrc/f/f.cu"],
    extra_compile_args={
        "cxx": CXX_FLAGS,
        "nvcc": NVCC_FLAGS,
    },
)
ext_modules.append(fused_extension)

setup(name='spas_sage_attn', version='0.1.0', packages=find_packages(), ext_modules=ext_modules,
      cmdclass={"build_ext": BuildExtension})
