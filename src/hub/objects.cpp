#include "sagebuild/hub/objects.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <numeric>
#include <set>

#include "hub/shape.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/scope.hpp"

namespace sagebuild {
namespace {

constexpr unsigned kParallel = 4;          // PUTs at a time, as many as fill a usual uplink
constexpr std::size_t kGroup = 64;         // PUTs between two looks at what failed
constexpr int kRoundsWithoutProgress = 3;  // the first, and two with new addresses
constexpr std::size_t kHashPiece = std::size_t{4} << 20;

[[noreturn]] void throw_unreadable(const std::filesystem::path& path, int reason) {
  throw Error(ErrorKind::failed, fmt::format("cannot read '{}'", path.string()),
              {errno_text(reason)});
}

[[noreturn]] void throw_changed(const std::filesystem::path& path, const char* reason) {
  throw Error(ErrorKind::failed,
              fmt::format("'{}' {} while it was uploaded", path.string(), reason), {},
              "nothing was published; run the command again when the file is finished");
}

FileStamp stamp_of(const struct stat& info) {
  return {static_cast<std::uint64_t>(info.st_size),
          info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, info.st_ino};
}

// Timeouts of the storage come as 400 (S3's RequestTimeout); a part without ETag cannot be
// completed.
bool is_transient_at_storage(const Response& response, bool is_part) {
  if (response.ok())
    return is_web_page(response) || (is_part && response.headers.find("ETag").value_or("").empty());
  return response.status == 400 &&
         response.body.find("<Code>RequestTimeout</Code>") != std::string::npos;
}

// Answers after which new addresses or a second sending help: expired or used up ones, and damaged
// content.
bool is_worth_new_addresses(const Response& response) {
  return response.failure == Failure::none &&
         (response.status == 403 || response.status == 400 || response.status == 404);
}

// One object of one round, with the requests that carry it.
struct Sending {
  const LocalFile* file = nullptr;
  const ObjectUpload* upload = nullptr;
  std::size_t first = 0;  // its requests in the group
  std::size_t count = 0;
  std::vector<std::uint64_t> done;  // bytes by request
  bool is_shown = false;            // its end was reported
};

class Round {
 public:
  Round(HubApi& api, Reporter& report) : api_(api), report_(report) {}

  void add(const LocalFile& file, const ObjectUpload& upload) {
    auto sending =
        std::make_unique<Sending>(Sending{&file, &upload, requests_.size(), 0, {}, false});
    const std::uint64_t size = file.id.size;
    const std::uint64_t chunk = upload.chunk == 0 ? std::max<std::uint64_t>(size, 1) : upload.chunk;
    sending->count = upload.chunk == 0 ? 1 : upload.parts.size();
    sending->done.resize(sending->count);
    for (std::size_t i = 0; i < sending->count; ++i) {
      const std::uint64_t offset = i * chunk;
      const std::string& url = upload.chunk == 0 ? upload.href : upload.parts[i];
      requests_.push_back(
          put(url, upload, {file.path, offset, std::min(chunk, size - offset)}, *sending, i));
    }
    sendings_.push_back(std::move(sending));
    if (requests_.size() >= kGroup) flush();
  }

  void flush() {
    const std::vector<Response> responses = api_.http().send_all(requests_, kParallel);
    for (const auto& sending : sendings_)
      finish(*sending, {responses.data() + sending->first, sending->count});
    requests_.clear();
    sendings_.clear();
  }

  const std::vector<const LocalFile*>& again() const { return again_; }
  [[noreturn]] void give_up() const { throw *last_; }

 private:
  Request put(const std::string& url, const ObjectUpload& upload, FileRange range, Sending& sending,
              std::size_t index) {
    Request request;
    request.method = "PUT";
    request.url = url;  // presigned: a token beside the signature is refused, and would leak
    request.headers = upload.headers;
    request.body = std::move(range);
    request.also_transient = [is_part = upload.chunk != 0](const Response& response) {
      return is_transient_at_storage(response, is_part);
    };
    request.progress = [this, &sending, index](std::uint64_t sent, std::uint64_t) {
      sending.done[index] = sent;
      show_progress();
    };
    return request;
  }

  // One file at a time, the first that is not through, although the next may be on their way: so
  // each has its rate.
  void show_progress() {
    for (const auto& sending : sendings_) {
      const auto done =
          std::accumulate(sending->done.begin(), sending->done.end(), std::uint64_t{0});
      if (done == sending->file->id.size && sending->is_shown) continue;
      sending->is_shown = done == sending->file->id.size;
      report_.transfer(
          {"uploading " + sending->file->path.filename().string(), done, sending->file->id.size});
      return;
    }
  }

