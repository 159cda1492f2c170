#include "sagebuild/model/finding.hpp"

#include <algorithm>
#include <string_view>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {

std::string name_of(Severity severity) {
  switch (severity) {
    case Severity::note:
      return "note";
    case Severity::warning:
      return "warning";
    case Severity::error:
      break;
  }
  return "error";
}

const std::vector<FindingKind>& finding_kinds() {
  using enum Severity;
  static const std::vector<FindingKind> all = {
      {"SB101", "a promised GPU is not served", error, false,
       "CUDA error: no kernel image is available for execution on the device (209)",
       "build every source of the module for that architecture, or do not promise it"},
      {"SB102", "a module that a promised GPU needs is missing", error, false,
       "an assertion such as 'SM89 kernel is not available', or a slower path without a word",
       "build with an architecture list that makes setup.py build this module"},
      {"SB103", "the code that a promised GPU takes ends in a trap", error, false,
       "CUDA error: unspecified launch failure, at the first call of such a kernel",
       "build the module for this very architecture, with a CUDA version that knows its "
       "instructions"},
      {"SB104", "code for a GPU that the module cannot serve", warning, false,
       "nothing while it is not called; unspecified launch failure when it is",
       "leave this architecture out of the module's targets"},
      {"SB105", "GPU code that cannot be read", error, false,
       "CUDA error: device kernel image is invalid (200)",
       "build the wheel again; if the file came over a network, fetch it again"},
      {"SB106", "nothing says which GPUs the wheel is for", note, false,
       "no kernel image is available, on a GPU that its maker did not think of",
       "name the architectures: sagebuild verify WHEEL --arch LIST"},
      {"SB107", "a promised GPU is served by PTX alone", warning, false,
       "a wait while the driver compiles at first use; 'the provided PTX was compiled with an "
       "unsupported toolchain' (222) on an older driver",
       "build machine code for that architecture too"},
      {"SB108", "PTX that was promised is missing", error, false,
       "no kernel image is available on GPUs newer than the wheel",
       "build with +PTX on the newest plain architecture"},
      {"SB109", "PTX that no other GPU can take", warning, false,
       "no kernel image is available on the next GPU, although the wheel holds PTX",
       "make PTX for a plain architecture: compute_120, not compute_120a"},
      {"SB110", "compressed code that older drivers for CUDA 12 cannot read", warning, true,
       "device kernel image is invalid, with a driver older than 550.54.14",
       "compile with --compress-mode=speed or none under CUDA 12, or say that driver 550 is "
       "needed"},
      {"SB111", "machine code made from the PTX of an older architecture", note, false,
       "slower kernels: what the newer architecture has was not used",
       "compile for the architecture itself: -gencode arch=compute_XY,code=sm_XY"},
      {"SB112", "kernels built for a debugger", warning, false,
       "kernels that are many times slower", "compile without -G"},
      {"SB113", "relocatable GPU code that no driver loads", note, true, "a larger download",
       "strip the section __nv_relfatbin, or link without -rdc=true"},
      {"SB114", "a module that who names it needs is missing", warning, false,
       "an error when a function of this module is called by its name, as some programs do",
       "build with an architecture list that makes setup.py build this module"},
      {"SB121", "the old C++ ABI", error, false,
       "ImportError: undefined symbol: _ZN3c10..., since torch has the C++11 ABI from 2.7 on",
       "build against the torch that is promised"},
      {"SB122", "modules bound to one torch, and no torch version is asked for", warning, false,
       "ImportError: undefined symbol: _ZN3c10... after another torch is installed",
       "declare Requires-Dist: torch==X.Y.* as the modules were built"},
      {"SB123", "a glibc newer than the platform tag says", error, true,
       "ImportError: version `GLIBC_2.32' not found",
       "build on an older distribution or in a manylinux image, or use an honest platform tag"},
      {"SB124", "a libstdc++ newer than the platform tag says", error, true,
       "ImportError: version `GLIBCXX_3.4.30' not found (conda brings its own)",
       "build with an older g++, or use an honest platform tag"},
      {"SB125", "two CUDA versions", error, false,
       "ImportError: libcudart.so.12: cannot open shared object file",
       "build with the CUDA version of the torch that is promised"},
      {"SB126", "the module needs a GPU's driver to be imported", warning, true,
       "ImportError: libcuda.so.1: cannot open shared object file, on a machine without a GPU",
       "ask for the function at run time: cudaGetDriverEntryPoint"},
      {"SB127", "a CUDA runtime of its own beside torch's", warning, false,
       "two runtimes in one process: more memory, and settings of one that the other ignores",
       "link the shared runtime: --cudart shared"},
      {"SB128", "libraries are looked for in a folder of the builder", warning, true,
       "it imports on the builder alone, or takes somebody else's library",
       "link with an rpath below $ORIGIN, or none"},
      {"SB129", "symbol versions of a library that is not asked for", error, false,
       "an assertion in the loader: ld.so: needed != NULL",
       "do not rename libraries inside a module; link it again"},
      {"SB130", "an executable stack", error, true,
       "ImportError: cannot enable executable stack as shared object requires (glibc 2.41)",
       "link with -z noexecstack"},
      {"SB131", "a module that Python cannot import", error, false,
       "ImportError: dynamic module does not define module export function, or No module named",
       "build the module for the Python that the file name says"},
      {"SB132", "an OpenMP runtime that the wheel does not bring", warning, true,
       "ImportError: libgomp.so.1: cannot open shared object file; or threads of two runtimes, "
       "beside the one that torch brings",
       "put it into the wheel (auditwheel repair), or compile without -fopenmp; with torch, use "
       "at::parallel_for"},
      {"SB133", "leftovers of the build", note, true,
       "a larger download, and the folders of the builder in it",
       "strip the modules, and compile with -ffile-prefix-map"},
      {"SB134", "a library for another machine", error, false,
       "ImportError: wrong ELF class, or cannot open shared object file",
       "build for the machine that the platform tag says"},
      {"SB135", "libpython is asked for", warning, true,
       "ImportError: libpython3.11.so.1.0: cannot open shared object file",
       "do not link extension modules with libpython"},
      {"SB136", "symbols that the promised torch does not have", error, false,
       "ImportError: undefined symbol: _ZN3c10..., when the module is imported",
       "build against the torch that is promised, or ask for one that its symbols fit"},
      {"SB137", "a module whose import fails", error, false,
       "ImportError, with the words of this finding",
       "look for the library or the symbol that the loader names; build against what is promised"},
      {"SB138", "a module whose import crashes or does not end", error, false,
       "Segmentation fault, or a program that hangs, at import",
       "load the module under gdb: a static initializer, or two copies of one library"},
      {"SB139", "a platform tag that is not true", error, true,
       "ImportError: libssl.so.3: cannot open shared object file, on another Linux; or pip, which "
       "finds no wheel for the machine",
       "bring the libraries (auditwheel repair), or use an honest tag: sagebuild wheel retag "
       "--platform-tag auto"},
      {"SB140", "the archive is not sound", error, false,
       "PyPI and the Hub's users refuse it, or unpack something else than was meant",
       "build it again; a wheel must not be edited or renamed by hand"},
      {"SB141", "METADATA is another wheel's", error, false,
       "pip installs it under another name; uv and PyPI refuse it",
       "build it again; a wheel must not be renamed by hand"},
      {"SB142", "WHEEL and the file name say different tags", error, false,
       "uv installs it again on every run; pip installs it where it does not run",
       "build it again; a wheel must not be renamed by hand"},
      {"SB143", "RECORD is wrong", error, false, "PyPI refuses it; pip uninstalls the wrong files",
       "build it again; a wheel must not be edited by hand"},
      {"SB144", "a library that cannot be read", error, false,
       "ImportError: invalid ELF header, or file too short",
       "build it again; if the file came over a network, fetch it again"},
      {"SB150", "made from a commit with a known fault", error, false,
       "wrong results without any error", "build another commit: the recipe's own is sound"},
      {"SB151", "a function that fails on this GPU", error, false,
       "CUDA error: no kernel image is available, or unspecified launch failure, or the words of "
       "this finding",
       "where code for this GPU is missing (sagebuild inspect WHEEL says it): sagebuild build "
       "--arch native; where it is a package, install it into that Python; else look at the "
       "recipe's arguments, and tell the project"},
      {"SB152", "wrong numbers on this GPU", error, false,
       "noise, black pictures or NaN, without any error",
       "build another commit of the project, or with another CUDA toolkit; if that is wrong too, "
       "tell the project"},
      {"SB153", "torch does not support this GPU", warning, false,
       "UserWarning: ... is not compatible with the current PyTorch installation, and then no "
       "kernel image is available from torch itself",
       "take a torch that knows this GPU: for RTX 50 one for CUDA 12.8 or newer"},
  };
  return all;
}

const FindingKind* finding_kind(std::string_view code) {
  const auto found = std::ranges::find_if(
      finding_kinds(), [&](const FindingKind& kind) { return lower(kind.code) == lower(code); });
  return found == finding_kinds().end() ? nullptr : &*found;
}

Severity severity_of(const FindingKind& kind, Policy policy) {
  if (policy == Policy::local && kind.elsewhere) return Severity::note;
  if (policy == Policy::strict && kind.severity == Severity::warning) return Severity::error;
  return kind.severity;
}

}  // namespace sagebuild
