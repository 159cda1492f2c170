#include "sagebuild/app/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <set>

#include "sagebuild/app/torch_exports.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/gpu/read.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/file_bytes.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"
#include "sagebuild/sys/worker_pool.hpp"
#include "sagebuild/verify/verify.hpp"
#include "sagebuild/wheel/module_facts.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

std::string extension_of(const GpuImage& image) {
  switch (image.kind) {
    case ImageKind::sass:
      return "cubin";
    case ImageKind::ptx:
      return "ptx";
    case ImageKind::lto:
      return "ltoir";
    case ImageKind::unknown:
      break;
  }
  return "bin";
}

// Not a fault of the file that is looked at, but of this machine: a full disk. No Error, so that
// nobody takes it for one of the file's.
struct MachineFailure {
  std::exception_ptr error;
};

// Runs `act`, and gives back what it throws as what it is.
template <class Act>
auto without_machine_failure(Act act) {
  try {
    return act();
  } catch (const MachineFailure& failure) {
    std::rethrow_exception(failure.error);
  }
}

// Where images go, and which names this run has given: what an earlier one left is replaced.
struct Extraction {
  fs::path folder;
  std::set<std::string> names = {};
};

// One file for each image: MODULE-PLACE-ARCHITECTURE.cubin
void write_image(Extraction& into, const std::string& stem, const GpuContainer& container,
                 const GpuImage& image, std::string_view bytes) {
  if (image.kind == ImageKind::ptx) bytes = bytes.substr(0, bytes.find('\0'));
  std::string name;
  std::size_t again = 0;
  do {
    name = fmt::format("{}-{:x}-{}{}.{}", stem, container.offset, digits(image.arch),
                       again == 0 ? "" : fmt::format("-{}", again), extension_of(image));
    ++again;
  } while (!into.names.insert(name).second);
  write_file(into.folder / name, bytes);
}

ModuleFacts facts_of_file(const fs::path& file, const std::string& path,
                          const InspectSettings& settings, Extraction& extraction) {
  ModuleFacts facts;
  if (is_elf(file)) {
    facts = module_facts(file, path);
  } else {
    facts.path = path;
    facts.size = size_of_file(file);
  }
  GpuReadSettings reading{.deep = settings.deep,
                          .kernel_names = settings.kernel_names,
                          .headers_only = settings.images_only,
                          .jobs = settings.jobs};
  if (!settings.extract.empty()) {
    std::string stem = stem_of(facts);
    std::replace(stem.begin(), stem.end(), '/', '_');
    reading.take = [&extraction, stem](const GpuContainer& container, const GpuImage& image,
                                       std::string_view bytes) {
      try {
        write_image(extraction, stem, container, image, bytes);
      } catch (const Error&) {
        throw MachineFailure{std::current_exception()};
      }
    };
  }
  facts.gpu = read_gpu_code(file, reading);
  return facts;
}

std::string reason_of(const Error& error) {
  return error.causes.empty() ? error.message : error.causes.front();
}

// By its name Python imports it; another x.so may be a linker's script.
bool is_called_module(std::string_view name) {
  return name.ends_with(".abi3.so") ||
         (name.ends_with(".so") && name.find(".cpython-") != std::string_view::npos);
}

// Gets the entries of a wheel in pieces, and reads the libraries among them: one is looked at while
// the next is unpacked.
class Modules {
 public:
  Modules(const WheelReader& wheel, const InspectSettings& settings, WheelFacts& facts)
      : wheel_(wheel), settings_(settings), facts_(facts), extraction_{settings.extract} {}

  void take(std::size_t index, std::string_view piece) {
    if (failure_) return;
    try {
      if (index != current_) begin(index, piece);
      if (file_) file_->write(piece);
    } catch (const Error&) {
      failure_ = std::make_exception_ptr(MachineFailure{std::current_exception()});
    }
  }

  void finish() {
    if (failure_) std::rethrow_exception(failure_);
    end_entry();
    wait();
    // Nothing comes of these.
    for (const WheelEntry& entry : wheel_.entries())
      if (entry.size == 0 && entry.name.ends_with(".so"))
        facts_.unreadable.push_back(entry.name + ": it is empty");
  }

 private:
  void begin(std::size_t index, std::string_view piece) {
    end_entry();
    current_ = index;
    if (!is_gpu_file(piece)) {
      const std::string& name = wheel_.entries()[index].name;
      if (is_called_module(name)) facts_.unreadable.push_back(name + ": it is no ELF file");
      return;
    }
    path_ = folder_.path() / std::to_string(index);
    file_ = std::make_unique<AtomicFile>(path_);
  }

  void end_entry() {
    if (!file_) return;
    file_->commit();
    file_.reset();
    wait();
    running_ = pool_.submit([this, path = path_, name = wheel_.entries()[current_].name] {
      look_at(path, name);
      remove_path(path);
    });
  }

  void look_at(const fs::path& path, const std::string& name) {
    try {
      facts_.modules.push_back(facts_of_file(path, name, settings_, extraction_));
    } catch (const Error& error) {
      facts_.unreadable.push_back(fmt::format("{}: {}", name, reason_of(error)));
    }
  }

  void wait() {
    if (running_.valid()) running_.get();
  }

