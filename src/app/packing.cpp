#include "app/packing.hpp"

#include <fmt/format.h>

#include <future>

#include "sagebuild/app/compile.hpp"
#include "sagebuild/base/digest.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/worker_pool.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

std::string plain_linux() { return "linux_" + machine_architecture(); }

// Compressing is most of what is left when little has changed, so it is an action by module.
void compress_cached(const std::string& name, const fs::path& file, const fs::path& zip,
                     ActionCache& cache) {
  ActionKey key("deflate", name);
  key.add("module", sha256_file(file));
  if (const auto hit = cache.lookup(key); hit && cache.materialize(*hit, {{"zip", zip}})) return;
  compress_module(file, zip);
  cache.store(key, {{"zip", zip}}, {});
}

LinkedModules compressed_modules(const LinkedModules& modules, const fs::path& work, unsigned jobs,
                                 ActionCache& cache) {
  make_folders(work);
  LinkedModules compressed;
  std::vector<std::future<void>> running;
  WorkerPool pool(jobs);
  for (const auto& [name, file] : modules) {
    const fs::path zip = work / (name.filename().string() + ".zip");
    compressed[name] = zip;
    running.push_back(pool.submit(
        [&cache, &name, &file, zip] { compress_cached(name.string(), file, zip, cache); }));
  }
  for (auto& one : running) one.get();
  return compressed;
}

}  // namespace

std::string expected_name(const std::vector<PackSettings>& packs, bool plain_platform) {
  std::vector<std::string> names;
  for (const PackSettings& pack : packs) {
    WheelName name = finished_name(pack);
    name.platform = plain_platform ? plain_linux() : "PLATFORM";
    if (names.empty() || names.front() != name.file_name()) names.push_back(name.file_name());
  }
  std::string text = names.front();
  if (names.size() > 1)
    text += fmt::format(", or {} if no module wants torch's C++ symbols", names.back());
  if (!plain_platform)
    text +=
        "; PLATFORM is the lowest manylinux tag that is true of the modules, which is known when "
        "they are linked";
  return text;
}

void set_platform(PackSettings& pack, bool plain_platform, Reporter& report) {
  pack.platform = plain_linux();
  if (plain_platform) return;
  const PlatformTag platform = platform_of(pack);
  if (platform.tag == pack.platform && !pack.modules.empty())
    report.note(
        fmt::format("the wheel is {}, and no manylinux: {}", platform.tag, platform.reason));
  else
    report.detail(fmt::format("the wheel is {}{}{}", platform.tag,
                              platform.reason.empty() ? "" : ": ", platform.reason));
  pack.platform = platform.tag;
}

fs::path packed(PackSettings pack, const fs::path& work, unsigned jobs, ActionCache& cache) {
  pack.output = work / "packed";
  const Wheel wheel{wheel_path(pack)};
  ActionKey key("wheel", pack.provenance.recipe);
  key.add("name", wheel.path.filename().string());
  key.add("recorded", sha256_file(pack.recorded));
  for (const auto& [name, file] : pack.modules) key.add(name.string(), sha256_file(file));
  key.add("torch pin", pack.torch_pin);
  key.add("provenance", provenance_json(pack.provenance));
  key.add("SOURCE_DATE_EPOCH", std::to_string(source_date_epoch()));
  if (const auto hit = cache.lookup(key); hit && cache.materialize(*hit, {{"wheel", wheel.path}}))
    return wheel.path;
  pack.compressed = compressed_modules(pack.modules, work / "compressed", jobs, cache);
  pack_wheel(pack);
  cache.store(key, {{"wheel", wheel.path}}, {});
  return wheel.path;
}

}  // namespace sagebuild
