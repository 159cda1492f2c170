#include "sagebuild/hub/publish.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>
#include <span>
#include <thread>

#include "hub/comparer.hpp"
#include "hub/own_pull.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/objects.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

// How often a commit is tried while the head stays where it is.
constexpr int kMostTries = 8;
// How often one is tried at all. Several uploaders at once cost each other one round per commit.
constexpr int kMostRounds = 100;

std::string main_or(const PublishRequest& request) {
  return request.open_pull ? "main" : request.branch;
}

void require_private(const HubApi& api, const PublishRequest& request) {
  if (!request.is_private || request.public_ok || api.is_private()) return;
  throw Error(ErrorKind::failed,
              fmt::format("'{}' is there already, and it is public", shown(api.repo())),
              {"--private was asked for, and everybody would see what is uploaded"},
              "make it private in its settings on the Hub, or go on with --public-ok");
}

class Publisher {
 public:
  Publisher(HubApi& api, const PublishRequest& request, Reporter& report)
      : api_(api),
        request_(request),
        report_(report),
        comparer_(api, request, report),
        random_(std::random_device{}()),
        revision_(main_or(request)) {}

  PublishOutcome run() {
    try {
      return make();
    } catch (const Interrupted&) {
      if (is_sent_)
        report_.warning(fmt::format(
            "interrupted after a commit to '{}' was sent: it is not known whether it was made; the "
            "same command again looks first, and makes no second commit",
            shown(api_.repo())));
      throw;
    }
  }

 private:
  PublishOutcome make() {
    const bool exists = prepare_repository();
    hash_files();
    if (!exists) return outcome(PublishOutcome::Result::dry_run, {}, {items_, {}});
    while (true) {
      const View view = look_again();
      Changes changes = compare_again(view);
      if (changes.empty()) return finished(view);
      if (request_.dry_run) return outcome(PublishOutcome::Result::dry_run, {}, changes);
      if (is_over(view)) give_up(view);
      last_ = try_to_commit(view, changes);
      last_changes_ = std::move(changes);
      ++rounds_;
      if (last_.result == CommitAnswer::Result::made) {
        if (const auto done = check()) return *done;
      }
      explain_and_wait();
    }
  }

