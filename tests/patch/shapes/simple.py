"""Test fixture of sagebuild: the shape that hand-made patch scripts expect: three assignments and a list."""

import os
import warnings

import torch
from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CUDAExtension

CXX_FLAGS = ["-O2", "-std=c++17"]
NVCC_FLAGS = ["-O2", "-std=c++17", "--use_fast_math"]

compute_capabilities = ["8.0", "8.6", "9.0"]

HAS_SM80 = any(cc.startswith("8.0") for cc in compute_capabilities)
HAS_SM86 = any(cc.startswith("8.6") for cc in compute_capabilities)
HAS_SM90 = any(cc.startswith("9.0") for cc in compute_capabilities)

for capability in compute_capabilities:
    num = capability.replace(".", "")
    NVCC_FLAGS += ["-gencode", f"arch=compute_{num},code=sm_{num}"]

ext_modules = []

if HAS_SM80 or HAS_SM86 or HAS_SM90:
    ext_modules.append(
        CUDAExtension(
            name="sageattention._qattn_sm80",
            sources=[
                "csrc/q/bind80.cpp",
                "csrc/q/int8_f16.cu",
            ],
            extra_compile_args={"cxx": CXX_FLAGS, "nvcc": NVCC_FLAGS},
        )
    )

if HAS_SM90:
    ext_modules.append(
        CUDAExtension(
            name="sageattention._qattn_sm89",
            sources=[
                "csrc/q/bind89.cpp",
                "csrc/q/int8_f8.cu",
            ],
            extra_compile_args={"cxx": CXX_FLAGS, "nvcc": NVCC_FLAGS},
        )
    )

if HAS_SM90:
    ext_modules.append(
        CUDAExtension(
            name="sageattention._qattn_sm90",
            sources=[
                "csrc/q/bind90.cpp",
                "csrc/q/int8_f8_90.cu",
            ],
            extra_compile_args={"cxx": CXX_FLAGS, "nvcc": NVCC_FLAGS},
            extra_link_args=['-lcuda'],
        )
    )

ext_modules.append(
    CUDAExtension(
        name="sageattention._fused",
        sources=[
            "csrc/f/bind.cpp",
            "csrc/f/f.cu",
        ],
        extra_compile_args={"cxx": CXX_FLAGS, "nvcc": NVCC_FLAGS},
    )
)

setup(
    name='sageattention', 
    version='2.1.1',  
    long_description=open('README.md', encoding='utf-8').read(),
    packages=find_packages(),
    ext_modules=ext_modules,
    cmdclass={"build_ext": BuildExtension},
)
