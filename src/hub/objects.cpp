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

#include "hub/saved_upload.hpp"
#include "hub/shape.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/scope.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/net/url.hpp"

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

// Bytes and files over all rounds.
struct Totals {
  std::uint64_t bytes = 0;
  std::uint64_t done = 0;  // of the files that are through
  std::uint64_t files = 0;
  std::uint64_t files_done = 0;
  std::uint64_t sent = 0;  // bytes that went over the wire and were taken
};

// One object of one round, with the requests that carry it.
struct Sending {
  const LocalFile* file = nullptr;
  SavedUpload saved;  // with what the storage has acknowledged
  bool is_resumed = false;
  std::size_t first = 0;            // its requests in the group
  std::vector<std::size_t> parts;   // that the requests carry
  std::vector<std::uint64_t> done;  // bytes by part

  bool is_multipart() const { return saved.upload.chunk != 0; }
  std::uint64_t bytes_done() const {
    return std::accumulate(done.begin(), done.end(), std::uint64_t{0});
  }
};

class Round {
 public:
  Round(HubApi& api, const UploadStore& store, Totals& totals, Reporter& report)
      : api_(api), store_(store), totals_(totals), report_(report) {}

  void add(const LocalFile& file, SavedUpload saved, bool is_resumed) {
    auto sending = std::make_unique<Sending>();
    sending->file = &file;
    sending->saved = std::move(saved);
    sending->is_resumed = is_resumed;
    sending->first = requests_.size();
    const ObjectUpload& upload = sending->saved.upload;
    const std::uint64_t size = file.id.size;
    const std::uint64_t chunk = upload.chunk == 0 ? std::max<std::uint64_t>(size, 1) : upload.chunk;
    const std::size_t count = upload.chunk == 0 ? 1 : upload.parts.size();
    sending->saved.etags.resize(count);
    sending->done.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t offset = i * chunk;
      const std::uint64_t length = std::min(chunk, size - offset);
      if (!sending->saved.etags[i].empty()) {
        sending->done[i] = length;
        continue;
      }
      const std::string& url = upload.chunk == 0 ? upload.href : upload.parts[i];
      sending->parts.push_back(i);
      requests_.push_back(put(url, {file.path, offset, length}, *sending, i));
    }
    sendings_.push_back(std::move(sending));
    if (requests_.size() >= kGroup) flush();
  }

  void flush() {
    const std::vector<Response> responses = api_.http().send_all(requests_, kParallel);
    for (auto& sending : sendings_)
      finish(*sending, {responses.data() + sending->first, sending->parts.size()});
    requests_.clear();
    sendings_.clear();
  }

  const std::vector<const LocalFile*>& again() const { return again_; }
  [[noreturn]] void give_up() const { throw *last_; }

 private:
  Request put(const std::string& url, FileRange range, Sending& sending, std::size_t part) {
    Request request;
    request.method = "PUT";
    request.url = url;  // presigned: a token beside the signature is refused, and would leak
    request.headers = sending.saved.upload.headers;
    const std::uint64_t length = range.length;
    request.body = std::move(range);
    request.also_transient = [&sending](const Response& response) {
      return is_transient_at_storage(response, sending.is_multipart());
    };
    request.progress = [this, &sending, part](std::uint64_t sent, std::uint64_t) {
      sending.done[part] = sent;
      show_progress("sending");
    };
    request.answered = [this, &sending, part, length](const Response& response) {
      if (!response.ok() || is_transient_at_storage(response, sending.is_multipart())) return;
      totals_.sent += length;
      if (!sending.is_multipart()) return;
      sending.saved.etags[part] = response.headers.find("ETag").value_or("");
      store_.save(sending.file->id, sending.saved);
    };
    return request;
  }

  // All files together; named is the first that is not through, although the next may be on their
  // way.
  void show_progress(const char* stage, const Sending* named = nullptr) {
    TransferProgress shown{.what = stage,
                           .done = totals_.done,
                           .total = totals_.bytes,
                           .objects_done = totals_.files_done,
                           .objects_total = totals_.files};
    for (const auto& sending : sendings_) {
      if (sending->file == nullptr) continue;
      const std::uint64_t done = sending->bytes_done();
      shown.done += done;
      if (named == nullptr && done < sending->file->id.size) named = sending.get();
    }
    if (named == nullptr && !sendings_.empty()) named = sendings_.back().get();
    if (named != nullptr && named->file != nullptr)
      shown.item = named->file->path.filename().string();
    report_.transfer(shown);
  }

  void finish(Sending& sending, std::span<const Response> responses) {
    for (std::size_t i = 0; i < responses.size(); ++i) {
      const Response& response = responses[i];
      if (!response.ok() || is_transient_at_storage(response, sending.is_multipart()))
        return send_again(sending, requests_[sending.first + i], response);
    }
    const ObjectUpload& upload = sending.saved.upload;
    if (sending.is_multipart()) {
      show_progress("completing", &sending);
      if (const auto refused = api_.complete(upload, sending.file->id, sending.saved.etags))
        return refuse(sending, *refused);
    }
    if (!upload.verify.empty()) {
      show_progress("checking", &sending);
      if (const auto refused = api_.verify(upload, sending.file->id))
        return refuse(sending, *refused);
    }
    if (sending.is_multipart()) store_.forget(sending.file->id);
    const LocalFile& file = *sending.file;
    sending.file = nullptr;  // counted among those that are through from here on
    totals_.done += file.id.size;
    ++totals_.files_done;
    report_.transferred(
        {.what = "sending",
         .done = totals_.done,
         .total = totals_.bytes,
         .objects_done = totals_.files_done,
         .objects_total = totals_.files},
        fmt::format("sent '{}', {}", file.path.filename().string(), human_size(file.id.size)));
  }

  void refuse(const Sending& sending, const Response& response) {
    Request shown;
    shown.method = "POST";
    shown.url = response.url;
    send_again(sending, shown, response);
  }

  void send_again(const Sending& sending, const Request& request, const Response& response) {
    const std::string name = sending.file->path.filename().string();
    require_unchanged(*sending.file);  // then the content is what is wrong, and no retry helps
    const char* fault = !response.ok()          ? ""
                        : is_web_page(response) ? "it answered with a web page"
                                                : "the storage acknowledged a part without an ETag";
    Error error = hub_error(fmt::format("send '{}'", name), request, response, fault);
    const bool is_hub_word = request.method == "POST";
    if (!is_hub_word && !is_worth_new_addresses(response)) throw error;
    if (error.hint.empty() || response.status == 403)
      error.hint = "run the same command again: what is already there is not sent twice";
    last_ = std::make_unique<Error>(std::move(error));
    if (sending.is_multipart()) {  // new addresses are a new upload, which has none of the parts
      store_.forget(sending.file->id);
      report_.note(fmt::format("{}; '{}' starts again from its first part",
                               sending.is_resumed
                                   ? "the storage no longer takes the parts of an earlier run"
                                   : "the storage gave the upload up",
                               name));
    }
    again_.push_back(sending.file);
  }

  HubApi& api_;
  const UploadStore& store_;
  Totals& totals_;
  Reporter& report_;
  std::vector<Request> requests_;
  std::vector<std::unique_ptr<Sending>> sendings_;
  std::vector<const LocalFile*> again_;
  std::unique_ptr<Error> last_;
};