  // False only in a dry run, if the repository is still to be made.
  bool prepare_repository() {
    report_.stage(fmt::format("checking access to '{}'", shown(api_.repo())));
    if (require_access(api_, request_)) return true;
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
      if (file.checked) require_unchanged({file.path, file.repo_path, {}, *file.checked});
      before = shown.done;
      ++shown.objects_done;
    }
  }

  // After a commit went out, whatever was answered: only the repository itself tells what became of
  // it.
  View look_again() {
    try {
      return look();
    } catch (Error& error) {
      if (is_sent_) say_unknown(error);
      throw;
    }
  }

  // Other content under our names, or content that does not fit what is listed: if the Hub says
  // that the commit was made, or nothing, it may be there all the same.
  Changes compare_again(const View& view) {
    using Result = CommitAnswer::Result;
    try {
      return comparer_.compare(view, items_);
    } catch (Error& error) {
      if (is_sent_ && (last_.result == Result::made || last_.result == Result::unclear))
        say_unknown(error);
      throw;
    }
  }

  void say_unknown(Error& error) const {
    error.causes.insert(error.causes.begin(),
                        {fmt::format("the answer to the commit was: {}", said(last_)),
                         "and a look at the repository does not tell: " + error.message});
    error.kind = ErrorKind::network;
    error.message =
        fmt::format("it is not known whether the commit to '{}' was made", shown(api_.repo()));
    error.hint = "run the same command again: it looks first, and makes no second commit";
  }

  View look() {
    if (request_.open_pull && pull_ == 0) {
      if (const auto number = find_own_pull(api_, request_, items_)) use_pull(*number);
    }
    const RepoId asked = api_.repo();
    auto head = api_.head(revision_);
    if (!head && revision_ != "main") {
      head = api_.head("main");
      if (head) require_private(api_, request_);
      if (head && !request_.dry_run) {
        report_.note(fmt::format("making the branch '{}' from main", revision_));
        api_.create_branch(revision_);
        head = api_.head(revision_);
      }
    }
    if (!head)
      throw Error(ErrorKind::failed,
                  fmt::format("'{}' has no branch '{}'", shown(api_.repo()), revision_));
    require_private(api_, request_);
    if (asked.name != api_.repo().name) {
      report_.warning(fmt::format("'{}' is called '{}' now", shown(asked), shown(api_.repo())));
    }
    return {*head, api_.tree(*head)};
  }

  CommitAnswer try_to_commit(const View& view, const Changes& changes) {
    try {
      return send_and_commit(view, changes);
    } catch (Error& error) {
      if (is_sent_) {
        error.causes.push_back(fmt::format(
            "an earlier commit was answered with: {}; it is not there so far", said(last_)));
      }
      throw;
    }
  }

  CommitAnswer send_and_commit(const View& view, Changes changes) {
    const bool open_pull = request_.open_pull && pull_ == 0;
    std::vector<HubApi::Candidate> candidates;
    // What the repository has already stays as it has it.
    const auto stored = std::ranges::stable_partition(
        changes.files, [](const Item& item) { return !item.is_stored; });
    const std::span<Item> coming(changes.files.begin(), stored.begin());
    for (const Item& item : coming)
      candidates.push_back({item.file.repo_path, sample_of(item), item.file.id.size});
    const auto modes = api_.upload_modes(revision_, candidates, open_pull);
    for (std::size_t i = 0; i < coming.size(); ++i) {
      const std::string& path = coming[i].file.repo_path;
      if (modes[i].present && !view.tree.contains(path))
        return moved(fmt::format("the Hub lists no file '{}', and says that it has one", path));
    }
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
      bytes_sent_ += send_objects(api_, to_send, request_.open_pull ? "" : revision_,
                                  request_.kept_uploads, report_);
    }
    return commit(view, changes);
  }

  CommitAnswer commit(const View& view, const Changes& changes) {
    report_.stage(fmt::format("committing {} to '{}'",
                              counted(changes.files.size() + changes.removed.size(), "change"),
                              shown(api_.repo())));
    CommitRequest wanted;
    wanted.revision = revision_;
    wanted.parent = view.commit;
    wanted.summary = request_.summary;
    wanted.description = request_.description;
    wanted.open_pull = request_.open_pull && pull_ == 0;
    if (request_.open_pull) wanted.description += "\n" + pull_mark(request_, items_) + "\n";
    wanted.removed = changes.removed;
    for (const Item& item : changes.files) {
      CommitFile file{item.file.repo_path, item.file.id.size, {}, {}};
      if (item.lfs)
        file.lfs = item.file.id.sha256;
      else
        file.content = content_of(item);
      wanted.files.push_back(std::move(file));
      if (!item.file.path.empty()) require_unchanged(item.file);
    }
    is_sent_ = true;
    return api_.commit(wanted);
  }

  // From then on the pull request is what a branch is otherwise.
  void use_pull(int number) {
    pull_ = number;
    revision_ = fmt::format("refs/pr/{}", number);
  }

  // Nothing is left to do at this head.
  PublishOutcome finished(const View& view) {
    using Result = PublishOutcome::Result;
    if (is_sent_ && request_.open_pull && pull_ == 0) {
      throw Error(
          ErrorKind::failed,
          fmt::format("the change is on main of '{}', although a pull request was asked for",
                      shown(api_.repo())),
          {fmt::format("the head is {} now", view.commit),
           fmt::format("the answer to the commit was: {}", said(last_))},
          "look at the repository on the Hub; the commit can be reverted there");
    }
    PublishOutcome done = outcome(Result::unchanged, view.commit, last_changes_);
    if (is_sent_) done.result = pull_ == 0 ? Result::committed : Result::pull_request;
    if (pull_ != 0) done.pull_url = api_.pull_url(pull_);
    return done;
  }

  // The Hub itself shows that the head is not what was looked at.
  static CommitAnswer moved(std::string fault) {
    CommitAnswer answer;
    answer.result = CommitAnswer::Result::head_moved;
    answer.fault = std::move(fault);
    return answer;
  }

  // Whether another commit cannot help, now that the last one is known not to be there.
  bool is_over(const View& view) {
    using Result = CommitAnswer::Result;
    if (rounds_ == 0) return false;
    tries_ = view.commit == last_head_ ? tries_ + 1 : 1;
    last_head_ = view.commit;
    // It says that it was made: another one would be a second one
    const bool is_odd =
        !last_.commit.empty() && (last_.result == Result::made || request_.open_pull);
    return last_.result == Result::refused || is_odd || is_wait_too_long_ || tries_ >= kMostTries ||
           rounds_ >= kMostRounds;
  }

  void explain_and_wait() {
    using Result = CommitAnswer::Result;
    auto wait = backoff(api_.http().settings().retry, std::max(tries_, 1), random_);
    if (last_.result == Result::refused) {
      wait = {};  // but for a last look
    } else if (last_.result == Result::head_moved) {
      report_.note(fmt::format("'{}' has moved on meanwhile; starting again from its new head",
                               shown(api_.repo())));
    } else if (last_.result == Result::objects_gone) {
      report_.note("the Hub has lost an uploaded file; sending it again");
    } else {
      const auto asked = asked_wait(last_.response).value_or(std::chrono::seconds(0));
      waited_ += asked;
      is_wait_too_long_ = waited_ > api_.http().settings().retry.longest_asked;
      if (!is_wait_too_long_) wait = std::max<std::chrono::milliseconds>(wait, asked);
      report_.note(
          fmt::format("no clear answer to the commit ({}); looking whether it was made in {}",
                      said(last_), human_time(static_cast<double>(wait.count()) / 1000)));
    }
    const auto end = std::chrono::steady_clock::now() + wait;
    while (std::chrono::steady_clock::now() < end) {
      if (api_.http().settings().tick) api_.http().settings().tick();
      std::this_thread::sleep_for(
          std::min<std::chrono::milliseconds>(wait, std::chrono::milliseconds(50)));
    }
  }

  static std::string said(const CommitAnswer& answer) {
    const Response& response = answer.response;
    if (!answer.fault.empty()) return answer.fault;
    const std::string words = server_message(response);
    return response.failure != Failure::none ? response.reason
           : words.empty()                   ? fmt::format("status {}", response.status)
                                             : fmt::format("status {}, {}", response.status, words);
  }

  // The head was looked at after the last answer: nothing of ours is there.
  [[noreturn]] void give_up(const View& view) const {
    Request shown_request;
    shown_request.method = "POST";
    shown_request.url = last_.response.url;
    Error error = hub_error(fmt::format("commit to '{}'", shown(api_.repo())), shown_request,
                            last_.response, last_.fault);
    if (last_.response.url.empty()) error.causes = {last_.fault};
    if (last_.result != CommitAnswer::Result::refused) error.kind = ErrorKind::network;
    error.causes.push_back(fmt::format("it is not in '{}' of '{}', whose head is {}", revision_,
                                       shown(api_.repo()), view.commit));
    if (!last_.commit.empty()) {
      error.message =
          fmt::format("it is not known whether the commit to '{}' was made", shown(api_.repo()));
      error.causes.back() =
          fmt::format("the Hub names it, and at the head {} lists other files", view.commit);
      error.hint = "look at the repository on the Hub before you run the same command again";
    }
    if (last_.result == CommitAnswer::Result::head_moved && last_.fault.empty())
      error.hint = "others commit to it all the time; run the same command again later";
    throw error;
  }

  // Reads the commit back. Nothing if it does not hold the files, or cannot be read: then the head
  // is what counts.
  std::optional<PublishOutcome> check() {
    report_.stage("reading the published files back");
    if (last_.pull != 0) use_pull(last_.pull);
    try {
      if (!holds_all(api_.tree(last_.commit), last_changes_)) {
        last_.fault = fmt::format("the commit {} that it names lacks the files", last_.commit);
        return std::nullopt;
      }
    } catch (const Error& error) {
      last_.fault = fmt::format("the commit {} that it names cannot be read back: {}", last_.commit,
                                error.message);
      return std::nullopt;
    }
    PublishOutcome done = outcome(PublishOutcome::Result::committed, last_.commit, last_changes_);
    if (pull_ != 0) {
      done.result = PublishOutcome::Result::pull_request;
      done.pull_url = api_.pull_url(pull_);
    }
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
                            comparer_.present().contains(item.file.repo_path)});
    }
    for (const Item& item : changes.files) {
      if (std::ranges::find(kIndexFiles, item.file.repo_path) != std::end(kIndexFiles))
        made.index_files.push_back(item.file.repo_path);
    }
    made.removed = changes.removed;
    made.bytes_sent = bytes_sent_;
    made.is_private = api_.is_private();
    return made;
  }

  HubApi& api_;
  const PublishRequest& request_;
  Reporter& report_;
  Comparer comparer_;
  std::mt19937 random_;
  std::string revision_;  // the branch, or "refs/pr/N"
  int pull_ = 0;          // the number of our pull request
  std::vector<Item> items_;
  std::uint64_t bytes_sent_ = 0;
  // Of the commits that went out.
  int rounds_ = 0;
  bool is_sent_ = false;
  CommitAnswer last_;
  Changes last_changes_;
  std::string last_head_;  // after the last of them
  int tries_ = 0;          // since the head moved
  std::chrono::seconds waited_{0};
  bool is_wait_too_long_ = false;
};

}  // namespace

bool require_access(HubApi& api, const PublishRequest& request) {
  if (!request.open_pull) require_branch_name(request.branch);
  if (request.open_pull ? !api.may_propose() : !api.may_write()) {
    if (!request.create) throw api.missing_repository();
    return false;
  }
  if (request.is_private && !request.public_ok && api.head("main")) require_private(api, request);
  return true;
}

PublishOutcome publish(HubApi& api, const PublishRequest& request, Reporter& report) {
  return Publisher(api, request, report).run();
}

}  // namespace sagebuild
