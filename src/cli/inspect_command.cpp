#include <fmt/format.h>
#include <unistd.h>

#include <memory>

#include "sagebuild/app/gpu_check.hpp"
#include "sagebuild/app/import_check.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/choices.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/cli/github.hpp"
#include "sagebuild/cli/inspect_output.hpp"
#include "sagebuild/cli/job_summary.hpp"
#include "sagebuild/cli/rebuild_command.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/verify/verify.hpp"

namespace sagebuild {
namespace {

using Word = std::shared_ptr<std::string>;

std::string text_of(const nlohmann::ordered_json& document) { return json_lines(document) + "\n"; }

TextStyle style_of_terminal() {
  TextStyle style;
  style.color = wants_color(STDOUT_FILENO);
  if (is_terminal(STDOUT_FILENO)) style.width = terminal_width(STDOUT_FILENO);
  return style;
}

InspectSettings settings_for(const std::string& file) {
  InspectSettings settings;
  settings.file = file;
  settings.jobs = available_cores();
  return settings;
}

// Before anything is read: a page or a list of findings does not replace what it tells of.
void require_other_file(const std::optional<std::string>& written, const std::string& read,
                        std::string_view option) {
  std::error_code ignored;
  if (written && std::filesystem::equivalent(*written, read, ignored))
    throw Error(ErrorKind::usage, fmt::format("{} would replace '{}' itself", option, read), {},
                "name another file");
}

int print_images(const Cli& cli, const Settings& settings, const InspectSettings& chosen) {
  for (const char* other : {"kernels", "extract", "html", "diff"}) {
    const auto value = settings.find(other);
    const bool is_off = other == std::string_view("kernels") && !settings.enabled(other);
    if (!value || is_off) continue;
    throw Error(
        ErrorKind::usage,
        fmt::format("--images reads headers alone, and {} what is behind them", value->origin), {},
        "leave one of them out");
  }
  const WheelFacts facts = read_facts(chosen);
  if (cli.global().json)
    fmt::print("{}", text_of(images_document(facts)));
  else
    fmt::print("{}", without_commands(images_text(facts, style_of_terminal())));
  return 0;
}

int run_inspect(const Cli& cli, const Settings& settings, const std::string& file) {
  InspectSettings chosen = settings_for(file);
  chosen.deep = settings.enabled("deep");
  chosen.kernel_names = settings.enabled("kernels");
  chosen.extract = settings.text("extract");
  const auto page = settings.optional_text("html");
  require_other_file(page, file, "--html");
  if (page && settings.find("diff"))
    throw Error(ErrorKind::usage, "--html is a page of one file, and --diff compares two", {},
                "leave one of them out");
  chosen.images_only = settings.enabled("images");
  if (chosen.images_only) return print_images(cli, settings, chosen);
  const WheelFacts facts = read_facts(chosen);
  if (const auto other = settings.optional_text("diff")) {
    InspectSettings second = settings_for(*other);
    second.deep = chosen.deep;
    const std::string text = difference_text(facts, read_facts(second));
    if (cli.global().json)
      fmt::print("{}", text_of({{"schema", "sagebuild.inspect-diff/1"},
                                {"file", facts.file},
                                {"other", second.file.filename().string()},
                                {"lines", lines_of(text)}}));
    else
      fmt::print("{}", text.empty() ? "nothing differs\n" : without_commands(text));
    return 0;
  }
  const Promise promise = promise_for(facts);
  if (page) write_file(*page, inspect_html(facts, promise));
  if (cli.global().json) {
    fmt::print("{}", text_of(inspect_document(facts, promise)));
    return 0;
  }
  TextStyle style = style_of_terminal();
  style.kernels = chosen.kernel_names;
  fmt::print("{}", without_commands(inspect_text(facts, promise, style)));
  return 0;
}

Policy policy_of(const std::string& word) {
  if (word == "strict") return Policy::strict;
  if (word == "publish") return Policy::publish;
  if (word == "local") return Policy::local;
  throw Error(ErrorKind::usage, fmt::format("'{}' is no policy", word), {},
              "one of strict, publish, local");
}

// Options of a check that is not asked for.
void require_their_checks(const Settings& settings) {
  if (settings.enabled("rebuild")) return;
  const bool gpu = settings.enabled("gpu");
  std::vector<SettingSpec> unused = rebuild_specs();
  std::erase_if(unused, [](const SettingSpec& spec) {
    return spec.name == "offline" || spec.name == "python" || spec.name == "recipe";
  });
  settings.require_unused(unused, "--rebuild", "leave it out, or add --rebuild");
  if (!gpu)
    settings.require_unused({{"recipe", ""}}, "--gpu or --rebuild", "leave it out, or add one");
  if (gpu || settings.enabled("import")) return;
  settings.require_unused({{"python", ""}, {"offline", ""}}, "--import, --gpu or --rebuild",
                          "leave it out, or add one of them");
}

// The reader's, that names functions to call; --rebuild reads it by itself.
std::optional<Recipe> own_recipe(const Settings& settings) {
  const auto recipe = settings.optional_text("recipe");
  if (!recipe || !settings.enabled("gpu")) return std::nullopt;
  const auto folder = data_folder() / "patches";
  return is_recipe_file(*recipe) ? load_recipes(folder, *recipe).all().front()
                                 : load_recipes(folder).named(*recipe);
}

// --gpu and --import, which share one environment: their findings are added.
std::optional<GpuReport> run_in_python(const Settings& settings, const std::string& file,
                                       Policy policy, Verification& verification,
                                       Reporter& report) {
  PythonChoice python = named_python(settings);
  python.offline = settings.enabled("offline");
  std::optional<GpuReport> gpu;
  std::vector<Finding> more;
  bool wants_import = settings.enabled("import");
  if (settings.enabled("gpu")) {
    gpu = check_on_gpu(file, verification.facts, verification.promise, python, report);
    if (gpu) {
      more = gpu_findings(*gpu, policy);
      python = {};
      python.path = gpu->python;
      // Where no function is known, that it can be loaded is all that can be told.
      wants_import |= gpu->functions.empty();
    }
  }
  if (wants_import) {
    const auto found = import_findings(file, verification.facts, verification.promise, policy,
                                       std::move(python), report);
    more.insert(more.end(), found.begin(), found.end());
  }
  verification.findings.insert(verification.findings.end(), more.begin(), more.end());
  sort_findings(verification.findings);
  return gpu;
}

int run_verify(const Cli& cli, const Settings& settings, const std::string& file,
               Reporter& report) {
  const Policy policy = policy_of(settings.text("policy"));
  require_their_checks(settings);
  const auto sarif = settings.optional_text("sarif");
  require_other_file(sarif, file, "--sarif");
  if (settings.enabled("gpu")) require_gpu();
  InspectSettings chosen = settings_for(file);
  chosen.torch = settings.text("torch");
  Verification verification =
      verify_file(chosen, settings.optional_text("arch"), policy, own_recipe(settings));
  std::optional<GpuReport> gpu;
  if (settings.enabled("gpu") || settings.enabled("import"))
    gpu = run_in_python(settings, file, policy, verification, report);
  if (sarif) write_file(*sarif, text_of(sarif_document(verification)));
  for (const Finding& finding : verification.findings) report.finding(finding, file);
  append_job_summary(summary_of_wheel(verification, ""));
  std::optional<RebuildOutcome> rebuilt;
  if (settings.enabled("rebuild"))
    rebuilt = rebuild_wheel(rebuild_settings(settings, file), report);
  if (cli.global().json) {
    auto document = findings_document(verification);
    if (gpu) document["gpu"] = gpu_document(*gpu);
    if (rebuilt) document["rebuild"] = rebuild_document(*rebuilt);
    fmt::print("{}", text_of(document));
  } else {
    if (gpu) fmt::print("{}\n", without_commands(gpu_text(*gpu, style_of_terminal())));
    fmt::print("{}{}", without_commands(findings_text(verification, style_of_terminal())),
               rebuilt ? without_commands(rebuild_text(*rebuilt)) : "");
  }
  const bool is_found = verification.has_errors() || (rebuilt && !rebuilt->is_same());
  return is_found ? static_cast<int>(ErrorKind::findings) : 0;
}

std::vector<SettingSpec> with_rebuild(std::vector<SettingSpec> specs) {
  for (SettingSpec& spec : rebuild_specs()) specs.push_back(std::move(spec));
  return specs;
}

int run_explain(const Cli& cli, const std::string& code) {
  const FindingKind* kind = finding_kind(code);
  if (kind == nullptr && !code.empty()) {
    std::vector<std::string> codes;
    for (const FindingKind& known : finding_kinds()) codes.push_back(known.code);
    throw Error(ErrorKind::usage, fmt::format("no finding is called '{}'", code), {},
                fmt::format("known are {}", join(codes, " ")));
  }
  if (cli.global().json) {
    auto rows = nlohmann::ordered_json::array();
    for (const FindingKind& one : finding_kinds()) {
      if (kind != nullptr && &one != kind) continue;
      rows.push_back({{"code", one.code},
                      {"title", one.title},
                      {"severity", name_of(one.severity)},
                      {"sees", one.sees},
                      {"fix", one.fix}});
    }
    fmt::print("{}", text_of({{"schema", "sagebuild.explain/1"}, {"findings", rows}}));
    return 0;
  }
  if (kind != nullptr) {
    fmt::print("{}", explained(*kind));
    return 0;
  }
  for (const FindingKind& one : finding_kinds())
    fmt::print("{}  {:<7}  {}\n", one.code, name_of(one.severity), one.title);
  return 0;
}

}  // namespace

void add_inspect_commands(Cli& cli) {
  const Word inspected = std::make_shared<std::string>();
  CLI::App& inspect = cli.add(
      "inspect", "what is in a wheel or a library: GPUs, kernels, ABI, needs; no GPU, no torch",
      {{"deep", "look for GPU code in all sections", "", {}, true},
       {"kernels", "name every kernel", "", {}, true},
       {"images", "list the images of GPU code, and unpack none: in no time", "", {}, true},
       {"html", "write it as one page to this file, for a release"},
       {"extract", "write every image of GPU code to this folder"},
       {"diff", "another file: what differs in it, with + and -"}},
      {"sagebuild inspect dist/x.whl", "sagebuild inspect libx.so --kernels",
       "sagebuild inspect old.whl --diff new.whl", "sagebuild --json inspect x.whl"},
      [&cli, inspected](const Settings& settings, Reporter&) {
        return run_inspect(cli, settings, *inspected);
      });
  inspect.add_option("FILE", *inspected, "a wheel, a library, a cubin or a fatbin")->required();

  const Word verified = std::make_shared<std::string>();
  CLI::App& verify = cli.add(
      "verify", "hold a wheel against what it promises; exit code 5 if it does not keep it",
      with_rebuild(
          {{.name = "arch",
            .help = "architectures that it must serve; else what its provenance, its name or its "
                    "description says",
            .flag_only = true},
           {"policy",
            "strict (warnings are errors), publish, or local (what matters elsewhere is a note)",
            "publish"},
           {.name = "torch",
            .help = "a torch wheel, or an environment with torch: the torch that its modules must "
                    "fit",
            .flag_only = true},
           {"import",
            "load each extension module by itself, in an environment with the promised torch",
            "",
            {},
            true},
           {"gpu",
            "call its functions on this machine's GPU and hold them against torch's own",
            "",
            {},
            true},
           {"sarif", "write the findings to this file, for code scanning"}}),
      {"sagebuild verify dist/x.whl", "sagebuild verify x.whl --arch \"8.0 8.9 9.0 12.0+PTX\"",
       "sagebuild verify x.whl --policy strict --sarif x.sarif", "sagebuild verify x.whl --rebuild",
       "sagebuild verify x.whl --gpu"},
      [&cli, verified](const Settings& settings, Reporter& report) {
        return run_verify(cli, settings, *verified, report);
      });
  verify.add_option("WHEEL", *verified, "the wheel")->required();

  const Word code = std::make_shared<std::string>();
  CLI::App& explain =
      cli.add("explain", "what a finding of verify means, and how to mend it", {},
              {"sagebuild explain SB101", "sagebuild explain"},
              [&cli, code](const Settings&, Reporter&) { return run_explain(cli, *code); });
  explain.add_option("CODE", *code, "SB101 and so on; none: all of them");
}

}  // namespace sagebuild
