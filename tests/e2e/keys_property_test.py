"""Random changes, one at a time: what an old cache gives must be what an empty one gives.

The project below reads files in every way that a build of an extension can. Each round changes one of them, at random, and
builds twice: with the one cache that saw all rounds before, and with an empty one. The wheels must be the same, and so must the
numbers that the module's functions return, each of which depends on one input.

  SAGEBUILD_TEST_ROUNDS  changes to try; 4 if not set
  SAGEBUILD_TEST_SEED    the seed that a failure named; another each time if not set
"""

import collections
import os
import pathlib
import random
import shutil
import subprocess
import textwrap
import zipfile

import support

ROUNDS = int(os.environ.get("SAGEBUILD_TEST_ROUNDS", "4"))
SEED = int(os.environ.get("SAGEBUILD_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
OLD = 1_600_000_000  # a time that some files get, as from an archive or `cp -p`: a time stamp is no proof of a change

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
    define_macros=[("SETTING", setting), ("INSIDE", inside), ("LOCAL", local), ("VARIABLE", variable)],
    include_dirs=[here + "/inc", outside + "/late", outside + "/inc"],
    library_dirs=[outside + "/lib1", outside + "/lib2"],
    extra_objects=[outside + "/archive.a"],
    extra_link_args=["@" + outside + "/link.txt", "-Wl,--version-script=" + outside + "/exports.map"],
    extra_compile_args={"cxx": ["-O0", "-w", "@" + outside + "/cxx.txt"],
                        "nvcc": ["-O0", "-w", "--options-file", outside + "/nvcc.txt"]})
module.libraries = ["cudart", "found", "shared", "script"]  # without torch's, so that a bare Python can load it
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
#define ANSWER(name, ...) extern "C" __attribute__((visibility("default"))) int name() { return __VA_ARGS__; }
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
FUNCTIONS = [part.split("ANSWER(")[1].split(",")[0] for part in (KERNEL + HOST).splitlines() if part.startswith("ANSWER(")] + ["c_value"]

EXPORTS = "{ global: cu_*; cxx_*; from_*; c_value; %s local: *; };\n"
Link = collections.namedtuple("Link", "target")  # a state of an input: a symbolic link


class Keys(support.EndToEnd):
    def setUp(self):
        super().setUp()
        self.outside, self.project = self.world / "outside", self.world / "project"
        for folder in ("inc", "lib1", "lib2", "decoys"):
            (self.outside / folder).mkdir(parents=True)
        (self.project / "keys").mkdir(parents=True)
        for name, text in (("setup.py", SETUP), ("k.cu", KERNEL), ("h.cpp", HOST), ("c.c", C), ("keys/__init__.py", "")):
            (self.project / name).write_text(text.lstrip().replace("@OUTSIDE@", str(self.outside)))
        self.random = random.Random(SEED)
        self.inputs = self.all_inputs()
        # Environment that compilers read; what it names would win over a header, and be found where nothing is.
        for name in ("optional.h", "shadowed.h", "present.h", "next.h", "c.h", "linked.h"):
            (self.outside / "decoys" / name).write_text("#define OPTIONAL 99\n#define SHADOWED 99\n#define PRESENT 99\n#define C_VALUE 99\n#define LINKED 99\n")
        (self.outside / "decoys" / "libfound.so").write_bytes(self.library("int found() { return 99; }", "-shared"))
        self.decoy = {name: str(self.outside / "decoys") for name in
                      ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH")}

    def library(self, text, *options):
        """The bytes of a static library, or of a shared one with the options for one."""
        source, made = self.world / "tmp" / "made.c", self.world / "tmp" / "made"
        source.write_text(text)
        made.unlink(missing_ok=True)
        if options:
            subprocess.run(["gcc", "-fPIC", *options, source, "-o", made], check=True)
        else:
            subprocess.run(["gcc", "-fPIC", "-c", source, "-o", f"{made}.o"], check=True)
            subprocess.run(["ar", "rcD", made, f"{made}.o"], check=True)
            os.unlink(f"{made}.o")
        data = made.read_bytes()
        source.unlink()
        made.unlink()
        return data

    def all_inputs(self):
        """Path -> the states it can be in, the first one at the start; None: there is no such file."""
        define = lambda name, *values: [value if value is None else f"#define {name} {value}\n" for value in values]
        archives = lambda name, *values: [value if value is None else self.library(f"int {name}() {{ return {value}; }}") for value in values]
        shared = lambda name, *values: [value if value is None else
                                        self.library(f"int {name}() {{ return {value}; }}", "-shared") for value in values]
        here, out = self.project, self.outside
        soname = lambda number: self.library(f"int shared() {{ return {number}; }}", "-shared", f"-Wl,-soname,libshared.so.{number}")
        for number in (1, 2, 3):
            (out / "lib2" / f"libshared.so.{number}").write_bytes(soname(number))
            (out / "lib2" / f"part{number}.a").write_bytes(self.library(f"int scripted() {{ return {number}; }}"))
            (out / f"link-target{number}.h").write_text(f"#define LINKED {number}\n")
            (out / "inc" / f"computed{number}.h").write_text(f"#define COMPUTED {number}\n")
        script = lambda number: f"INPUT({out}/lib2/part{number}.a)\n"
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
            here / "more" / "one.cpp": [None, 'extern "C" int more() { return 1; }\n', 'extern "C" int more() { return 2; }\n'],
            out / "late" / "outer.h": define("OUTER", None, 5),  # in a folder that is not there at the start
            out / "late" / "next.h": define("NEXT", None, 4),
            out / "inc" / "next.h": define("NEXT", 1, 2),
            out / "inc" / "outer.h": define("OUTER", 1, 2, 3),
            out / "inc" / "shadowed.h": define("SHADOWED", 4, 5),
            out / "inc" / "present.h": define("PRESENT", None, 1, 2),
            out / "inc" / "linked.h": [Link(out / "link-target1.h"), Link(out / "link-target2.h"), Link(out / "link-target3.h")],
            out / "inc" / "lines.h": [lines + "static int line_of_header() { return __LINE__; }\n" for lines in ("", "// a comment\n", "\n\n")],
            out / "blob.bin": ["1 one", "2 two", "3 three"],
            out / "assembled.s": [f".byte {number}\n" for number in (1, 2, 3)],
            out / "cxx.txt": [f"-DOPTION={number} -DASKED=<present.h> -include forced.h @{out}/cxx-more.txt" for number in (1, 2)],
            out / "cxx-more.txt": ["", f"-I{out}/late"],
            out / "nvcc.txt": [f"-DOPTION={option} -DCOMPUTED_HEADER=computed{header}.h -include forced.h"
                               for option, header in ((1, 1), (2, 1), (1, 2))],
            out / "inc" / "computed1.h": define("COMPUTED", 1, 4),
            out / "link.txt": [f"-Wl,-rpath,{out}/lib2", f"-Wl,-rpath,{out}/lib2 -Wl,--build-id=none -Wl,-z,now"],
            out / "exports.map": [EXPORTS % "", EXPORTS % "exported_or_not;"],
            out / "archive.a": archives("archived", 1, 2, 3),
            out / "lib2" / "libfound.a": archives("found", 1, 2),
            out / "lib1" / "libfound.a": archives("found", None, 3),
            out / "lib2" / "libfound.so": shared("found", None, 4),
            out / "lib2" / "libshared.so": [soname(1), soname(2)],
            out / "lib1" / "libshared.so": [None, soname(3)],
            out / "lib2" / "libscript.so": [script(1), script(2)],
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
        name = self.random.choice([name for name, all_states in self.inputs.items() if len(all_states) > 1])
        state = self.random.choice([state for state in range(len(self.inputs[name])) if state != states[name]])
        before, after = self.inputs[name][states[name]], self.inputs[name][state]
        kind = "appears" if before is None else "vanishes" if after is None else "setup.py's environment" if isinstance(name, str) else "content"
        return {**states, name: state}, kind, f"{self.shown(name)} {states[name]} -> {state}"

    def built(self, cache, states, **variables):
        """What a build gives: the answers, and all that is in the wheel."""
        shutil.rmtree(self.out)
        variables["PIP_KEYS"] = self.inputs["PIP_KEYS"][states["PIP_KEYS"]]
        outcome = self.build(self.project, "-v", "--explain", SAGEBUILD_CACHE_DIR=str(cache), **variables)
        if outcome.code != 0:
            errors = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
            return {"exit": outcome.code, "error": errors}, outcome
        wheel, = self.out.glob("*.whl")
        tree = self.world / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tree)
        module, = tree.rglob("_keys*.so")
        libraries = [support.torch_packages() / "nvidia" / "cu13" / "lib", pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "lib64"]
        done = subprocess.run([support.torch_python(), "-c", ASK, module, *FUNCTIONS], capture_output=True, text=True,
                              env={**self.environment, "LD_LIBRARY_PATH": ":".join(map(str, libraries))})
        self.assertEqual(done.returncode, 0, done.stderr)
        result = {"answers": done.stdout.splitlines()}
        result |= {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}
        return result, outcome

    def difference(self, old, new):
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        answers = [f"{a} instead of {b}" for a, b in zip(old.get("answers", []), new.get("answers", [])) if a != b]
        return f"not what an empty cache gives: {', '.join(names)}\n" + "\n".join(answers)

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
                    fresh[key], _ = self.built(empty, states)
                kinds[kind] += 1
                effects[kind] += fresh[key] != before
                before = fresh[key]
                if old != fresh[key]:
                    self.fail(self.difference(old, fresh[key]) + f"\nseed {SEED}; changes:\n" + "\n".join(story) + f"\n{outcome.stderr}")
        print(*(f"{kind}: {count} changes, {effects[kind]} of them changed the wheel" for kind, count in sorted(kinds.items())), sep="\n")


if __name__ == "__main__":
    support.main()