// Saved addresses are believed only where the Hub sends the same file today: the storage may have
// moved, and what was saved may be damaged.
bool leads_where(const ObjectUpload& saved, const ObjectUpload& fresh) {
  const auto same = [](const std::string& a, const std::string& b) {
    return a.empty() == b.empty() && origin_of(a) == origin_of(b);
  };
  return same(saved.href, fresh.href) && same(saved.verify, fresh.verify) &&
         std::ranges::all_of(
             saved.parts, [&](const std::string& part) { return same(part, fresh.parts.front()); });
}

// What a run before this one began, as far as the storage has acknowledged it.
std::optional<SavedUpload> resumable(const UploadStore& store, const LocalFile& file,
                                     const ObjectUpload& fresh, Reporter& report) {
  auto saved = store.find(file.id);
  if (!saved) return std::nullopt;
  if (!leads_where(saved->upload, fresh)) {
    store.forget(file.id);
    report.note(fmt::format("the Hub's storage is elsewhere by now; '{}' starts again",
                            file.path.filename().string()));
    return std::nullopt;
  }
  const auto there =
      std::ranges::count_if(saved->etags, [](const std::string& etag) { return !etag.empty(); });
  if (there == 0) return std::nullopt;
  report.note(fmt::format("{} of {} parts of '{}' are there already", there, saved->etags.size(),
                          file.path.filename().string()));
  return saved;
}

}  // namespace