  void finish(const Sending& sending, std::span<const Response> responses) {
    std::vector<std::string> etags;
    for (std::size_t i = 0; i < responses.size(); ++i) {
      const Response& response = responses[i];
      const std::string etag = response.headers.find("ETag").value_or("");
      if (!response.ok() || is_transient_at_storage(response, sending.upload->chunk != 0)) {
        return send_again(sending, requests_[sending.first + i], response);
      }
      etags.push_back(etag);
    }
    if (sending.upload->chunk != 0) {
      if (const auto refused = api_.complete(*sending.upload, sending.file->id, etags))
        return refuse(sending, *refused);
    }
    if (!sending.upload->verify.empty()) {
      if (const auto refused = api_.verify(*sending.upload, sending.file->id))
        return refuse(sending, *refused);
    }
  }

  void refuse(const Sending& sending, const Response& response) {
    Request shown;
    shown.method = "POST";
    shown.url = response.url;
    send_again(sending, shown, response);
  }

  void send_again(const Sending& sending, const Request& request, const Response& response) {
    require_unchanged(*sending.file);  // then the content is what is wrong, and no retry helps
    const char* fault = !response.ok()          ? ""
                        : is_web_page(response) ? "it answered with a web page"
                                                : "the storage acknowledged a part without an ETag";
    Error error = hub_error(fmt::format("send '{}'", sending.file->path.filename().string()),
                            request, response, fault);
    const bool is_hub_word = request.method == "POST";
    if (!is_hub_word && !is_worth_new_addresses(response)) throw error;
    if (error.hint.empty() || response.status == 403)
      error.hint = "run the same command again: what is already there is not sent twice";
    last_ = std::make_unique<Error>(std::move(error));
    again_.push_back(sending.file);
  }

  HubApi& api_;
  Reporter& report_;
  std::vector<Request> requests_;
  std::vector<std::unique_ptr<Sending>> sendings_;
  std::vector<const LocalFile*> again_;
  std::unique_ptr<Error> last_;
};

}  // namespace

LocalFile read_local_file(const std::filesystem::path& path, std::string repo_path,
                          const std::function<void()>& tick) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw_unreadable(path, errno);
  const ScopeExit closer([fd] { ::close(fd); });
  struct stat info {};
  if (fstat(fd, &info) != 0) throw_unreadable(path, errno);
  if (!S_ISREG(info.st_mode))
    throw Error(ErrorKind::usage, fmt::format("'{}' is not a file", path.string()));
  LocalFile file{path, std::move(repo_path), {}, stamp_of(info)};
  Sha256 hash;
  std::string piece(kHashPiece, '\0');
  while (true) {
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno != EINTR) throw_unreadable(path, errno);
    if (tick) tick();
    if (got < 0) continue;
    if (got == 0) break;
    hash.update({piece.data(), static_cast<std::size_t>(got)});
    file.id.size += static_cast<std::uint64_t>(got);
  }
  file.id.sha256 = hash.finish();
  if (file.id.size != file.stamp.size) throw_changed(path, "changed");
  require_unchanged(file);
  return file;
}

void require_unchanged(const LocalFile& file) {
  struct stat info {};
  if (stat(file.path.c_str(), &info) != 0) throw_changed(file.path, "vanished");
  if (stamp_of(info) != file.stamp) throw_changed(file.path, "changed");
}

void send_objects(HubApi& api, const std::vector<const LocalFile*>& files,
                  const std::string& revision, Reporter& report) {
  std::vector<const LocalFile*> pending;
  std::set<Digest> known;
  for (const LocalFile* file : files) {
    if (known.insert(file->id.sha256).second) pending.push_back(file);  // equal content goes once
  }
  for (int idle = 0; !pending.empty();) {
    std::vector<ObjectId> ids;
    for (const LocalFile* file : pending) ids.push_back(file->id);
    const std::vector<ObjectUpload> uploads = api.batch(ids, revision);
    Round round(api, report);
    for (std::size_t i = 0; i < pending.size(); ++i) {
      if (uploads[i].present)
        report.detail(
            fmt::format("the Hub has the content of '{}' already", pending[i]->repo_path));
      else
        round.add(*pending[i], uploads[i]);
    }
    round.flush();
    idle = round.again().size() < pending.size() ? 0 : idle + 1;
    if (idle == kRoundsWithoutProgress) round.give_up();
    if (!round.again().empty())
      report.note(
          fmt::format("asking for new upload addresses for {} files", round.again().size()));
    pending = round.again();
  }
}

}  // namespace sagebuild
