// Which mode a source is compiled in: tried in order, remembered by content.

#include "sagebuild/nvcc/compile.hpp"

#include <nlohmann/json.hpp>

#include "modes.hpp"
#include "proved.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/nvcc/keys.hpp"
#include "sagebuild/nvcc/parts.hpp"
#include "sagebuild/sys/paths.hpp"
#include "source_compile.hpp"
#include "source_job.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using nvcc::FilesRead;
using nvcc::Job;
using nvcc::JobPtr;
using nvcc::kPlain;
using nvcc::kTorchsOwn;
using nvcc::Parts;
using nvcc::proof_text;
using nvcc::unproved;

// Raised with what `--headers check` compares: what an older proof let pass is proved anew.
constexpr int kProof = 3;

class SourceCompile : public std::enable_shared_from_this<SourceCompile> {
 public:
  SourceCompile(const PlannedSource& source, const std::string& module,
                std::shared_ptr<const CompileSettings> settings)
      : job_(nvcc::job_of(source, module, std::move(settings))) {}

  Step step() {
    Step step = job_->step(Stage::compile);
    auto self = shared_from_this();
    step.key = [self] {
      self->settle_bridge();
      return self->direct("compile");
    };
    step.scope = job_->scope;
    // The cache has both or none: what a wheel says of its objects is part of its bytes.
    step.outputs = {{"object", job_->source.recorded.object}, {"record", record_file()}};
    step.check = [self] { write_file(self->record_file(), json_line(self->record())); };
    step.files_read = [self] { return self->files_read(); };
    step.expand = [self](const StepFailure* failure) { return self->expand(failure); };
    step.finish = [self] { self->finish(); };
    step.expected_seconds = seconds_expected();
    StepGraph graph = {std::move(step)};
    nvcc::require_same_tools(graph, job_->settings);
    return std::move(graph.front());
  }

  CompilePrediction predict() {
    CompilePrediction result;
    settle_bridge();
    const auto key = direct("compile");
    result.cached = key && job_->settings->cache->lookup_by_files(*key, job_->scope).has_value();
    begin();
    result.outcome = {job_->subject, mode_, reason_};
    if (result.cached) return result;
    const JobPtr attempt = new_attempt();
    if (parts_->wanted) result.outcome.parts = parts_predicted();
    parts_->wanted = result.outcome.parts > 1;
    result.steps = steps(attempt);
    if (result.outcome.parts > 1) {
      // What the step for all parts would expand to.
      result.steps.pop_back();
      std::ranges::move(nvcc::part_steps(attempt, mode_, result.outcome.parts),
                        std::back_inserter(result.steps));
    }
    return result;
  }

 private:
  bool has_bridge() const { return job_->settings->bridge && job_->settings->bridge->fits; }

  // Whether there is one may turn out while this source is compiled. What it started with stands in
  // all its keys.
  void settle_bridge() { with_bridge_ = has_bridge(); }

  bool has_stand_ins() const {
    return job_->settings->choice != HeaderChoice::full && !job_->settings->proved.empty();
  }

  // Wall, on one core, before anything is known of it.
  double seconds_expected() const {
    if (!has_stand_ins())
      return job_->is_cuda() ? 40 + 30 * static_cast<double>(job_->source.targets.size()) : 28;
    const double host_side = has_bridge() ? 4 : 40;
    const auto& [cicc, ptxas] = job_->source.costs;
    return job_->is_cuda()
               ? host_side + static_cast<double>(job_->source.targets.size()) * (cicc + ptxas)
               : 7;
  }

  // Where a recipe vouches for it: what a compiler knows of a whole source, as all callers of a
  // function, may be less than what it knows of a part, and no check sees every use of it. Stand-in
  // headers make a part cheap; torch's own cost 30 CPU seconds for each.
  bool wants_parts() const {
    const auto& settings = *job_->settings;
    const CompileMode facade = {HeaderMode::facade, HeaderMode::facade, false};
    if (!job_->is_cuda() || mode_ != facade || !settings.parts ||
        settings.choice == HeaderChoice::check)
      return false;
    return job_->source.parts > 1 && parts_known_ != 1;
  }

