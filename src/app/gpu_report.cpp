#include "sagebuild/app/gpu_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

using nlohmann::json;

bool keeps(const GpuCase& one, const GpuCheck& check) {
  return one.similarity && one.relative_l1 && *one.similarity >= check.similarity &&
         *one.relative_l1 <= check.relative_l1;
}

// Null where the script says so.
std::optional<double> number_at(const json& line, const char* key) {
  const auto found = line.find(key);
  if (found == line.end() || found->is_null()) return std::nullopt;
  return found->get<double>();
}

GpuCase read_case(const json& said) {
  GpuCase one;
  one.dtype = said.at("dtype");
  one.layout = said.at("layout");
  one.head_dim = said.at("head_dim");
  one.causal = said.at("causal");
  one.heads = said.at("heads").at(0);
  one.key_heads = said.at("heads").at(1);
  one.lengths = said.at("lengths").get<std::vector<std::pair<int, int>>>();
  return one;
}

// As many as the script makes of it.
std::size_t cases_of(const GpuCheck& check) {
  constexpr std::size_t kHeadDims = 2, kMost = 16;
  const std::size_t every = check.dtypes.size() * check.layouts.size() * kHeadDims *
                            (check.causal.empty() ? 1 : 2) * (check.grouped ? 2 : 1);
  return std::min(every, kMost);
}

// The lines of one process, in order. The package that is called could write some as well, so that
// nothing but the whole answer is one.
class Answer {
 public:
  explicit Answer(const GpuCheck& check) { result_.check = check; }

  // `is_cut`: it has no end.
  void take(std::string_view line, bool is_cut) {
    const json said = json::parse(line, nullptr, /*allow_exceptions=*/false);
    try {
      if (said.is_object() && !is_over_ && take(said)) return;
    } catch (const json::exception&) {
    }
    // What the environment of that Python prints before, and where a process was ended.
    if ((is_empty_ || is_cut) && !said.is_object()) return;
    fail("its answer cannot be read");
  }

  CheckedFunction end(std::string_view status) {
    if (!is_over_) fail(fmt::format("it ends Python: {}", status));
    if (const auto asked = cases_of(result_.check);
        result_.failure.empty() && result_.cases.size() != asked)
      fail(fmt::format("{} of {} were answered", result_.cases.size(), counted(asked, "case")));
    return std::move(result_);
  }

 private:
  // False: it is no such line.
  bool take(const json& line) {
    if (line.contains("import")) {
      result_.is_import = true;
      fail(fmt::format("its package cannot be imported: {}", line.at("import").get<std::string>()));
    } else if (line.contains("begin")) {
      begun_ = read_case(line.at("begin"));
    } else if (line.contains("failure")) {
      fail(line.at("failure"));
    } else if (begun_ && line.contains("milliseconds")) {
      result_.milliseconds = number_at(line, "milliseconds");
      result_.sdpa_milliseconds = number_at(line, "sdpa_milliseconds");
      result_.timed = begun_;
      is_over_ = true;
    } else if (begun_ && line.contains("similarity")) {
      begun_->similarity = number_at(line, "similarity");
      begun_->relative_l1 = number_at(line, "relative_l1");
      result_.cases.push_back(*begun_);
      begun_.reset();
    } else {
      return false;
    }
    is_empty_ = false;
    return true;
  }

  void fail(std::string words) {
    is_over_ = true;
    if (!result_.failure.empty()) return;
    result_.failure = std::move(words);
    if (begun_) result_.failure += fmt::format(" (at {})", described(*begun_));
  }

  CheckedFunction result_;
  std::optional<GpuCase> begun_;
  bool is_over_ = false, is_empty_ = true;
};

// As Python writes it.
struct PythonText {
  std::string operator()(const std::string& text) const { return text; }
  std::string operator()(bool value) const { return value ? "True" : "False"; }
  std::string operator()(auto number) const { return fmt::format("{}", number); }
};

