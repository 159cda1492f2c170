"""Loads one extension module by itself, without the package around it, and prints what the loader says, as JSON.

Arguments: "torch" to import torch first, else "plain"; "module" for what Python imports, "library" for what torch.ops.load_library loads;
the file; the module's name. Prints {} if all is well, else "torch" or "module" with the words of the error.
"""

import ctypes
import importlib.machinery
import importlib.util
import json
import os
import sys


def words(error):
    """As UTF-8 can hold it: a path in an error need not."""
    return f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode()


def load(kind, file, name):
    if kind == "library":
        ctypes.CDLL(file)
        return
    loader = importlib.machinery.ExtensionFileLoader(name, file)
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location(name, file, loader=loader))
    loader.exec_module(module)


def answer(torch, kind, file, name):
    if torch == "torch":
        try:
            import torch as _  # noqa: F401
        except BaseException as error:
            return {"torch": words(error)}
    try:
        load(kind, file, name)
    except BaseException as error:
        return {"module": words(error)}
    return {}


if __name__ == "__main__":
    # What a module prints is no answer.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    out.write(json.dumps(answer(*sys.argv[1:])))
    out.flush()
    # Not what its destructors do at the end.
    os._exit(0)