  // For `plan`: what it was last time, else by the source as it is written.
  std::size_t parts_predicted() const {
    if (parts_known_ > 0) return static_cast<std::size_t>(parts_known_);
    const std::string text =
        "# 1 \"source\"\n" + read_file_if_exists(job_->source.recorded.source).value_or("");
    const auto found = find_launchers(text, [](std::string_view) { return true; });
    if (!found.refusal.empty()) return 1;
    return std::max<std::size_t>(1, parts_of(found.launchers, job_->source.parts).size());
  }

  // The limit and the rule.
  std::string parts_text() const {
    const bool allowed = job_->settings->parts && job_->source.parts > 1;
    return allowed ? fmt::format("{} by rule {}", job_->source.parts, kPartsRule) : "no";
  }

  // Nothing: what it reads cannot be told from its options, so the texts between its stages decide.
  std::optional<ActionKey> direct(const std::string& kind) const {
    if (!job_->unnamed_files.empty() || has_options_file(job_->argv)) return std::nullopt;
    const auto& settings = *job_->settings;
    ActionKey key = direct_key(job_->subject, kind, settings.toolkit->digest(), job_->argv,
                               job_->id, settings.roots);
    key.add("header choice", std::to_string(static_cast<int>(settings.choice)));
    if (settings.choice == HeaderChoice::check) key.add("proof", std::to_string(kProof));
    key.add("stand-ins", has_stand_ins() ? proof_text(settings.proved) : "no");
    key.add("source", job_->mapped(job_->source.recorded.source));
    key.add("parts", parts_text());
    key.add("bridge", with_bridge_ ? "yes" : "no");  // an object that needs it is of no use without
    const Words options(job_->argv.begin() + 1, job_->argv.end());
    for (const auto& file : named_files(options, job_->source.recorded.cwd))
      key.add(job_->mapped(file), settings.cache->file_digest(file));
    return key;
  }

  std::vector<fs::path> files_read() const {
    std::vector<fs::path> files = {job_->source.recorded.source};
    // The toolkit's digest names what the commands that are known here start, but not what else
    // this source needs.
    std::ranges::copy(job_->programs, std::back_inserter(files));
    for (const auto& depfile : reads_->depfiles)
      std::ranges::move(job_->files_in(depfile), std::back_inserter(files));
    for (const auto& list : reads_->lists)
      std::ranges::move(job_->listed(list), std::back_inserter(files));
    std::ranges::sort(files);
    files.erase(std::unique(files.begin(), files.end()), files.end());
    return files;
  }

  // Nothing fits: the failure of the last mode is that of the source.
  std::optional<StepGraph> expand(const StepFailure* failure) {
    if (failure == nullptr) {
      started_ = ActionCache::Clock::now();
      settle_bridge();
      begin();
      if (!job_->opaque.empty())
        job_->settings->reporter->note(
            fmt::format("{} is compiled by nvcc in one piece: {}", job_->subject, job_->opaque));
    } else {
      const auto next = nvcc::next_mode(job_->source.recorded.language, mode_, failure->stage);
      if (!next) return std::nullopt;
      reason_ = nvcc::first_complaint(*failure);
      job_->settings->reporter->detail(fmt::format("{}: {} do not fit ({}), trying {}",
                                                   job_->subject, describe(mode_), reason_,
                                                   describe(*next)));
      mode_ = *next;
    }
    if (failure == nullptr) make_empty_folder(job_->folder);
    ran_ = true;
    return steps(new_attempt());
  }

  JobPtr new_attempt() {
    const auto attempt = job_->in(job_->folder / std::to_string(++attempts_));
    attempt->reads = reads_ = std::make_shared<FilesRead>();
    attempt->mode_name = describe(mode_);
    parts_ = std::make_shared<Parts>();
    parts_->wanted = wants_parts();
    return attempt;
  }

  StepGraph steps(const JobPtr& attempt) const {
    StepGraph graph = !job_->is_cuda() ? nvcc::cxx_steps(attempt, mode_.host)
                      : mode_.plain    ? nvcc::plain_steps(attempt)
                                       : nvcc::decomposed_steps(attempt, mode_, parts_);
    nvcc::require_same_tools(graph, job_->settings);
    return graph;
  }

