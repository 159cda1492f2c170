#include "sagebuild/hub/publish.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <thread>

#include "hub/commit_faults.hpp"
#include "hub/commit_sender.hpp"
#include "hub/comparer.hpp"
#include "hub/own_pull.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

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
        sender_(api, request, report),
        random_(std::random_device{}()),
        target_{main_or(request), 0} {}

  PublishOutcome run() {
    try {
      return make();
    } catch (const Interrupted&) {
      if (sender_.has_sent())
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
    items_ = hashed_items(api_, request_, report_);
    if (!exists) return outcome(PublishOutcome::Result::dry_run, {}, {items_, {}});
    while (true) {
      const View view = look_again();
      Changes changes = compare_again(view);
      if (changes.empty()) return finished(view);
      if (request_.dry_run) return outcome(PublishOutcome::Result::dry_run, {}, changes);
      if (is_over(view)) throw not_made(shown(api_.repo()), target_.revision, view.commit, last_);
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

  // After a commit went out, whatever was answered: only the repository itself tells what became of
  // it.
  View look_again() {
    try {
      return look();
    } catch (Error& error) {
      if (sender_.has_sent()) make_unknown(error, shown(api_.repo()), last_);
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
      if (sender_.has_sent() && (last_.result == Result::made || last_.result == Result::unclear))
        make_unknown(error, shown(api_.repo()), last_);
      throw;
    }
  }

  View look() {
    if (request_.open_pull && target_.pull == 0) {
      if (const auto number = find_own_pull(api_, request_, items_)) use_pull(*number);
    }
    const RepoId asked = api_.repo();
    auto head = api_.head(target_.revision);
    if (!head && target_.revision != "main") {
      head = api_.head("main");
      if (head) require_private(api_, request_);
      if (head && !request_.dry_run) {
        report_.note(fmt::format("making the branch '{}' from main", target_.revision));
        api_.create_branch(target_.revision);
        head = api_.head(target_.revision);
      }
    }
    if (!head)
      throw Error(ErrorKind::failed,
                  fmt::format("'{}' has no branch '{}'", shown(api_.repo()), target_.revision));
    require_private(api_, request_);
    if (asked.name != api_.repo().name) {
      report_.warning(fmt::format("'{}' is called '{}' now", shown(asked), shown(api_.repo())));
    }
    return {*head, api_.tree(*head)};
  }

  CommitAnswer try_to_commit(const View& view, const Changes& changes) {
    try {
      return sender_.send(view, changes, items_, target_);
    } catch (Error& error) {
      if (sender_.has_sent()) {
        error.causes.push_back(fmt::format(
            "an earlier commit was answered with: {}; it is not there so far", said(last_)));
      }
      throw;
    }
  }

  // From then on the pull request is what a branch is otherwise.
  void use_pull(int number) {
    target_.pull = number;
    target_.revision = fmt::format("refs/pr/{}", number);
  }

  // Nothing is left to do at this head.
  PublishOutcome finished(const View& view) {
    using Result = PublishOutcome::Result;
    if (sender_.has_sent() && request_.open_pull && target_.pull == 0) {
      throw Error(
          ErrorKind::failed,
          fmt::format("the change is on main of '{}', although a pull request was asked for",
                      shown(api_.repo())),
          {fmt::format("the head is {} now", view.commit),
           fmt::format("the answer to the commit was: {}", said(last_))},
          "look at the repository on the Hub; the commit can be reverted there");
    }
    PublishOutcome done = outcome(Result::unchanged, view.commit, last_changes_);
    if (sender_.has_sent())
      done.result = target_.pull == 0 ? Result::committed : Result::pull_request;
    if (target_.pull != 0) done.pull_url = api_.pull_url(target_.pull);
    return done;
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
    if (target_.pull != 0) {
      done.result = PublishOutcome::Result::pull_request;
      done.pull_url = api_.pull_url(target_.pull);
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
    made.bytes_sent = sender_.bytes_sent();
    made.is_private = api_.is_private();
    return made;
  }

  HubApi& api_;
  const PublishRequest& request_;
  Reporter& report_;
  Comparer comparer_;
  CommitSender sender_;
  std::mt19937 random_;
  CommitTarget target_;
  std::vector<Item> items_;
  // Of the commits that went out.
  int rounds_ = 0;
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
