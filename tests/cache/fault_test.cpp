// What disks, users and kernels do to a cache. A build must see misses, never damage, and at most
// one warning.

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "cache/fixture.hpp"
#include "cache/local_store.hpp"

namespace sagebuild {
namespace {

constexpr uid_t kNobody = 65534;
constexpr int kCannot = 77;  // this machine does not let us try

// Says in words what an exit status of in_child means.
void check_child(int status, const std::string& what) {
  if (status == kCannot) {
    note_skip("this machine does not allow it: " + what);
  } else {
    CHECK(status == 0);
  }
}

// 0, or the number of the expectation that does not hold: Catch's own counting does not cross
// processes.
class Expectations {
 public:
  void expect(bool holds) {
    ++count_;
    if (!holds && failed_ == 0) failed_ = count_;
  }
  int status() const { return failed_; }

 private:
  int count_ = 0;
  int failed_ = 0;
};

}  // namespace

TEST_CASE("an entry with any bit flipped is a miss and is removed") {
  CacheWorld world;
  store_text(*world.cache, world.work, "content");
  const fs::path entry = world.stored("ac").at(0);
  const std::string good = read_file(entry);
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    write_file(entry, bad);
    INFO("byte " << at << " of " << good.size());
    REQUIRE_FALSE(world.cache->lookup(key_of("content")));
    REQUIRE_FALSE(fs::exists(entry));
  }
  CHECK(world.cache->counters().corrupt == good.size());
  write_file(entry, good);
  CHECK(cached_text(*world.cache, world.work, "content") == "content");
}

TEST_CASE("contents with any bit flipped are never handed out, and are removed") {
  CacheWorld world;
  const std::string content(999, 'c');
  const auto result = store_text(*world.cache, world.work, content);
  const fs::path blob = world.stored("cas").at(0);
  for (std::size_t at = 0; at < content.size(); ++at) {
    std::string bad = content;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    write_file(blob, bad);
    REQUIRE_FALSE(cached_text(*world.cache, world.work, content));
    REQUIRE_FALSE(fs::exists(world.work / "materialised"));
    REQUIRE_FALSE(fs::exists(blob));
  }
  store_text(*world.cache, world.work, content);
  CHECK(cached_text(*world.cache, world.work, content) == content);
}

TEST_CASE("cut entries and contents are misses, down to nothing and up to a byte too many") {
  CacheWorld world;
  store_text(*world.cache, world.work, "some content");
  for (const fs::path& path : {world.stored("ac").at(0), world.stored("cas").at(0)}) {
    const std::string good = read_file(path);
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{1}, good.size() / 2, good.size() - 1, good.size() + 1}) {
      std::string bad = good;
      bad.resize(length, ' ');
      write_file(path, bad);
      CHECK_FALSE(cached_text(*world.cache, world.work, "some content"));
      CHECK_FALSE(fs::exists(path));
      store_text(*world.cache, world.work, "some content");
    }
  }
}

TEST_CASE("an entry that lies under another key is a miss") {
  CacheWorld world;
  store_text(*world.cache, world.work, "a");
  const LocalStore store(world.folder);
  const fs::path wrong = store.entry_path(key_of("b").digest());
  make_folders(wrong.parent_path());
  fs::copy_file(store.entry_path(key_of("a").digest()), wrong);
  CHECK_FALSE(world.cache->lookup(key_of("b")));
  CHECK_FALSE(fs::exists(wrong));
}

TEST_CASE(
    "a folder that may not be written serves hits, and one warning says that nothing is stored") {
  CacheWorld world;
  fs::permissions(world.temp.path(), fs::perms(0755));
  fs::permissions(world.work, fs::perms(0777));
  store_text(*world.cache, world.work, "there");
  const int status = in_child([&] {
    if (geteuid() == 0 && (setgid(kNobody) != 0 || setuid(kNobody) != 0)) return kCannot;
    for (const auto& entry : fs::recursive_directory_iterator(world.folder)) {
      std::error_code not_ours;
      if (entry.is_directory()) fs::permissions(entry.path(), fs::perms(0555), not_ours);
    }
    Expectations that;
    const auto cache = open_cache({world.folder}, world.report);
    that.expect(cached_text(*cache, world.work, "there") == "there");
    const auto result = store_text(*cache, world.work, "new");
    that.expect(result.files.at("out").digest == sha256("new"));
    store_text(*cache, world.work, "newer");
    that.expect(!cache->lookup(key_of("new")));
    cache->flush();
    that.expect(world.report.warnings.size() == 1);
    that.expect(RecordingReporter::any_has(world.report.warnings,
                                           "cannot be written, so nothing is stored in this run"));
    that.expect(cache->counters().stored == 0);
    return that.status();
  });
  for (const auto& entry : fs::recursive_directory_iterator(world.folder)) {
    if (entry.is_directory()) fs::permissions(entry.path(), fs::perms(0755));
  }
  check_child(status, "a folder of another user");
}

