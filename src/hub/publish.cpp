#include "sagebuild/hub/publish.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <thread>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/index.hpp"
#include "sagebuild/hub/objects.hpp"
#include "sagebuild/hub/shelf.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

// How often a commit is tried from a fresh head. Several uploaders at once cost each other one
// round per commit.
constexpr int kMostHeads = 8;
constexpr std::size_t kSample = 512;  // bytes that the Hub looks at to tell text from binary
constexpr std::size_t kPullsLookedAt = 10;

// A file that the commit shall hold: on disk, made here (wheels.json and its kin), or in the
// repository under another name.
struct Item {
  LocalFile file;       // `path` is empty for what is not on disk
  std::string content;  // of what was made here
  bool lfs = false;
  bool is_stored = false;  // in LFS, and the repository has it
};

struct Changes {
  std::vector<Item> files;
  std::vector<std::string> deleted;

  bool empty() const { return files.empty() && deleted.empty(); }
};

struct View {
  std::string commit;
  RemoteTree tree;
};

std::string content_of(const Item& item) {
  return item.file.path.empty() ? item.content : read_file(item.file.path);
}

bool has_same_content(const RemoteFile& remote, const Item& item) {
  if (remote.size != item.file.id.size) return false;
  if (remote.lfs) return *remote.lfs == item.file.id.sha256;
  return remote.blob == git_blob_id(content_of(item));
}

bool holds_all(const RemoteTree& tree, const Changes& changes) {
  return std::ranges::none_of(changes.deleted,
                              [&](const std::string& path) { return tree.contains(path); }) &&
         std::ranges::all_of(changes.files, [&](const Item& item) {
           const auto found = tree.find(item.file.repo_path);
           return found != tree.end() && has_same_content(found->second, item);
         });
}

std::string sample_of(const Item& item) {
  if (item.file.path.empty()) return item.content.substr(0, kSample);
  std::string sample(std::min<std::uint64_t>(kSample, item.file.id.size), '\0');
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(item.file.path.c_str(), "rbe"),
                                                       &std::fclose);
  if (!file || std::fread(sample.data(), 1, sample.size(), file.get()) != sample.size())
    require_unchanged(item.file);
  return sample;
}

class Publisher {
 public:
  Publisher(HubApi& api, const PublishRequest& request, Reporter& report)
      : api_(api), request_(request), report_(report), random_(std::random_device{}()) {}

  PublishOutcome run() {
    const bool exists = prepare_repository();
    hash_files();
    if (!exists) return outcome(PublishOutcome::Result::dry_run, {}, {items_, {}});
    CommitAnswer last;
    for (int round = 1; round <= kMostHeads; ++round) {
      const View view = look();
      const Changes changes = compare(view);
      if (changes.empty()) {
        return outcome(
            commit_sent_ ? PublishOutcome::Result::committed : PublishOutcome::Result::unchanged,
            view.commit, {});
      }
      if (request_.dry_run) return outcome(PublishOutcome::Result::dry_run, {}, changes);
      if (request_.open_pull) {
        if (auto found = find_pull(changes)) return *found;
      }
      last = send_and_commit(view, changes);
      if (last.result == CommitAnswer::Result::made) return check(last, changes);
      explain_and_wait(last, round);
    }
    give_up(last);
  }

 private:
  // False only in a dry run, if the repository is still to be made.
  bool prepare_repository() {
    report_.stage(fmt::format("checking access to '{}'", shown(api_.repo())));
    if (api_.may_write()) return true;
    if (!request_.create) throw no_repository(api_.repo());
    report_.note(
        fmt::format("{} '{}'", request_.dry_run ? "would create" : "creating", shown(api_.repo())));
    if (request_.dry_run) return false;
    api_.create(request_.is_private, request_.sdk);
    return true;
  }

  void hash_files() {
    if (request_.files.empty()) return;
    report_.stage("hashing " + counted(request_.files.size(), "file"));
    TransferProgress shown{.what = "hashing", .objects_total = request_.files.size()};
    for (const PublishFile& file : request_.files) shown.total += size_of_file(file.path);
    std::uint64_t before = 0;
    const auto hashed = [&](std::uint64_t bytes) {
      if (api_.http().settings().tick) api_.http().settings().tick();
      shown.done = before + bytes;
      report_.transfer(shown);
    };
    std::set<std::string> paths;
    for (const PublishFile& file : request_.files) {
      require_repo_path(file.repo_path);
      if (!paths.insert(file.repo_path).second) {
        throw Error(ErrorKind::usage,
                    fmt::format("two files would both become '{}'", file.repo_path));
      }
      shown.item = file.path.filename().string();
      items_.push_back({read_local_file(file.path, file.repo_path, hashed), {}});
      before = shown.done;
      ++shown.objects_done;
    }
  }

