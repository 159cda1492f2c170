#include "sagebuild/cli/job_summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "sagebuild/base/markdown.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cli/upload_options.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/verify/verdict.hpp"

namespace sagebuild {
namespace {

// In the order of the columns: machine code before PTX, each by architecture.
using Column = std::tuple<ImageKind, Arch, std::string>;

std::map<Column, std::uint64_t> kernels_of(const ModuleFacts& module) {
  std::map<Column, std::uint64_t> kernels;
  for (const GpuContainer& container : module.gpu.containers) {
    if (container.relocatable) continue;
    for (const GpuImage& image : container.images)
      kernels[{image.kind, image.arch, name_of(image)}] += image.kernels;
  }
  return kernels;
}

std::string modules_table(const WheelFacts& facts) {
  std::map<Column, std::uint64_t> columns;
  for (const ModuleFacts& module : facts.modules) columns.merge(kernels_of(module));
  std::string head = "| module | size |", rule = "|---|---:|", rows;
  for (const auto& [column, count] : columns) {
    head += fmt::format(" {} |", markdown_cell(std::get<std::string>(column)));
    rule += "---:|";
  }
  for (const ModuleFacts& module : facts.modules) {
    rows += fmt::format("| {} | {} |", markdown_cell(stem_of(module)), human_size(module.size));
    const auto kernels = kernels_of(module);
    for (const auto& [column, count] : columns) {
      const auto found = kernels.find(column);
      rows += found == kernels.end() ? " |" : fmt::format(" {} |", found->second);
    }
    rows += "\n";
  }
  return rows.empty() ? ""
                      : fmt::format("Kernels of each module:\n\n{}\n{}\n{}\n", head, rule, rows);
}

std::string gpus_table(const Verification& verification) {
  std::string rows;
  for (const GpuVerdict& verdict : verdicts(verification.facts, verification.promise))
    rows += fmt::format("| {} | {} | {} |\n", markdown_cell(described_gpu(verdict.gpu)),
                        verdict.word, markdown_cell(verdict.reason));
  return rows.empty() ? "" : "| GPU | runs | why |\n|---|---|---|\n" + rows + "\n";
}

std::string findings_table(const std::vector<Finding>& findings) {
  if (findings.empty()) return "`sagebuild verify` found nothing wrong.\n\n";
  std::string text = "| finding | where | what is so |\n|---|---|---|\n";
  for (const Finding& finding : findings)
    text += fmt::format("| {} {} | {} | {} |\n", name_of(finding.severity), finding.code,
                        markdown_cell(finding.subject), markdown_cell(finding.message));
  return text + "\n`sagebuild explain CODE` says what each means, and how to mend it.\n\n";
}

}  // namespace

bool wants_job_summary() { return environment_value("GITHUB_STEP_SUMMARY").has_value(); }

void append_job_summary(std::string_view markdown) {
  const auto path = environment_value("GITHUB_STEP_SUMMARY");
  if (!path) return;
  const std::string text = printable(redacted(markdown));
  std::FILE* file = std::fopen(path->c_str(), "a");
  bool done = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file != nullptr) done = std::fclose(file) == 0 && done;
  if (!done)
    std::fputs(fmt::format("cannot write the job's summary to '{}'\n", *path).c_str(), stderr);
}

std::string summary_of_wheel(const Verification& verification, std::string_view install) {
  const WheelFacts& facts = verification.facts;
  std::string text = fmt::format("### {}\n\n{}", markdown_cell(facts.file), human_size(facts.size));
  if (facts.name) text += fmt::format(", {}", markdown_cell(facts.name->python));
  if (verification.promise.torch)
    text += fmt::format(", torch {}", verification.promise.torch->text());
  if (verification.promise.cuda)
    text += fmt::format(", CUDA {}", verification.promise.cuda->text());
  if (!verification.promise.archs.empty())
    text += fmt::format(", for {}", markdown_cell(print(verification.promise.archs)));
  if (!verification.promise.commit.empty())
    text += fmt::format(", of commit {}", markdown_cell(verification.promise.commit));
  text += "\n\n" + modules_table(facts) + gpus_table(verification) +
          findings_table(verification.findings);
  return install.empty() ? text : text + markdown_block(install, "sh") + "\n";
}

std::string summary_of_run(const BuildOutcome& outcome) {
  const ExecOutcome& run = outcome.execution;
  return fmt::format(
      "{} steps, {} from the cache, which saved {} of CPU time; {} of CPU time in {}, at most {} "
      "of "
      "memory\n\n",
      run.steps.size(), std::ranges::count_if(run.steps, &StepRecord::cached),
      human_time(outcome.cache.cpu_seconds_saved), human_time(run.cpu_seconds),
      human_time(run.wall_seconds), human_size(run.peak_memory));
}

std::string summary_of_upload(const UploadOutcome& outcome) {
  const PublishOutcome& published = outcome.published;
  const bool is_dry = published.result == PublishOutcome::Result::dry_run;
  std::string text = fmt::format("### [{}]({}): {}\n\n", markdown_cell(published.repo),
                                 outcome.repo_url, replaced(word_of(published.result), "_", " "));
  if (!outcome.commit_url.empty()) text += fmt::format("[commit]({}) ", outcome.commit_url);
  if (!published.pull_url.empty()) text += fmt::format("[pull request]({}) ", published.pull_url);
  text += fmt::format("sent {} in {}\n\n| wheel | size | sha256 | |\n|---|---:|---|---|\n",
                      human_size(published.bytes_sent), human_time(outcome.seconds));
  std::string install;
  for (const PublishedWheel& wheel : outcome.wheels) {
    text += fmt::format("| {} | {} | {} | {} |\n", markdown_cell(wheel.file.repo_path),
                        human_size(wheel.file.size), wheel.file.sha256.hex(),
                        wheel.file.was_present ? "was there"
                        : is_dry               ? "would be sent"
                                               : "published");
    if (!wheel.pip.empty()) install += wheel.pip + "\n";
  }
  text += "\n";
  if (published.is_private) text += "Private: the lines below need a token in HF_TOKEN.\n\n";
  return install.empty() ? text : text + markdown_block(install, "sh") + "\n";
}

std::string summary_of_error(const Error& error) {
  return fmt::format("### sagebuild ended with exit code {}\n\n{}\n", static_cast<int>(error.kind),
                     markdown_block(error.rendered()));
}

}  // namespace sagebuild
