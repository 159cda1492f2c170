from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

setup(
    name="tiny",
    version="1.0",
    packages=find_packages(),
    ext_modules=[CUDAExtension("tiny._kernel", ["csrc/binding.cpp", "csrc/kernel.cu"])],
    cmdclass={"build_ext": BuildExtension},
)