  View look() {
    const std::string revision = request_.open_pull ? "main" : request_.branch;
    const RepoId asked = api_.repo();
    auto head = api_.head(revision);
    if (!head && revision != "main" && !request_.dry_run) {
      report_.note(fmt::format("making the branch '{}' from main", revision));
      api_.create_branch(revision);
      head = api_.head(revision);
    } else if (!head && revision != "main") {
      head = api_.head("main");
    }
    if (!head)
      throw Error(ErrorKind::failed,
                  fmt::format("'{}' has no branch '{}'", shown(api_.repo()), revision));
    if (asked.name != api_.repo().name) {
      report_.warning(fmt::format("'{}' is called '{}' now", shown(asked), shown(api_.repo())));
    }
    return {*head, api_.tree(*head)};
  }

  // What differs from the head. Throws if another content stands under one of our names.
  Changes compare(const View& view) {
    Changes changes;
    present_.clear();
    for (const Item& item : items_) {
      const auto remote = view.tree.find(item.file.repo_path);
      if (remote == view.tree.end()) {
        changes.files.push_back(item);
      } else if (has_same_content(remote->second, item)) {
        present_.insert(item.file.repo_path);
      } else if (request_.force) {
        report_.warning(
            fmt::format("replacing '{}', which has other content", item.file.repo_path));
        changes.files.push_back(item);
      } else {
        throw Error(
            ErrorKind::failed,
            fmt::format("'{}' is in '{}' already, with other content", item.file.repo_path,
                        shown(api_.repo())),
            {looked_ ? "somebody put it there while this upload ran"
                     : "a wheel's name is its identity: installers would mix the two"},
            "build it under another version label, or replace the published file with --force");
      }
    }
    if (!looked_ && !present_.empty() && present_.size() < items_.size())
      report_.note(
          fmt::format("{} of {} there already", present_.size(), counted(items_.size(), "file")));
    for (const std::string& path : request_.removed) {
      if (require_there(view, path)) changes.deleted.push_back(path);
    }
    for (const auto& [from, to] : request_.moved) add_move(view, from, to, changes);
    looked_ = true;
    if (changes_wheels()) add_index(view, changes);
    return changes;
  }

  bool changes_wheels() const {
    const auto is_wheel = [](const auto& path) { return is_wheel_path(path); };
    return request_.reindex || std::ranges::any_of(request_.removed, is_wheel) ||
           std::ranges::any_of(request_.files, is_wheel, &PublishFile::repo_path) ||
           std::ranges::any_of(request_.moved, [&](const auto& move) {
             return is_wheel(move.first) || is_wheel(move.second);
           });
  }

  // False if it went while this run was at work: by an earlier commit of ours whose answer got
  // lost, or by somebody else's.
  bool require_there(const View& view, const std::string& path) const {
    if (view.tree.contains(path)) return true;
    if (looked_) return false;
    throw Error(ErrorKind::failed,
                fmt::format("there is no '{}' in '{}'", path, shown(api_.repo())), {},
                fmt::format("`sagebuild hub ls --repo {}` lists the wheels", shown(api_.repo())));
  }

  void add_move(const View& view, const std::string& from, const std::string& to,
                Changes& changes) {
    if (!require_there(view, from)) return;
    const RemoteFile& file = view.tree.at(from);
    Item item{{{}, to, {{}, file.size}, {}}, {}, file.lfs.has_value(), file.lfs.has_value()};
    if (!file.lfs) item.content = api_.download(view.commit, from, file);
    item.file.id.sha256 = file.lfs ? *file.lfs : sha256(item.content);
    const auto there = view.tree.find(to);
    if (there != view.tree.end() && !has_same_content(there->second, item) && !request_.force) {
      throw Error(
          ErrorKind::failed,
          fmt::format("'{}' is in '{}' already, with other content", to, shown(api_.repo())), {},
          "remove it first, or replace it with --force");
    }
    changes.files.push_back(std::move(item));
    changes.deleted.push_back(from);
  }

