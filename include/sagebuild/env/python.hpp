#pragma once
// The Python that a build uses: what is in it, and which one to take.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/env/system.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// What an interpreter says about itself and its packages. torch is not imported (that costs 3 s):
// its version.py is read. `executable` is a path, a name on PATH, or a folder with bin/python.
// Throws Error{environment} if there is no such interpreter, if it is not CPython, or if it does
// not answer. A missing package is a value, not an error.
PythonEnv probe_python(const std::filesystem::path& executable);

// What keeps `python` from building a CUDA extension: headers, torch, CUDA in torch, setuptools,
// wheel. Empty: nothing.
enum class PythonPart { headers, torch, setuptools, wheel };
struct MissingPart {
  PythonPart part;
  std::string what;  // "torch is not installed in '/x/bin/python'"
  std::string fix;   // the command that mends it, on this system
};
std::vector<MissingPart> missing_for_build(const PythonEnv& python,
                                           const System& system = this_system());
// Throws Error{environment} for missing_for_build: all of them in one error.
void require_python_can_build(const PythonEnv& python);

// Empty texts mean "any"; "3.11" fits every 3.11.x.
struct PythonChoice {
  std::optional<std::filesystem::path> path;  // --python PATH
  std::string python;                         // --python 3.12
  std::string torch;
  std::string cuda;
  std::string index_url;  // for torch, if an environment is to be made
  bool offline = false;
  bool create = true;  // may an environment be made: minutes and gigabytes
};

// Where the choice fell, for messages: "--python", "VIRTUAL_ENV", "environment py311-torch2.11.0".
struct FoundPython {
  PythonEnv python;
  std::string origin;
};

// --python, else the active virtual environment, else a kept environment that fits; nothing if
// there is none of them. An active environment that does not fit what is asked for is passed over
// with a note; --python that does not fit is Error{environment}. Does not check that the Python can
// build.
std::optional<FoundPython> existing_python(const PythonChoice& choice, Reporter& report);

// What find_python will give, as far as that is known without fetching anything.
struct ForeseenPython {
  // Of one that is still to be made, only its torch: with no CUDA where that is unknown
  PythonEnv python;
  bool to_be_made = false;
};
// existing_python, else one to be made. Error{environment} says what is missing in a Python that
// cannot build and how to get it, or that an environment has to be made and may not be. Makes and
// fetches nothing.
ForeseenPython predict_python(const PythonChoice& choice, Reporter& report);
// The Python itself: made now if it has to be (minutes and about 5.1 GB; the reporter is told).
// Asks no interpreter twice, which takes a sixth of a second.
PythonEnv find_python(const PythonChoice& choice, Reporter& report,
                      const ForeseenPython& predicted);

}  // namespace sagebuild