  const WheelReader& wheel_;
  const InspectSettings& settings_;
  WheelFacts& facts_;
  Extraction extraction_;
  TempDir folder_;
  std::size_t current_ = SIZE_MAX;
  fs::path path_;
  std::unique_ptr<AtomicFile> file_;
  std::exception_ptr failure_;
  std::future<void> running_;
  WorkerPool pool_{1};
};

void read_wheel_facts(const InspectSettings& settings, WheelFacts& facts) {
  const WheelReader wheel(settings.file);
  Modules modules(wheel, settings, facts);
  SaidWheel said = read_wheel(
      wheel, settings.file_name(),
      [&](std::size_t index, std::string_view piece) { modules.take(index, piece); },
      throw_if_interrupted);
  modules.finish();
  facts.name = std::move(said.name);
  facts.metadata = std::move(said.metadata);
  facts.provenance = std::move(said.provenance);
  facts.faults = std::move(said.faults);
  std::ranges::sort(facts.modules, {}, &ModuleFacts::path);
}

bool is_wheel_file(const fs::path& file, std::string_view begin) {
  return file.extension() == ".whl" || begin.starts_with("PK");
}

WheelFacts begin_facts(const InspectSettings& settings, std::string& begin) {
  const std::string path = settings.file.string();
  if (!is_file(settings.file))
    throw Error(ErrorKind::usage,
                path_exists(settings.file) ? fmt::format("'{}' is no file to look into", path)
                                           : fmt::format("there is no file '{}'", path),
                {}, "name a wheel or a shared library");
  const FileBytes file(settings.file);
  begin = file.read(0, static_cast<std::size_t>(std::min<std::uint64_t>(4, file.size())));
  WheelFacts facts;
  facts.file = settings.file_name();
  facts.size = file.size();
  facts.is_wheel = is_wheel_file(settings.file, begin);
  return facts;
}

WheelFacts read_file(const InspectSettings& settings) {
  std::string begin;
  WheelFacts facts = begin_facts(settings, begin);
  if (!settings.extract.empty()) make_folders(settings.extract);
  if (facts.is_wheel) {
    read_wheel_facts(settings, facts);
  } else if (is_gpu_file(begin)) {
    Extraction extraction{settings.extract};
    facts.modules.push_back(facts_of_file(settings.file, facts.file, settings, extraction));
  } else {
    throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", settings.file.string()),
                {"it is no wheel, no shared library, no cubin and no fatbin"},
                "name a file such as x.whl or x.so");
  }
  return facts;
}

}  // namespace

WheelFacts read_facts(const InspectSettings& settings) {
  return without_machine_failure([&] { return read_file(settings); });
}

Promise promise_for(const WheelFacts& facts, const std::optional<std::string>& archs,
                    const std::optional<Recipe>& own) {
  std::vector<Recipe> recipes;
  if (own) recipes.push_back(*own);
  try {
    const Recipes shipped = load_recipes(data_folder() / "patches");
    recipes.insert(recipes.end(), shipped.all().begin(), shipped.all().end());
  } catch (const Error& error) {
    // The program alone, without its data, inspects all the same.
    if (error.kind != ErrorKind::environment) throw;
  }
  Promise promise = promise_of(facts, recipes, archs);
  const bool wants_torch = std::ranges::any_of(facts.modules, [&](const ModuleFacts& module) {
    return !wanted_of_torch(facts, module).empty();
  });
  if (wants_torch) promise.known_torch = known_torch();
  return promise;
}

bool Verification::has_errors() const {
  return std::ranges::find(findings, Severity::error, &Finding::severity) != findings.end();
}

Verification verify_file(const InspectSettings& settings, const std::optional<std::string>& archs,
                         Policy policy, const std::optional<Recipe>& own) {
  Verification verification;
  const auto given_torch = settings.torch.empty() ? nullptr : torch_at(settings.torch);
  std::string begin;
  verification.facts = begin_facts(settings, begin);
  without_machine_failure([&] {
    try {
      verification.facts = read_file(settings);
    } catch (const Error& error) {
      if (!verification.facts.is_wheel || error.kind != ErrorKind::failed) throw;
      verification.facts.faults.archive.push_back(reason_of(error));
    }
  });
  verification.promise = promise_for(verification.facts, archs, own);
  verification.promise.given_torch = given_torch;
  verification.findings = verify_wheel(verification.facts, verification.promise, policy);
  return verification;
}

void require_verified(const fs::path& wheel, const VerifyRules& rules, Reporter& report) {
  InspectSettings settings;
  settings.file = wheel;
  settings.jobs = rules.jobs;
  settings.name = rules.name;
  const Verification verification = verify_file(settings, std::nullopt, rules.policy, rules.recipe);
  std::vector<std::string> causes;
  for (const Finding& finding : verification.findings) {
    std::string text = fmt::format("{} {}: {}", finding.code, finding.subject, finding.message);
    if (finding.severity == Severity::note)
      report.detail(text);
    else if (finding.severity == Severity::warning || rules.unverified)
      report.warning(text);
    else
      causes.push_back(std::move(text));
  }
  if (causes.empty()) return;
  throw Error(ErrorKind::findings,
              fmt::format("'{}' does not keep what it promises", settings.file_name()),
              std::move(causes), rules.hint);
}

}  // namespace sagebuild
