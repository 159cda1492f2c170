#pragma once
// The finished wheel: the recorded one with its modules, its label and its RECORD. Same
// inputs, same bytes.

#include <filesystem>
#include <map>
#include <string>

#include "sagebuild/model/platform_tag.hpp"
#include "sagebuild/model/wheel.hpp"
#include "sagebuild/model/wheel_name.hpp"

namespace sagebuild {

struct PackSettings {
  // The wheel that setup.py made, its modules empty
  std::filesystem::path recorded;
  // Path in the wheel -> linked and stripped file
  std::map<std::filesystem::path, std::filesystem::path> modules;
  // The same, by compress_module; may lack some
  std::map<std::filesystem::path, std::filesystem::path> compressed;
  // Folder for the finished wheel
  std::filesystem::path output;
  std::string local_label;  // "cu130torch2.11.gd1a57a5"
  std::string platform;     // "manylinux_2_34_x86_64"
  std::string torch_pin;    // "==2.11.*", in place of what the project asks; empty: that stands
  Provenance provenance;
};

// What of the environment a wheel is bound to.
struct WheelNeeds {
  bool cuda = true;  // it has device code
  // A module wants symbols of torch's C++ libraries, which change with each minor version
  bool torch = true;
};

// Whether a linked module wants such symbols. One of the limited API with kernels alone does not,
// and serves every torch that its project allows. Throws Error{failed} if it is no module.
bool wants_torch(const std::filesystem::path& module);

// "cu130torch2.11.gd1a57a5": what the wheel is bound to, then the commit where there is one (PEP
// 440 local version). "cputorch2.11" for one without device code.
std::string local_version_label(const PythonEnv& python, const Checkout& checkout,
                                const WheelNeeds& needs = {});

// "1.0+LABEL". A label that the project set itself stays in front of ours. But one that names CUDA
// or torch is an answer to the same question, so there is one of the two: its own where that is
// true of this build, else ours.
std::string labelled_version(const std::string& version, const std::string& label);

// The lowest platform tag that is true of every library in the wheel: of `modules`, and of what
// else the recorded wheel holds. Throws Error{failed} if one is damaged.
PlatformTag platform_of(const PackSettings& settings);

// What the finished wheel is called; its platform is that of the settings. Throws Error{failed} if
// the recorded wheel has no wheel's name.
WheelName finished_name(const PackSettings& settings);

// NAME-VERSION+LABEL-PY-ABI-PLATFORM.whl in the folder `output`: where the wheel will be.
std::filesystem::path wheel_path(const PackSettings& settings);

// A zip that holds the file alone. What is in it goes into a wheel as it is, so that a module is
// compressed once.
void compress_module(const std::filesystem::path& file, const std::filesystem::path& zip);

// The folder `output` gets the wheel, whole or not at all. Modules of the plan's `dropped`
// list are left out. Times are SOURCE_DATE_EPOCH or 1980-01-01. Throws Error{failed}.
Wheel pack_wheel(const PackSettings& settings);

// The text of NAME.dist-info/sagebuild.json: a SLSA v1 provenance predicate
// (model/provenance.hpp). Holds no path of this machine, and no time.
std::string provenance_json(const Provenance& provenance);

// "3.11": what of Python's version the wheel depends on.
std::string python_version(const PythonEnv& python);

}  // namespace sagebuild