TEST_CASE("a full disk stores nothing, leaves nothing half, and is said once") {
  CacheWorld world;
  const int status = in_child([&] {
    // A mount of our own: as root at once, else in a user namespace.
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return kCannot;
    mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    make_folders(world.folder);
    if (mount("tmpfs", world.folder.c_str(), "tmpfs", 0, "size=256k") != 0) return kCannot;
    Expectations that;
    store_text(*world.cache, world.work, std::string(50'000, 's'));
    that.expect(world.cache->counters().stored == 1);
    store_text(*world.cache, world.work, std::string(500'000, 'l'));
    store_text(*world.cache, world.work, std::string(500'000, 'm'));
    world.cache->flush();
    that.expect(world.cache->counters().stored == 1);
    that.expect(world.report.warnings.size() == 1);
    that.expect(RecordingReporter::any_has(world.report.warnings, "No space left on device"));
    that.expect(cached_text(*world.cache, world.work, std::string(50'000, 's')).has_value());
    const CacheVerification verification = cache_verify(world.folder);
    that.expect(verification.damaged.empty() && verification.incomplete == 0);
    that.expect(world.stored("cas").size() == 1);
    return that.status();
  });
  check_child(status, "a tmpfs of its own");
}

TEST_CASE("a file size limit is a full disk, too") {
  CacheWorld world;
  const int status = in_child([&] {
    const fs::path big = world.file("big", std::string(500'000, 'b'));
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return kCannot;
    Expectations that;
    world.cache->store(key_of("big"), {{"out", big}}, {});
    that.expect(!world.cache->lookup(key_of("big")));
    that.expect(world.stored("cas").empty());
    that.expect(world.report.warnings.size() == 1);
    return that.status();
  });
  check_child(status, "a file size limit");
}

TEST_CASE(
    "a process killed while it stores leaves a temporary file, which is swept when it is old") {
  CacheWorld world;
  const auto orphans = [&] {
    auto files = world.stored("cas");
    std::erase_if(files,
                  [](const fs::path& path) { return !path.filename().native().starts_with('.'); });
    return files;
  };
  for (int attempt = 0; orphans().empty() && attempt < 100; ++attempt) {
    const pid_t child = fork();
    if (child == 0) {
      for (char c = 0;; ++c)
        store_text(*world.cache, world.work, std::string(8 << 20, c) + std::to_string(attempt));
    }
    while (orphans().empty()) sched_yield();
    kill(child, SIGKILL);
    status_of(child);
  }
  const auto left = orphans();
  REQUIRE(left.size() == 1);
  CHECK(cache_verify(world.folder).damaged.empty());
  CHECK(cache_gc(world.folder, 1'000'000'000'000).orphans == 0);  // it might be a running write
  set_age(left[0], std::chrono::hours(2));
  CHECK(cache_gc(world.folder, 1'000'000'000'000).orphans == 1);
  CHECK(orphans().empty());
}

TEST_CASE(
    "several processes share a folder: store, look up, clean and clear at once, and every hit is "
    "right") {
  CacheWorld world;
  constexpr int kProcesses = 4, kRounds = 100, kKeys = 12;
  const auto content_of = [](int number) {
    return std::string(static_cast<std::size_t>(1000 + number * 777),
                       static_cast<char>('a' + number));
  };
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = fork();
    if (child != 0) {
      children.push_back(child);
      continue;
    }
    int wrong = 0;
    try {
      const TempDir work("sagebuild-cache-test", world.work);
      const auto cache = open_cache({world.folder}, world.report);
      for (int round = 0; round < kRounds; ++round) {
        const std::string content = content_of((round * (process + 1) + process) % kKeys);
        const auto found = cached_text(*cache, work.path(), content);
        if (found && *found != content) ++wrong;
        if (!found) store_text(*cache, work.path(), content);
        if (process == 0 && round % 10 == 9) cache_gc(world.folder, 20'000);
        if (process == 1 && round % 25 == 24) cache_clear(world.folder);
        if (round % 20 == 0) cache->flush();
      }
      for (const std::string& warning : world.report.warnings)
        fmt::print(stderr, "in the child: {}\n", warning);
      if (!world.report.warnings.empty() || cache->counters().corrupt != 0 ||
          cache->counters().hits == 0)
        wrong += 100;
    } catch (const std::exception& error) {
      fmt::print(stderr, "in the child: {}\n", error.what());
      wrong = 200;
    }
    _exit(wrong);
  }
  for (const pid_t child : children) CHECK(status_of(child) == 0);
  CHECK(cache_verify(world.folder).damaged.empty());
}

TEST_CASE("times in the future, as a clock set back leaves them, do no harm") {
  CacheWorld world;
  store_text(*world.cache, world.work, "content");
  for (const fs::path& path : world.stored("")) set_age(path, -std::chrono::hours(24 * 365));
  CHECK(cached_text(*world.cache, world.work, "content") == "content");
  for (const fs::path& path : world.stored("")) set_age(path, -std::chrono::hours(24 * 365));
  const fs::path orphan = world.folder / "cas/ab" / ("." + sha256("x").hex() + ".Ab12xy");
  write_file(orphan, "x");
  set_age(orphan, -std::chrono::hours(2));
  const CacheCleaning cleaning = cache_gc(world.folder, 1'000'000);
  CHECK(cleaning.removed_files == 1);
  CHECK(cleaning.orphans == 1);
  CHECK(cached_text(*world.cache, world.work, "content") == "content");
}

}  // namespace sagebuild