  void add_index(const View& view, Changes& changes) {
    RemoteTree after = view.tree;
    for (const std::string& path : changes.deleted) after.erase(path);
    ShelfWheels known;
    for (const auto* items : {&items_, &changes.files}) {
      for (const Item& item : *items) {
        after[item.file.repo_path] = {};
        known[item.file.repo_path] = item.file.id;
      }
    }
    const PresentFiles present = present_index(api_, view.commit, view.tree);
    const Index index = make_index(
        wheels_of_tree(api_, view.commit, after, known), new_rows(present, known), present,
        {canonical_endpoint(), api_.repo(), request_.open_pull ? "main" : request_.branch},
        request_.index);
    for (const std::string& warning : index.warnings) {
      if (warned_.insert(warning).second) report_.warning(warning);
    }
    for (const auto& [path, content] : index.files) {
      Item item{{{}, path, {sha256(content), content.size()}, {}}, content};
      const auto remote = view.tree.find(path);
      if (remote == view.tree.end() || !has_same_content(remote->second, item))
        changes.files.push_back(std::move(item));
    }
  }

  // What is known of the wheels that come, and of those that get another name.
  WheelRows new_rows(const PresentFiles& present, const ShelfWheels& known) const {
    WheelRows rows;
    for (const PublishFile& file : request_.files) {
      if (is_wheel_path(file.repo_path))
        rows[file.repo_path] = file.facts.is_null() ? row_from_name(file.repo_path) : file.facts;
    }
    const auto old_json = present.find(kWheelsJson);
    if (old_json == present.end() || !old_json->second) return rows;
    for (const auto& [from, to] : request_.moved) {
      const auto wheel = known.find(to);
      if (wheel == known.end() || !is_wheel_path(to)) continue;
      nlohmann::json row = rows_of({{from, wheel->second}}, *old_json->second).at(from);
      const nlohmann::json named = row_from_name(to);
      for (const char* key : {"name", "version", "python", "abi", "platform"}) {
        if (named.contains(key)) row[key] = named[key];
      }
      rows[to] = std::move(row);
    }
    return rows;
  }

  CommitAnswer send_and_commit(const View& view, Changes changes) {
    const std::string revision = request_.open_pull ? "main" : request_.branch;
    std::vector<HubApi::Candidate> candidates;
    // What the repository has already stays as it has it.
    const auto by_mode = std::ranges::stable_partition(
        changes.files, [](const Item& item) { return !item.is_stored; });
    const std::span<Item> coming(changes.files.begin(), by_mode.begin());
    for (const Item& item : coming)
      candidates.push_back({item.file.repo_path, sample_of(item), item.file.id.size});
    const auto modes = api_.upload_modes(revision, candidates, request_.open_pull);
    std::optional<TempDir> made_files;
    std::vector<const LocalFile*> to_send;
    for (std::size_t i = 0; i < coming.size(); ++i) {
      Item& item = coming[i];
      if (modes[i].ignored) {
        throw Error(ErrorKind::failed,
                    fmt::format("the Hub would leave '{}' out", item.file.repo_path),
                    {"a .gitignore in the repository names it"});
      }
      item.lfs = modes[i].lfs;
      if (!item.lfs) continue;
      if (item.file.path.empty()) {  // the repository keeps even JSON in LFS
        if (!made_files) made_files.emplace("sagebuild-upload");
        const auto path = made_files->path() / std::to_string(i);
        write_file(path, item.content);
        item.file = read_local_file(path, item.file.repo_path, nullptr);
      }
      to_send.push_back(&item.file);
    }
    if (!to_send.empty()) {
      report_.stage(
          fmt::format("uploading {} to '{}'", counted(to_send.size(), "file"), shown(api_.repo())));
      bytes_sent_ += send_objects(api_, to_send, request_.open_pull ? "" : revision,
                                  request_.kept_uploads, report_);
    }
    return commit(view, changes);
  }

  CommitAnswer commit(const View& view, const Changes& changes) {
    report_.stage(fmt::format("committing {} to '{}'",
                              counted(changes.files.size() + changes.deleted.size(), "change"),
                              shown(api_.repo())));
    CommitRequest wanted{request_.open_pull ? "main" : request_.branch,
                         view.commit,
                         request_.summary,
                         request_.description,
                         request_.open_pull,
                         {},
                         changes.deleted};
    for (const Item& item : changes.files) {
      CommitFile file{item.file.repo_path, item.file.id.size, {}, {}};
      if (item.lfs)
        file.lfs = item.file.id.sha256;
      else
        file.content = content_of(item);
      wanted.files.push_back(std::move(file));
      if (!item.file.path.empty()) require_unchanged(item.file);
    }
    return api_.commit(wanted);
  }

