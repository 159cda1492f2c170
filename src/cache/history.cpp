#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cache/entry.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/cache/cache.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

// One small file per kind and subject, so that processes need not agree: the last one to finish a
// step is right.
class FolderHistory : public CostHistory {
 public:
  explicit FolderHistory(const std::filesystem::path& folder) : folder_(folder / "history") {}

  std::optional<StepCost> get(std::string_view kind, std::string_view subject) const override {
    try {
      const auto text = read_file_if_exists(path_of_step(kind, subject));
      const auto body = text ? unsealed(*text) : std::nullopt;
      if (!body) return std::nullopt;
      const json value = json::parse(*body);
      return StepCost{value.at("cpu_seconds").get<double>(), value.at("wall_seconds").get<double>(),
                      value.at("peak_memory").get<std::uint64_t>()};
    } catch (const json::exception&) {
      return std::nullopt;
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  void put(std::string_view kind, std::string_view subject, const StepCost& cost) override {
    const json body = {{"cpu_seconds", cost.cpu_seconds},
                       {"wall_seconds", cost.wall_seconds},
                       {"peak_memory", cost.peak_memory}};
    try {
      write_file(path_of_step(kind, subject), sealed(body.dump()));
    } catch (const Error&) {
      return;  // the next build takes the default for this step
    }
  }

 private:
  std::filesystem::path path_of_step(std::string_view kind, std::string_view subject) const {
    return folder_ / Sha256().field(kind).field(subject).finish().hex();
  }

  std::filesystem::path folder_;
};

}  // namespace

std::unique_ptr<CostHistory> open_history(const std::filesystem::path& folder) {
  return std::make_unique<FolderHistory>(folder);
}

}  // namespace sagebuild
