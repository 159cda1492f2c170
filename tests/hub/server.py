"""Starts the test Hub: see testhub/__main__.py for the contract and testhub/faults.py for the fault script."""

import pathlib
import runpy
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
runpy.run_module("testhub", run_name="__main__")
