// Random edits of the fixtures: the result is right, or the file is refused; never half patched,
// never broken Python.

#include <functional>
#include <random>

#include "patch/shapes.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

using Lines = std::vector<std::string>;

const std::string kList = "8.0 8.6 8.9 9.0 12.0+PTX";
const std::string kRight =
    "_fused: sm_80 sm_89 sm_90 sm_120 compute_120 | _qattn_sm80: sm_80 sm_90 sm_120 compute_120 | "
    "_qattn_sm89: sm_89 sm_90 sm_120 compute_120 | _qattn_sm90: sm_90a";

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  std::size_t pick(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
  }

  // Edits after which the file still means the same.
  void reword(Lines& lines) {
    const std::size_t at = pick(lines.size() - kHead) + kHead;
    std::string& line = lines[at];
    switch (pick(6)) {
      case 0:
        lines.insert(lines.begin() + offset(at), "");
        break;
      case 1:
        lines.insert(lines.begin() + offset(at),
                     indent_of(line) + "# NVCC_FLAGS = compute_capabilities.add(HAS_SM90");
        break;
      case 2:
        if (!line.empty()) line += "  # CUDAExtension(";
        break;
      case 3:
        if (line.find('\'') == std::string::npos) line = replaced(line, "\"", "'");
        break;
      case 4:
        rename(lines);
        break;
      default:
        swap_flags(lines);
        break;
    }
  }

  // Edits after which it may mean anything.
  void damage(Lines& lines) {
    const std::size_t at = pick(lines.size() - kHead) + kHead;
    switch (pick(4)) {
      case 0:
        lines.erase(lines.begin() + offset(at));
        break;
      case 1:
        lines.insert(lines.begin() + offset(at), lines[at]);
        break;
      case 2:
        std::swap(lines[at], lines[pick(lines.size() - kHead) + kHead]);
        break;
      default:
        lines[at] = replaced(lines[at], "_", "__");
        break;
    }
  }

 private:
  static constexpr std::size_t kHead = 2;  // the docstring
  static std::ptrdiff_t offset(std::size_t at) { return static_cast<std::ptrdiff_t>(at); }
  static std::string indent_of(const std::string& line) {
    return line.substr(0, std::min(line.find_first_not_of(' '), line.size()));
  }

  void rename(Lines& lines) {
    static const std::vector<std::pair<std::string, std::string>> names = {
        {"compute_capabilities", "targets"}, {"capability", "arch"},
        {"qattn_extension", "module"},       {"nvcc_cuda_version", "toolkit"},
        {"NVCC_FLAGS", "CU_FLAGS"},          {"device_count = ", "gpus = "}};
    const auto& [from, to] = names[pick(names.size())];
    if (from == "device_count = ") return;  // also a function of torch
    for (std::string& line : lines) line = replaced(line, from, to);
  }

  // Two neighbouring HAS_SM lines change places.
  void swap_flags(Lines& lines) {
    for (std::size_t at = kHead; at + 1 < lines.size(); ++at) {
      const auto is_flag = [](const std::string& line) {
        return trimmed(line).starts_with("HAS_SM") && line.find(" = False") != std::string::npos;
      };
      if (is_flag(lines[at]) && is_flag(lines[at + 1]) && pick(2) == 0)
        return std::swap(lines[at], lines[at + 1]);
    }
  }

  std::mt19937 random_;
};

Lines lines_in(const std::string& text) {
  Lines lines;
  for (const std::string_view line : lines_of(text)) lines.emplace_back(line);
  return lines;
}

// One Python process for many texts: the number of those that do not compile.
std::vector<bool> valid_python(const std::vector<std::string>& texts) {
  std::string input;
  for (const std::string& text : texts) input += text + '\0';
  Command command;
  command.argv = {"python3",
                  "-I",
                  "-S",
                  "-W",
                  "ignore",
                  "-c",
                  "import sys\nfor t in sys.stdin.read().split('\\0')[:-1]:\n try:\n  compile(t, "
                  "'x', 'exec'); print(1)\n"
                  " except (SyntaxError, ValueError):\n  print(0)\n"};
  command.input = input;
  const ProcessResult result = run_checked(command, "cannot check syntax");
  std::vector<bool> valid;
  for (const std::string_view line : lines_of(result.output)) valid.push_back(line == "1");
  return valid;
}

}  // namespace

TEST_CASE("reworded files are patched right or refused") {
  const RuleSet rules = shipped_rules("sageattention");
  Mutator mutator(4);
  std::size_t patched = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 80; ++round) {
    const std::string shape = kSageShapes[1 + mutator.pick(kSageShapes.size() - 1)];
    Lines lines = lines_in(shape_text(shape));
    for (std::size_t edits = mutator.pick(6) + 1; edits > 0; --edits) mutator.reword(lines);
    const std::string text = join(lines, "\n") + "\n";
    const PatchOutcome outcome = patch_text(rules, "setup.py", text);
    INFO(shape << " round " << round << "\n" << text);
    if (!outcome.failures.empty()) {
      CHECK(outcome.after == text);
      ++refused;
      continue;
    }
    ++patched;
    const std::string row = built_for(outcome.after, {kList}).at(0);
    INFO(outcome.after);
    CHECK(row == kRight);
  }
  INFO(patched << " patched, " << refused << " refused");
  CHECK(patched > 25);  // blank lines, comments and quotes alone are no reason to refuse
  CHECK(refused > 0);
}

TEST_CASE("damaged files stay valid Python if they were, and are never patched by half") {
  const RuleSet rules = shipped_rules("sageattention");
  Mutator mutator(120);
  std::vector<std::string> before;
  std::vector<std::string> after;
  for (int round = 0; round < 250; ++round) {
    Lines lines = lines_in(shape_text(kSageShapes[mutator.pick(kSageShapes.size())]));
    for (std::size_t edits = mutator.pick(3) + 1; edits > 0; --edits) mutator.damage(lines);
    const std::string text = join(lines, "\n") + "\n";
    const PatchOutcome outcome = patch_text(rules, "setup.py", text);
    CHECK((outcome.failures.empty() || outcome.after == text));
    if (!outcome.failures.empty() || !outcome.changed()) continue;
    before.push_back(text);
    after.push_back(outcome.after);
    // Half patched would be one of these without the others.
    const bool table = outcome.after.find("MODULE_ARCHS = {") != std::string::npos;
    const bool flags = outcome.after.find("GENCODES = {") != std::string::npos;
    const bool used = outcome.after.find("NVCC_FLAGS + GENCODES[") != std::string::npos;
    CHECK((table && flags && used));
  }
  const std::vector<bool> was_valid = valid_python(before);
  const std::vector<bool> is_valid = valid_python(after);
  REQUIRE(was_valid.size() == before.size());
  std::size_t checked = 0;
  for (std::size_t index = 0; index < before.size(); ++index) {
    if (!was_valid[index]) continue;
    ++checked;
    INFO(before[index] << "\n----\n" << after[index]);
    CHECK(is_valid[index]);
  }
  CHECK(checked > 10);
}

}  // namespace sagebuild