  // A pull request that already holds these changes: the answer to an earlier one got lost.
  std::optional<PublishOutcome> find_pull(const Changes& changes) {
    std::vector<HubApi::Pull> pulls = api_.open_pulls();
    if (pulls.size() > kPullsLookedAt) pulls.resize(kPullsLookedAt);
    for (const HubApi::Pull& pull : pulls) {
      const auto head = api_.head(fmt::format("refs/pr/{}", pull.number));
      if (!head || !holds_all(api_.tree(*head), changes)) continue;
      PublishOutcome found = outcome(
          commit_sent_ ? PublishOutcome::Result::pull_request : PublishOutcome::Result::unchanged,
          *head, changes);
      found.pull_url = pull.url;
      return found;
    }
    return std::nullopt;
  }

  void explain_and_wait(const CommitAnswer& answer, int round) {
    auto wait = backoff(api_.http().settings().retry, round, random_);
    if (answer.result == CommitAnswer::Result::head_moved) {
      report_.note(fmt::format("'{}' has moved on meanwhile; starting again from its new head",
                               shown(api_.repo())));
    } else if (answer.result == CommitAnswer::Result::objects_gone) {
      report_.note("the Hub has lost an uploaded file; sending it again");
    } else {
      commit_sent_ = true;
      const auto asked = asked_wait(answer.response);
      if (asked && *asked > api_.http().settings().retry.longest_asked) give_up(answer);
      if (asked) wait = std::max<std::chrono::milliseconds>(wait, *asked);
      report_.note(fmt::format(
          "no clear answer to the commit ({}); looking whether it was made in {}",
          reason_of(answer.response), human_time(static_cast<double>(wait.count()) / 1000)));
    }
    const auto end = std::chrono::steady_clock::now() + wait;
    while (std::chrono::steady_clock::now() < end) {
      if (api_.http().settings().tick) api_.http().settings().tick();
      std::this_thread::sleep_for(
          std::min<std::chrono::milliseconds>(wait, std::chrono::milliseconds(50)));
    }
  }

  static std::string reason_of(const Response& response) {
    return response.failure != Failure::none ? response.reason
                                             : fmt::format("status {}", response.status);
  }

  [[noreturn]] void give_up(const CommitAnswer& last) const {
    Request shown_request;
    shown_request.method = "POST";
    shown_request.url = last.response.url;
    Error error =
        hub_error(fmt::format("commit to '{}'", shown(api_.repo())), shown_request, last.response);
    error.kind = ErrorKind::network;
    if (last.result == CommitAnswer::Result::head_moved)
      error.hint = "others commit to it all the time; run the same command again later";
    throw error;
  }

  PublishOutcome check(const CommitAnswer& made, const Changes& changes) {
    report_.stage("reading the published files back");
    RemoteTree tree;
    try {
      tree = api_.tree(made.commit);
    } catch (Error& error) {
      error.message =
          fmt::format("the commit {} was made, but it cannot be read back", made.commit);
      throw;
    }
    if (!holds_all(tree, changes)) {
      throw Error(ErrorKind::failed,
                  fmt::format("the commit {} does not hold the files that were sent", made.commit),
                  {},
                  "look at the repository on the Hub; running the same command again sends what is "
                  "missing");
    }
    PublishOutcome done = outcome(made.pull_url.empty() ? PublishOutcome::Result::committed
                                                        : PublishOutcome::Result::pull_request,
                                  made.commit, changes);
    done.pull_url = made.pull_url;
    return done;
  }

  PublishOutcome outcome(PublishOutcome::Result result, std::string commit,
                         const Changes& changes) const {
    PublishOutcome made;
    made.result = result;
    made.commit = std::move(commit);
    made.repo = shown(api_.repo());
    for (const Item& item : items_) {
      made.files.push_back({item.file.repo_path, item.file.id.sha256, item.file.id.size,
                            present_.contains(item.file.repo_path)});
    }
    for (const Item& item : changes.files) {
      if (std::ranges::find(kIndexFiles, item.file.repo_path) != std::end(kIndexFiles))
        made.index_files.push_back(item.file.repo_path);
    }
    made.removed = changes.deleted;
    made.bytes_sent = bytes_sent_;
    made.is_private = api_.is_private();
    return made;
  }

  HubApi& api_;
  const PublishRequest& request_;
  Reporter& report_;
  std::mt19937 random_;
  std::vector<Item> items_;
  std::set<std::string> present_;  // our files that the head has already
  std::set<std::string> warned_;   // of the index, once
  std::uint64_t bytes_sent_ = 0;
  bool looked_ = false;
  bool commit_sent_ = false;  // a commit went out and its answer did not come back
};

}  // namespace

PublishOutcome publish(HubApi& api, const PublishRequest& request, Reporter& report) {
  return Publisher(api, request, report).run();
}

}  // namespace sagebuild