FileStamp stamp_of(const std::filesystem::path& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) throw_changed(path, "vanished");
  return stamp_of(info);
}

LocalFile read_local_file(const std::filesystem::path& path, std::string repo_path,
                          const std::function<void(std::uint64_t)>& hashed) {
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
    if (got > 0) {
      hash.update({piece.data(), static_cast<std::size_t>(got)});
      file.id.size += static_cast<std::uint64_t>(got);
    }
    if (hashed) hashed(file.id.size);
    if (got == 0) break;
  }
  file.id.sha256 = hash.finish();
  if (file.id.size != file.stamp.size) throw_changed(path, "changed");
  require_unchanged(file);
  return file;
}

void require_unchanged(const LocalFile& file) {
  if (stamp_of(file.path) != file.stamp) throw_changed(file.path, "changed");
}

std::uint64_t send_objects(HubApi& api, const std::vector<const LocalFile*>& files,
                           const std::string& revision, const std::filesystem::path& kept,
                           Reporter& report) {
  const UploadStore store(kept, api.endpoint() + web_path(api.repo()));
  Totals totals;
  std::vector<const LocalFile*> pending;
  std::set<Digest> known;
  for (const LocalFile* file : files) {
    if (!known.insert(file->id.sha256).second) continue;  // equal content goes once
    pending.push_back(file);
    totals.bytes += file->id.size;
  }
  totals.files = pending.size();
  for (int idle = 0; !pending.empty();) {
    std::vector<ObjectId> ids;
    for (const LocalFile* file : pending) ids.push_back(file->id);
    const std::vector<ObjectUpload> uploads = api.batch(ids, revision);
    const auto present = std::ranges::count_if(uploads, &ObjectUpload::present);
    if (present > 0)
      report.note(fmt::format("{} of {} already in the Hub's storage", present,
                              counted(pending.size(), "file")));
    Round round(api, store, totals, report);
    for (std::size_t i = 0; i < pending.size(); ++i) {
      const LocalFile& file = *pending[i];
      if (uploads[i].present) {
        store.forget(file.id);
        totals.done += file.id.size;
        ++totals.files_done;
        continue;
      }
      auto saved =
          uploads[i].chunk == 0 ? std::nullopt : resumable(store, file, uploads[i], report);
      const bool is_resumed = saved.has_value();
      round.add(file, is_resumed ? *std::move(saved) : SavedUpload{uploads[i], {}}, is_resumed);
    }
    round.flush();
    idle = round.again().size() < pending.size() ? 0 : idle + 1;
    if (idle == kRoundsWithoutProgress) round.give_up();
    if (!round.again().empty())
      report.note(fmt::format("asking for new upload addresses for {}",
                              counted(round.again().size(), "file")));
    pending = round.again();
  }
  return totals.sent;
}

}  // namespace sagebuild