  void begin() {
    mode_ = first_mode();
    if (const auto refusal = unproved_source()) {
      mode_ = kTorchsOwn;
      reason_ = *refusal;
    }
    nvcc::take_apart(*job_);
    if (job_->is_cuda() && !job_->opaque.empty()) {
      mode_ = kPlain;
      reason_ = job_->opaque;
      return;
    }
    const auto key = direct("mode");
    if (auto known =
            key ? job_->settings->cache->lookup_by_files(*key, job_->scope) : std::nullopt) {
      mode_ = mode_of(known->facts);
      reason_ = known->facts["reason"];
      parts_known_ = to_integer(known->facts["parts"]).value_or(0);
    }
  }

  CompileMode first_mode() const {
    using enum HeaderMode;
    if (!has_stand_ins()) return kTorchsOwn;
    if (!job_->is_cuda()) return {binding, binding, false};  // it has one pass
    if (!job_->settings->toolkit->kernel_check_off.empty()) return kTorchsOwn;
    return {facade, with_bridge_ ? facade : full, false};
  }

  // What is known before anything ran; the files that it includes are looked at when they are
  // known.
  Refusal unproved_source() const {
    if (!has_stand_ins() || mode_ == kTorchsOwn) return std::nullopt;
    return unproved(job_->settings->proved, job_->argv, {job_->source.recorded.source}, *job_);
  }

  // How the object was made.
  using Record = std::map<std::string, std::string>;

  fs::path record_file() const { return job_->source.recorded.object.native() + ".made"; }

  Record record() const {
    return {{"device", std::string(name_of(mode_.device))},
            {"host", std::string(name_of(mode_.host))},
            {"plain", mode_.plain ? "yes" : "no"},
            {"reason", reason_},
            {"parts", std::to_string(parts_->count)}};
  }

  static CompileMode mode_of(Record& record) {
    return {nvcc::header_mode_named(record["device"]), nvcc::header_mode_named(record["host"]),
            record["plain"] == "yes"};
  }

  void finish() {
    tell();
    if (!ran_) return;
    const auto& settings = *job_->settings;
    ActionResult result;
    result.facts = record();
    if (const auto key = direct("mode"))
      settings.cache->store_by_files(*key, job_->scope, files_read(), started_, {}, result);
    std::error_code ignored;
    if (!settings.keep_temporary) fs::remove_all(job_->folder, ignored);
  }

  void tell() const {
    if (!job_->settings->on_outcome) return;
    auto made = nlohmann::json::parse(read_file(record_file())).get<Record>();
    CompileOutcome outcome{job_->subject, mode_of(made), made["reason"]};
    outcome.parts = static_cast<std::size_t>(to_integer(made["parts"]).value_or(1));
    outcome.whole_reason = parts_->refusal;
    outcome.cached = !ran_;
    job_->settings->on_outcome(outcome);
  }

  std::shared_ptr<Job> job_;  // the facts of the source; attempts are copies
  CompileMode mode_;
  std::string reason_;
  bool ran_ = false;
  bool with_bridge_ = false;
  unsigned attempts_ = 0;
  std::shared_ptr<FilesRead> reads_ = std::make_shared<FilesRead>();  // of the last attempt
  std::shared_ptr<Parts> parts_ = std::make_shared<Parts>();          // likewise
  long long parts_known_ = 0;                                         // of the last build; 0: none
  ActionCache::Clock::time_point started_;
};

std::shared_ptr<SourceCompile> source_compile(const PlannedSource& source,
                                              const std::string& module,
                                              const CompileSettings& settings) {
  // A missing folder in front of the include path would be no error, only slow.
  if (!settings.headers.is_absolute() || !is_there(settings.headers / "facade"))
    throw Error(ErrorKind::environment,
                fmt::format("'{}' does not hold sagebuild's headers", settings.headers.string()),
                {}, "reinstall sagebuild, or point SAGEBUILD_DATA_DIR to its data");
  return std::make_shared<SourceCompile>(source, module, nvcc::with_headers_root(settings));
}

}  // namespace

Step compile_step(const PlannedSource& source, const std::string& module,
                  std::shared_ptr<const CompileSettings> settings) {
  return source_compile(source, module, *settings)->step();
}

CompilePrediction predict_compile(const PlannedSource& source, const std::string& module,
                                  const CompileSettings& settings) {
  return source_compile(source, module, settings)->predict();
}

}  // namespace sagebuild
