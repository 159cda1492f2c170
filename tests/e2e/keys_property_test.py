"""Random changes, one at a time: what an old cache gives must be what an empty one gives.

The project below reads files in every way that a build of an extension can. Each round changes
one of them, at random, and builds twice: with the one cache that saw all rounds before, and with an
empty one. The wheels must be the same, and so must the numbers that the module's functions return,
each of which depends on one input.

  SAGEBUILD_TEST_ROUNDS  changes to try; 4 if not set
  SAGEBUILD_TEST_SEED    the seed that a failure named; another each time if not set
"""

import collections
import os
import pathlib
import random
import re
import shutil
import subprocess
import zipfile

import gpu_images
import support

ROUNDS = int(os.environ.get("SAGEBUILD_TEST_ROUNDS", "4"))
SEED = int(os.environ.get("SAGEBUILD_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
# A time that some files get, as from an archive or `cp -p`: a time stamp is no proof of a change.
OLD = 1_600_000_000

SETUP = """
import glob, os
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension
here = os.path.dirname(os.path.abspath(__file__))
outside = "@OUTSIDE@"
setting = open(outside + "/setting.txt").read().strip()
inside = open(os.path.join(here, "setting.txt")).read().strip()
try:
    local = open(outside + "/local_setting.txt").read().strip()
except FileNotFoundError:
    local = "0"
variable = os.environ.get("PIP_KEYS", "0")
module = CUDAExtension(
    "keys._keys", ["k.cu", "h.cpp", "c.c"] + sorted(glob.glob("more/*.cpp")),
    define_macros=[("SETTING", setting), ("INSIDE", inside), ("LOCAL", local),
                   ("VARIABLE", variable)],
    include_dirs=[here + "/inc", outside + "/late", outside + "/inc"],
    library_dirs=[outside + "/lib1", outside + "/lib2"],
    extra_objects=[outside + "/archive.a"],
    extra_link_args=["@" + outside + "/link.txt",
                     "-Wl,--version-script=" + outside + "/exports.map"],
    extra_compile_args={"cxx": ["-O0", "-w", "@" + outside + "/cxx.txt"],
                        "nvcc": ["-O0", "-w", "--options-file", outside + "/nvcc.txt"]})
# Without torch's, so that a bare Python can load it.
module.libraries = ["cudart", "found", "shared", "script"]
setup(name="keys", version="1.0", packages=["keys"], package_data={"keys": ["*.txt"]},
      ext_modules=[module], cmdclass={"build_ext": BuildExtension})
"""
# What every source asks of its headers; `name` makes the functions' names differ.
COMMON = """
#if __has_include("optional.h")
#include "optional.h"
#else
#define OPTIONAL 0
#endif
#include "forced.h"
#include "shadowed.h"
#include "outer.h"
#include <linked.h>
#define SHOWN extern "C" __attribute__((visibility("default")))
#define ANSWER(name, ...) SHOWN int name() { return __VA_ARGS__; }
"""
KERNEL = COMMON + """
#define TEXT_OF(x) TEXT(x)
#define TEXT(x) #x
#include TEXT_OF(COMPUTED_HEADER)
#ifdef __CUDA_ARCH__
#include "device.h"
#else
#define DEVICE 0
#endif
__global__ void kernel(int* p) { *p = DEVICE + OPTIONAL + FORCED; }
ANSWER(cu_optional, OPTIONAL)
ANSWER(cu_forced, FORCED)
ANSWER(cu_shadowed, SHADOWED)
ANSWER(cu_outer, OUTER)
ANSWER(cu_linked, LINKED)
ANSWER(cu_computed, COMPUTED)
ANSWER(cu_option, OPTION)
ANSWER(cu_setting, SETTING + 10 * LOCAL + 100 * INSIDE + 1000 * VARIABLE)
ANSWER(cu_launch, (kernel<<<1, 1>>>(nullptr), 1))
"""
HOST = COMMON + """
#if __has_include(ASKED)  // a name that is computed
#include ASKED
#else
#define PRESENT 0
#endif
#include "lines.h"
#include "next.h"
extern "C" int archived();
extern "C" int found();
extern "C" int shared();
extern "C" int scripted();
extern "C" int more() __attribute__((weak));
extern "C" const unsigned char blob[], assembled[];
__asm__(".section .rodata\\n.global blob\\nblob: .incbin \\"@OUTSIDE@/blob.bin\\"\\n"
        ".global assembled\\nassembled: .include \\"@OUTSIDE@/assembled.s\\"\\n.text\\n");
ANSWER(cxx_optional, OPTIONAL)
ANSWER(cxx_forced, FORCED)
ANSWER(cxx_shadowed, SHADOWED)
ANSWER(cxx_outer, OUTER)
ANSWER(cxx_linked, LINKED)
ANSWER(cxx_present, PRESENT)
ANSWER(cxx_option, OPTION)
ANSWER(cxx_line, line_of_header())
ANSWER(cxx_next, NEXT)
ANSWER(cxx_setting, SETTING + 10 * LOCAL + 100 * INSIDE + 1000 * VARIABLE)
ANSWER(from_archive, archived())
ANSWER(from_found, found())
ANSWER(from_shared, shared())
ANSWER(from_script, scripted())
ANSWER(from_more, more ? more() : 0)
ANSWER(from_blob, blob[0])
ANSWER(from_assembled, assembled[0])
ANSWER(exported_or_not, 7)
"""
C = """
#ifdef __cplusplus
extern "C"
#endif
#include "c.h"
__attribute__((visibility("default"))) int c_value() { return C_VALUE; }
"""
ASK = """
import ctypes, sys
module = ctypes.CDLL(sys.argv[1], mode=2)  # RTLD_NOW
for name in sys.argv[2:]:
    print(name, getattr(module, name)() if hasattr(module, name) else "not exported")
"""
FUNCTIONS = [*re.findall(r"^ANSWER\((\w+)", KERNEL + HOST, re.MULTILINE), "c_value"]

EXPORTS = "{ global: cu_*; cxx_*; from_*; c_value; %s local: *; };\n"
Link = collections.namedtuple("Link", "target")  # a state of an input: a symbolic link


class Keys(support.EndToEnd):
    def setUp(self):
        super().setUp()
        self.outside, self.project = self.world / "outside", self.world / "project"
        for folder in ("inc", "lib1", "lib2", "decoys"):
            (self.outside / folder).mkdir(parents=True)
        (self.project / "keys").mkdir(parents=True)
        for name, text in (("setup.py", SETUP), ("k.cu", KERNEL), ("h.cpp", HOST), ("c.c", C)):
            (self.project / name).write_text(text.lstrip().replace("@OUTSIDE@", str(self.outside)))
        self.random = random.Random(SEED)
        self.inputs = self.all_inputs()
        # Environment that compilers read; what it names would be found where nothing is.
        decoys = self.outside / "decoys"
        names = ("OPTIONAL", "SHADOWED", "PRESENT", "NEXT", "LINKED", "OUTER")
        for name in names:
            (decoys / f"{name.lower()}.h").write_text(f"#define {name} 99\n")
        (decoys / "libfound.so").write_bytes(self.shared_library("int found() { return 99; }"))
        self.decoy = {name: str(decoys) for name in ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH",
                                                     "CPLUS_INCLUDE_PATH", "COMPILER_PATH")}

    def archive(self, text):
        """The bytes of a static library."""
        made = self.world / "tmp" / "made.a"
        made.unlink(missing_ok=True)
        subprocess.run(["gcc", "-xc", "-", "-fPIC", "-c", "-o", f"{made}.o"], check=True, text=True,
                       input=text)
        subprocess.run(["ar", "rcD", made, f"{made}.o"], check=True)
        return made.read_bytes()

    def shared_library(self, text, *options):
        made = self.world / "tmp" / "made.so"
        subprocess.run(["gcc", "-xc", "-", "-fPIC", "-shared", *options, "-o", made], check=True,
                       text=True, input=text)
        return made.read_bytes()

    def all_inputs(self):
        """Path -> the states it can be in, the first one at the start; None: no such file."""
        def each(make, *values):
            return [None if value is None else make(value) for value in values]

        def define(name, *values):
            return each(lambda value: f"#define {name} {value}\n", *values)

        def archives(name, *values):
            return each(lambda value: self.archive(f"int {name}() {{ return {value}; }}"), *values)

        def versions(*values):  # the name in the library, which the module keeps, tells them apart
            text = "int shared() {{ return {}; }}".format
            name = "-Wl,-soname,libshared.so.{}".format
            return each(lambda value: self.shared_library(text(value), name(value)), *values)

        here, out = self.project, self.outside
        numbers = (1, 2, 3)
        parts = archives("scripted", *numbers)
        for number, library, part in zip(numbers, versions(*numbers), parts):
            (out / "lib2" / f"libshared.so.{number}").write_bytes(library)
            (out / "lib2" / f"part{number}.a").write_bytes(part)
            (out / f"target{number}.h").write_text(f"#define LINKED {number}\n")
            (out / "inc" / f"computed{number}.h").write_text(f"#define COMPUTED {number}\n")
        line = "static int line_of_header() { return __LINE__; }\n"
        nvcc = "-DOPTION={} -DCOMPUTED_HEADER=computed{}.h -include forced.h"
        cxx = "-DOPTION={} -DASKED=<present.h> -include forced.h @" + f"{out}/cxx-more.txt"
        rpath = f"-Wl,-rpath,{out}/lib2"
        more = 'extern "C" int more() {{ return {}; }}\n'
        return {
            here / "k.cu": [KERNEL.lstrip(), KERNEL.lstrip() + "ANSWER(cu_more, 1)\n"],
            here / "inc" / "forced.h": define("FORCED", 1, 2, 3),
            here / "inc" / "optional.h": define("OPTIONAL", None, 1, 2),
            here / "inc" / "device.h": define("DEVICE", 1, 2, 3),
            here / "inc" / "shadowed.h": define("SHADOWED", None, 1, 2),
            here / "inc" / "next.h": ["#include_next <next.h>\n"],
            here / "shadowed.h": define("SHADOWED", None, 3),
            here / "c.h": define("C_VALUE", 1, 2),
            here / "setting.txt": ["1", "2"],
            here / "keys" / "data.txt": ["one", "two", None],
            here / "keys" / "__init__.py": ["", "data = 1\n"],
            here / "more" / "one.cpp": each(more.format, None, 1, 2),
            out / "late" / "outer.h": define("OUTER", None, 5),  # in a folder that appears with it
            out / "late" / "next.h": define("NEXT", None, 4),
            out / "inc" / "next.h": define("NEXT", 1, 2),
            out / "inc" / "outer.h": define("OUTER", 1, 2, 3),
            out / "inc" / "shadowed.h": define("SHADOWED", 4, 5),
            out / "inc" / "present.h": define("PRESENT", None, 1, 2),
            out / "inc" / "linked.h": [Link(out / f"target{number}.h") for number in (1, 2, 3)],
            out / "inc" / "lines.h": [line, "// a comment\n" + line, "\n\n" + line],
            out / "inc" / "computed1.h": define("COMPUTED", 1, 4),
            out / "blob.bin": ["1 one", "2 two", "3 three"],
            out / "assembled.s": each(".byte {}\n".format, 1, 2, 3),
            out / "cxx.txt": each(cxx.format, 1, 2),
            out / "cxx-more.txt": ["", f"-I{out}/late"],
            out / "nvcc.txt": [nvcc.format(1, 1), nvcc.format(2, 1), nvcc.format(1, 2)],
            out / "link.txt": [rpath, f"{rpath} -Wl,--build-id=none -Wl,-z,now"],
            out / "exports.map": [EXPORTS % "", EXPORTS % "exported_or_not;"],
            out / "archive.a": archives("archived", 1, 2, 3),
            out / "lib2" / "libfound.a": archives("found", 1, 2),
            out / "lib1" / "libfound.a": archives("found", None, 3),
            out / "lib2" / "libfound.so": [None, self.shared_library("int found() { return 4; }")],
            out / "lib2" / "libshared.so": versions(1, 2),
            out / "lib1" / "libshared.so": versions(None, 3),
            out / "lib2" / "libscript.so": each(f"INPUT({out}/lib2/part{{}}.a)\n".format, 1, 2),
            out / "lib1" / "libscript.a": archives("scripted", None, 4),
            out / "setting.txt": ["1", "2"],
            out / "local_setting.txt": [None, "1", "2"],
            "PIP_KEYS": ["0", "1"],  # a variable, of the few that setup.py gets to see
        }

    def put(self, name, state):
        """Brings an input into a state, as an editor, a checkout or an archive would."""
        if isinstance(name, str):
            return  # a variable: it goes with the command
        if state is None:
            name.unlink(missing_ok=True)
            return
        name.parent.mkdir(parents=True, exist_ok=True)
        in_place = name.exists() and not name.is_symlink() and self.random.random() < 0.5
        target = name if in_place else name.with_name(name.name + ".new")
        if isinstance(state, Link):
            target = name.with_name(name.name + ".new")
            target.symlink_to(state.target)
        elif isinstance(state, bytes):
            target.write_bytes(state)
        else:
            target.write_text(state)
        if not isinstance(state, Link) and self.random.random() < 0.5:
            os.utime(target, (OLD, OLD))
        if target != name:
            os.replace(target, name)

    def bring_to(self, old, new):
        for name in new:
            if old.get(name) != new[name]:
                self.put(name, self.inputs[name][new[name]])

    def shown(self, name):
        return name if isinstance(name, str) else str(name.relative_to(self.world))

    def changed(self, states, past):
        """The next states, and the kind and the words of the change."""
        if past and self.random.random() < 0.2:
            number = self.random.randrange(len(past))
            return past[number], "revert", f"back to what was before change {number + 1}"
        if self.random.random() < 0.1:
            return states, "compiler's environment", ", ".join(self.decoy)
        name = self.random.choice([name for name, all_states in self.inputs.items()
                                   if len(all_states) > 1])
        count, now = len(self.inputs[name]), states[name]
        state = self.random.choice([state for state in range(count) if state != now])
        if isinstance(name, str):
            kind = "setup.py's environment"
        elif self.inputs[name][now] is None:
            kind = "appears"
        else:
            kind = "vanishes" if self.inputs[name][state] is None else "content"
        return {**states, name: state}, kind, f"{self.shown(name)} {now} -> {state}"

    def built(self, cache, states, **variables):
        """What a build gives: the answers, and all that is in the wheel."""
        shutil.rmtree(self.out)
        variables["PIP_KEYS"] = self.inputs["PIP_KEYS"][states["PIP_KEYS"]]
        outcome = self.build(self.project, "-v", "--explain", SAGEBUILD_CACHE_DIR=str(cache),
                             **variables)
        if outcome.code != 0:
            errors = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
            return {"exit": outcome.code, "error": errors}, outcome
        wheel, = self.out.glob("*.whl")
        tree = self.world / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tree)
        module, = tree.rglob("_keys*.so")
        cuda = os.environ.get("CUDA_HOME", "/usr/local/cuda")
        # The run path to lib2, which link.txt asks for, is left out of the module.
        libraries = f"{support.torch_packages()}/nvidia/cu13/lib:{cuda}/lib64:{self.outside}/lib2"
        done = subprocess.run([support.torch_python(), "-c", ASK, module, *FUNCTIONS],
                              capture_output=True, text=True,
                              env={**self.environment, "LD_LIBRARY_PATH": libraries})
        self.assertEqual(done.returncode, 0, done.stderr)
        files = {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*")
                 if path.is_file()}
        return {"answers": done.stdout.splitlines(), **files}, outcome

    def difference(self, old, new):
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        answers = [f"{a} instead of {b}" for a, b in
                   zip(old.get("answers", []), new.get("answers", [])) if a != b]
        lines = [f"not what an empty cache gives: {', '.join(names)}", *answers]
        for name in names:
            if name.endswith(".so"):
                parts = [self.parts(result.get(name)) for result in (old, new)]
                lines.append(f"{name} differs in " + " ".join(
                    part for part in {**parts[0], **parts[1]}
                    if parts[0].get(part) != parts[1].get(part)))
        return "\n".join(lines)

    def parts(self, module):
        """Name -> bytes of its sections, or nothing if there is no module."""
        return {name: module[offset:offset + length] for name, (_, offset, length)
                in (gpu_images.sections(module) if module else {}).items()}

    def test_an_old_cache_gives_what_an_empty_one_gives(self):
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
        states = {name: 0 for name in self.inputs}
        self.bring_to({}, states)
        old_cache, past, story, fresh = self.world / "old-cache", [], [], {}
        before, outcome = self.built(old_cache, states)
        self.assertNotIn("exit", before, outcome)
        self.assertNotRegex("\n".join(before["answers"]), r"99|(?<!or_not )not exported")
        kinds, effects = collections.Counter(), collections.Counter()
        for number in range(ROUNDS):
            following, kind, words = self.changed(states, past)
            variables = self.decoy if kind == "compiler's environment" else {}
            self.bring_to(states, following)
            past.append(states)
            states = following
            story.append(f"{number + 1}. {kind}: {words}")
            print(story[-1], flush=True)
            with self.subTest(change=story[-1]):
                old, outcome = self.built(old_cache, states, **variables)
                key = tuple(states.values())
                if key not in fresh:
                    empty = self.world / "empty-cache"
                    shutil.rmtree(empty, ignore_errors=True)
                    fresh[key] = self.built(empty, states)
                new, other = fresh[key]
                kinds[kind] += 1
                effects[kind] += new != before
                before = new
                if old != new:
                    self.fail("\n".join([self.difference(old, new), f"seed {SEED}; changes:",
                                         *story, "the old cache:", outcome.stderr,
                                         "the empty cache:", other.stderr]))
        for kind, count in sorted(kinds.items()):
            print(f"{kind}: {count} changes, {effects[kind]} of them changed the wheel")


if __name__ == "__main__":
    support.main()
