# Put in by `sagebuild patch`. {asked for: (PTX it is made from, machine code, whether +PTX is of use to newer GPUs)}
MODULE_ARCHS = {
    {{module_table}}
}

def requested_archs():
    """{"12.0": (machine code, PTX)} from TORCH_CUDA_ARCH_LIST in any usual spelling, else from the local GPUs."""
    import os
    import re
    import warnings
    needed = [archs for module, archs in MODULE_ARCHS.items() if module in {{always_built}}]
    served = [arch for arch in needed[0] if all(arch in archs for archs in needed)]
    items = [item for item in re.split(r"[\s,;]+", os.getenv("TORCH_CUDA_ARCH_LIST", "")) if item]
    if not items:
        gpus = range(torch.cuda.device_count())
        items = ["{}.{}".format(*torch.cuda.get_device_capability(gpu)) for gpu in gpus]
    wanted = {}
    for item in items:
        match = re.fullmatch(r"(sm_|compute_)?(\d+)\.?(\d)([af]?)(\+ptx)?", item.lower())
        if not match:
            raise RuntimeError(f"unknown architecture '{item}': write for example 8.0 8.9 9.0 12.0+PTX")
        kind, major, minor, suffix, ptx = match.groups()
        arch = f"{major}.{minor}"
        if int(major) < 8 and not suffix:
            warnings.warn(f"skipping architecture {arch}: the kernels need 8.0")
            continue
        if arch not in served or (suffix and int(major) < {"a": 9, "f": 10}[suffix]):
            newer = {{newer_version}}
            raise RuntimeError(f"unknown architecture '{item}': this version serves {', '.join(served)}{newer}")
        old = wanted.get(arch, (False, False))
        wanted[arch] = (old[0] or kind != "compute_", old[1] or kind == "compute_" or bool(ptx))
    if not wanted:
        raise RuntimeError("no architecture to build for: set TORCH_CUDA_ARCH_LIST or build on a machine with a GPU")
    return wanted

def gencode(module):
    """nvcc's flags for one module, sorted: equal lists give equal files."""
    pairs = set()
    for arch in wanted_archs:
        virtual, real, ptx_helps = MODULE_ARCHS[module].get(arch, ("", "", False))
        if real and wanted_archs[arch][0]:
            pairs.add((virtual, "sm_" + real))
        if ptx_helps and wanted_archs[arch][1]:
            pairs.add((virtual, "compute_" + virtual))
    pairs = sorted(pairs, key=lambda pair: (int(pair[0].rstrip("af")), pair[1].startswith("compute"), pair[1]))
    if not pairs and module in {{always_built}}:
        raise RuntimeError(f"TORCH_CUDA_ARCH_LIST asks for nothing that {module} can be built for")
    return [flag for virtual, code in pairs for flag in ("-gencode", f"arch=compute_{virtual},code={code}")]

wanted_archs = requested_archs()
