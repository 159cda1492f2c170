#include "hub/commit_sender.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "hub/own_pull.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/hub/objects.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

// The Hub itself shows that the head is not what was looked at.
CommitAnswer moved(std::string fault) {
  CommitAnswer answer;
  answer.result = CommitAnswer::Result::head_moved;
  answer.fault = std::move(fault);
  return answer;
}

}  // namespace

CommitAnswer CommitSender::send(const View& view, Changes changes, const std::vector<Item>& items,
                                const CommitTarget& target) {
  const bool open_pull = opens_pull(target);
  std::vector<HubApi::Candidate> candidates;
  // What the repository has already stays as it has it.
  const auto stored = std::ranges::stable_partition(
      changes.files, [](const Item& item) { return !item.is_stored; });
  const std::span<Item> coming(changes.files.begin(), stored.begin());
  for (const Item& item : coming)
    candidates.push_back({item.file.repo_path, sample_of(item), item.file.id.size});
  const auto modes = api_.upload_modes(target.revision, candidates, open_pull);
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
    bytes_sent_ += send_objects(api_, to_send, request_.open_pull ? "" : target.revision,
                                request_.kept_uploads, report_);
  }
  return commit(view, changes, items, target);
}

CommitAnswer CommitSender::commit(const View& view, const Changes& changes,
                                  const std::vector<Item>& items, const CommitTarget& target) {
  report_.stage(fmt::format("committing {} to '{}'",
                            counted(changes.files.size() + changes.removed.size(), "change"),
                            shown(api_.repo())));
  CommitRequest wanted;
  wanted.revision = target.revision;
  wanted.parent = view.commit;
  wanted.summary = request_.summary;
  wanted.description = request_.description;
  wanted.open_pull = opens_pull(target);
  if (request_.open_pull) wanted.description += "\n" + pull_mark(request_, items) + "\n";
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
  has_sent_ = true;
  return api_.commit(wanted);
}

}  // namespace sagebuild
