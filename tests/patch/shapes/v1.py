"""Test fixture of sagebuild: version 1, pure Triton."""

from setuptools import find_packages, setup

setup(name='sageattention', version='1.0.6', packages=find_packages())