std::string words_of_wrong(const CheckedFunction& function, const std::vector<GpuCase>& wrong) {
  const auto broken = std::ranges::find_if(wrong, [](const auto& one) { return !one.similarity; });
  const std::string share =
      fmt::format("in {} of {}", wrong.size(), counted(function.cases.size(), "case"));
  if (broken != wrong.end())
    return fmt::format(
        "NaN or infinity, or too far from torch's, {}; the first with NaN or "
        "infinity: {}",
        share, described(*broken));
  const GpuCase& worst = *std::ranges::min_element(
      wrong, {}, [](const GpuCase& one) { return *one.similarity - *one.relative_l1; });
  return fmt::format(
      "too far from torch's {}; the worst: similarity {:.4f} (at least {}), relative L1 {:.4f} (at "
      "most {}) at {}",
      share, *worst.similarity, function.check.similarity, *worst.relative_l1,
      function.check.relative_l1, described(worst));
}

}  // namespace

std::vector<GpuCase> CheckedFunction::wrong() const {
  std::vector<GpuCase> found;
  std::ranges::copy_if(cases, std::back_inserter(found),
                       [&](const GpuCase& one) { return !keeps(one, check); });
  return found;
}

std::string CheckedFunction::outcome() const {
  if (!left_out.empty()) return "left out";
  if (!failure.empty()) return "fails";
  return wrong().empty() ? "right" : "wrong";
}

std::string package_of(const GpuCheck& check) {
  return check.function.substr(0, check.function.rfind('.'));
}

std::string named(const GpuCheck& check) {
  std::vector<std::string> arguments;
  for (const auto& [name, value] : check.arguments)
    arguments.push_back(name + "=" + std::visit(PythonText{}, value));
  return check.function + (arguments.empty() ? "" : "(" + join(arguments, ", ") + ")");
}

std::string described(const GpuCase& one) {
  std::vector<std::string> lengths;
  for (const auto& [rows, keys] : one.lengths) {
    const std::string length = fmt::format("{} x {}", rows, keys);
    if (lengths.empty() || lengths.back() != length) lengths.push_back(length);
  }
  return fmt::format("{}, {}, {}{}, {}, head_dim {}{}", one.dtype, one.layout,
                     counted(one.heads, "head"),
                     one.key_heads == one.heads ? "" : fmt::format(" over {}", one.key_heads),
                     join(lengths, " and "), one.head_dim, one.causal ? ", causal" : "");
}

std::optional<GpuDevice> read_device(std::string_view output) {
  // A sitecustomize of the user may print first.
  const auto lines = lines_of(output);
  if (lines.empty()) return std::nullopt;
  const json said = json::parse(lines.back(), nullptr, /*allow_exceptions=*/false);
  try {
    if (said.is_object() && said.contains("error"))
      throw Error(ErrorKind::environment, "torch cannot use the GPU of this machine",
                  {said.at("error").get<std::string>()},
                  "a torch that fits the driver, or a newer driver; --python names another torch");
    GpuDevice device{said.at("name"), {}, said.at("torch"), said.at("cuda"), said.at("warnings")};
    // Not every GPU to come is known to parse_arch.
    const auto capability = parse_version(said.at("capability").get<std::string>());
    if (!capability) return std::nullopt;
    device.capability = {capability->major(), capability->minor()};
    return device;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

CheckedFunction read_check(const GpuCheck& check, std::string_view output,
                           std::string_view status) {
  Answer answer(check);
  const auto lines = lines_of(output);
  for (std::size_t i = 0; i < lines.size(); ++i)
    answer.take(lines[i], i + 1 == lines.size() && !output.ends_with('\n'));
  return answer.end(status);
}

std::vector<Finding> gpu_findings(const GpuReport& report, Policy policy) {
  std::vector<Finding> found;
  const auto add = [&](const char* code, const std::string& subject, const std::string& message) {
    found.push_back({code, severity_of(*finding_kind(code), policy), subject, message});
  };
  for (const std::string& warning : report.device.warnings)
    add("SB153", report.device.name, warning);
  for (const CheckedFunction& function : report.functions) {
    const std::string subject =
        function.is_import ? package_of(function.check) : named(function.check);
    if (!function.failure.empty()) add("SB151", subject, function.failure);
    if (const auto wrong = function.wrong(); !wrong.empty())
      add("SB152", subject, words_of_wrong(function, wrong));
  }
  const bool none_called =
      std::ranges::all_of(report.functions, [](const auto& one) { return !one.left_out.empty(); });
  if (!report.functions.empty() && none_called)
    add("SB151", report.device.name,
        fmt::format("none of its functions can be called: {}", report.functions.front().left_out));
  return found;
}

}  // namespace sagebuild
