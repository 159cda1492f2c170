#include "sagebuild/link/module.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/sys/elf.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

bool needs_bridge(const LinkObjects& objects) {
  return std::ranges::any_of(objects, [](const auto& object) {
    return std::ranges::any_of(undefined_symbols(object.second), [](const auto& symbol) {
      return symbol.find("16sagebuild_bridge") != std::string::npos;
    });
  });
}

// The ways to one module, from the one that is tried first.
class Ways {
 public:
  Ways(const PlannedModule& module, LinkObjects objects, fs::path output, ModuleMaking making)
      : module_(module),
        objects_(std::move(objects)),
        output_(std::move(output)),
        making_(std::move(making)),
        is_last_(making_.has_full_headers) {}

  std::optional<StepGraph> next(const StepFailure* failure) {
    if (failure == nullptr) return first();
    const auto misfit = misfit_of_objects(*failure);
    // Even of stand-ins whose objects do not find each other, torch's own headers make a module.
    if (is_last_ || !misfit) return std::nullopt;
    is_last_ = true;
    making_.link->reporter->note(
        fmt::format("{} is made again with torch's own headers: {}", module_.name, *misfit));
    return remade(Remake::full_headers);
  }

 private:
  // Compiles do not wait for the bridge, and their objects serve every torch: some may need one
  // that this torch cannot have. They are made again without.
  StepGraph first() const {
    if (making_.bridge.empty() || !needs_bridge(objects_))
      return StepGraph{link(objects_, {}, module_.name)};
    if (making_.bridge_fits()) return StepGraph{link(objects_, making_.bridge, module_.name)};
    return remade(Remake::without_bridge);
  }

  StepGraph remade(Remake remake) const {
    auto [steps, objects] = making_.remake(module_, remake);
    Step last = link(objects, {}, fmt::format("{}-{}", module_.name, name_of(remake)));
    for (StepId id = 0; id < steps.size(); ++id) last.after.push_back(id);
    steps.push_back(std::move(last));
    return std::move(steps);
  }

  Step link(const LinkObjects& objects, const fs::path& bridge, const std::string& folder) const {
    return link_step(module_, objects, bridge, output_, folder, making_.link);
  }

  const PlannedModule& module_;
  LinkObjects objects_;
  fs::path output_;
  ModuleMaking making_;
  bool is_last_;
};

}  // namespace

std::string_view name_of(Remake remake) {
  return remake == Remake::without_bridge ? "without-bridge" : "full";
}

Step module_step(const PlannedModule& module, LinkObjects objects, const fs::path& output,
                 ModuleMaking making) {
  Step step{.stage = Stage::module,
            .subject = module.name,
            .label = fmt::format("module {}", module.name)};
  step.outputs = {{"module", output}};
  step.expand = [ways =
                     std::make_shared<Ways>(module, std::move(objects), output, std::move(making))](
                    const StepFailure* failure) { return ways->next(failure); };
  step.expected_seconds = 0;
  return step;
}

Digest link_tools(const std::map<std::string, Digest>& tools) {
  Sha256 sum;
  for (const char* tool : {"host", "strip"}) {
    const auto found = tools.find(tool);
    sum.field(tool).field(found == tools.end() ? "" : found->second.hex());
  }
  return sum.finish();
}

}  // namespace sagebuild
