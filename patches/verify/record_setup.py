"""Runs a setup.py without torch, setuptools or a compiler, and prints what it would hand to nvcc, as JSON.

Arguments: the folder to run in, then one TORCH_CUDA_ARCH_LIST after the other. The text of setup.py comes on standard input.
Works under `python3 -I -S`: nothing outside the standard library is loaded.
"""

import builtins
import io
import json
import os
import subprocess
import sys
import types
import warnings

NVCC_VERSION = "13.0"
TORCH_VERSION = "2.11.0+cu130"


class Extension:
    def __init__(self, name, sources, extra_compile_args=None, **others):
        self.name = name
        self.sources = sources
        self.nvcc = list((extra_compile_args or {}).get("nvcc", []))


class Version:
    """As much of packaging.version.Version as setup.py files use."""

    def __init__(self, text):
        self.release = tuple(int(part) for part in text.split("+")[0].split(".") if part.isdigit())

    def __lt__(self, other):
        return self.release < other.release

    def __le__(self, other):
        return self.release <= other.release

    def __gt__(self, other):
        return self.release > other.release

    def __ge__(self, other):
        return self.release >= other.release

    def __eq__(self, other):
        return self.release == other.release


def module(name, **members):
    made = types.ModuleType(name)
    made.__dict__.update(members)
    sys.modules[name] = made
    return made


class Command:
    """Base of BuildExtension and bdist_wheel stand-ins."""


def install_stand_ins():
    cuda = module("torch.cuda", is_available=lambda: False, device_count=lambda: 0)
    extension = module("torch.utils.cpp_extension", BuildExtension=Command, CUDAExtension=Extension, CppExtension=Extension,
                       CUDA_HOME="/nonexistent/cuda")
    utils = module("torch.utils", cpp_extension=extension)
    module("torch", __version__=TORCH_VERSION, cuda=cuda, utils=utils,
           _C=types.SimpleNamespace(_GLIBCXX_USE_CXX11_ABI=True),
           version=types.SimpleNamespace(cuda=NVCC_VERSION, hip=None))
    version = module("packaging.version", Version=Version, parse=Version)
    module("packaging", version=version)
    bdist = module("wheel.bdist_wheel", bdist_wheel=Command)
    module("wheel", bdist_wheel=bdist)
    module("setuptools", find_packages=lambda *args, **options: [])
    run_nothing()


def run_nothing():
    """No setup.py starts a program here: nvcc answers with its version, anything else (a git clone) with nothing."""
    answer = f"Cuda compilation tools, release {NVCC_VERSION}, V{NVCC_VERSION}.88\n"
    subprocess.check_output = lambda *args, **options: answer
    subprocess.check_call = lambda *args, **options: 0
    subprocess.run = lambda *args, **options: types.SimpleNamespace(returncode=0, stdout=answer, stderr="")
    os.system = lambda command: 0
    os.mkdir = lambda *args, **options: None
    real_open = builtins.open

    def open_or_empty(file, *args, **options):
        try:
            return real_open(file, *args, **options)
        except FileNotFoundError:  # README.md, when setup.py came alone
            return io.StringIO("")

    builtins.open = open_or_empty


def targets(flags):
    """["sm_90a", "compute_120"] of nvcc's -gencode flags."""
    joined = " ".join(map(str, flags)).replace("-gencode=", "-gencode ")
    return [part.split("code=")[1] for part in joined.split() if "code=" in part]


def record(text, folder, arch_list):
    recorded = []
    sys.modules["setuptools"].setup = lambda **arguments: recorded.extend(arguments.get("ext_modules", []))
    os.environ["TORCH_CUDA_ARCH_LIST"] = arch_list
    path = os.path.join(folder, "setup.py")
    sys.argv = [path, "bdist_wheel"]
    try:
        exec(compile(text, path, "exec"), {"__name__": "__main__", "__file__": path})
    except Exception as error:
        return {"list": arch_list, "error": f"{type(error).__name__}: {error}"}
    return {"list": arch_list, "modules": {extension.name: targets(extension.nvcc) for extension in recorded}}


def main():
    folder, *lists = sys.argv[1:]
    text = sys.stdin.buffer.read()
    os.chdir(folder)
    sys.path.insert(0, folder)
    install_stand_ins()
    warnings.simplefilter("ignore")
    output, sys.stdout = sys.stdout, io.StringIO()  # what setup.py prints is not data
    rows = [record(text, folder, arch_list) for arch_list in lists]
    json.dump(rows, output)


main()
