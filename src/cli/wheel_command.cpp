#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "sagebuild/app/wheel_edit.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/cli/command.hpp"

namespace sagebuild {
namespace {

using Words = std::shared_ptr<std::vector<std::string>>;

std::vector<SettingSpec> with_place(std::vector<SettingSpec> specs) {
  specs.push_back({.name = "output",
                   .help = "folder for the wheels; beside each file if not given",
                   .flag_only = true});
  specs.push_back({"force", "replace a file of the new name", "", {}, true});
  return specs;
}

int run_edit(const Cli& cli, const Settings& settings, const Words& files, WheelChange change,
             Reporter& report) {
  WheelEdit edit;
  edit.files = {files->begin(), files->end()};
  edit.change = std::move(change);
  edit.output = settings.text("output");
  edit.force = settings.enabled("force");
  const auto wheels = edit_wheels(edit, report);
  if (!cli.global().json) {
    for (const EditedWheel& wheel : wheels) fmt::print("{}\n", wheel.to.string());
    return 0;
  }
  auto rows = nlohmann::ordered_json::array();
  for (const EditedWheel& wheel : wheels)
    rows.push_back({{"from", wheel.from.string()}, {"wheel", wheel.to.string()}});
  const nlohmann::ordered_json document = {{"schema", "sagebuild.wheel/1"}, {"wheels", rows}};
  fmt::print("{}\n", json_lines(document));
  return 0;
}

int run_retag(const Cli& cli, const Settings& settings, const Words& files, Reporter& report) {
  WheelChange change;
  change.python = settings.optional_text("python-tag");
  change.abi = settings.optional_text("abi-tag");
  change.platform = settings.optional_text("platform-tag");
  change.build = settings.optional_text("build-tag");
  if (!change.python && !change.abi && !change.platform && !change.build)
    throw Error(ErrorKind::usage, "no tag is given", {},
                "one of --python-tag, --abi-tag, --platform-tag, --build-tag");
  return run_edit(cli, settings, files, std::move(change), report);
}

int run_label(const Cli& cli, const Settings& settings, const Words& files, Reporter& report) {
  WheelChange change;
  change.label = settings.optional_text("label");
  if (settings.enabled("no-label")) {
    if (change.label && settings.find("label")->origin == "--label")
      throw Error(ErrorKind::usage, "a label is given, and --no-label", {}, "give one of the two");
    change.label = "";
  }
  if (!change.label)
    throw Error(ErrorKind::usage, "no label is given", {},
                "--label LABEL, or --no-label to take it away");
  return run_edit(cli, settings, files, std::move(change), report);
}

}  // namespace

void add_wheel_commands(Cli& cli) {
  CLI::App& group = cli.add_group("wheel", "give a finished wheel other tags or another label");
  const auto retagged = std::make_shared<std::vector<std::string>>();
  cli.add_below(group, "retag", "the same wheel under other tags, in its name, WHEEL and RECORD",
                with_place({{"python-tag", "Python tag: cp311, or several as py2.py3"},
                            {"abi-tag", "ABI tag: cp311, abi3, none"},
                            {"platform-tag",
                             "platform tag: manylinux_2_34_x86_64; auto: the lowest that is true"},
                            {"build-tag", "build tag, a number: 1, or 2gpu"}}),
                {"sagebuild wheel retag --platform-tag auto x-1.0-cp311-cp311-linux_x86_64.whl",
                 "sagebuild wheel retag --build-tag 2 --output out "
                 "dist/x-1.0-cp311-cp311-linux_x86_64.whl"},
                [&cli, retagged](const Settings& settings, Reporter& report) {
                  return run_retag(cli, settings, retagged, report);
                })
      .add_option("FILE", *retagged, "one or more wheels")
      ->required();
  const auto labelled = std::make_shared<std::vector<std::string>>();
  cli.add_below(group, "label",
                "the same wheel with another local version label, wherever its version stands",
                with_place({{"label", "what stands behind the '+' of the version: cu130torch2.11"},
                            {"no-label", "take the label away", "", {}, true}}),
                {"sagebuild wheel label --label cu130torch2.11 x-1.0-cp311-cp311-linux_x86_64.whl"},
                [&cli, labelled](const Settings& settings, Reporter& report) {
                  return run_label(cli, settings, labelled, report);
                })
      .add_option("FILE", *labelled, "one or more wheels")
      ->required();
}

}  // namespace sagebuild
