// The interface that engines use: keys, hits, misses, what is kept with a result.

#include <atomic>
#include <thread>

#include "cache/entry.hpp"
#include "cache/fixture.hpp"

namespace sagebuild {

TEST_CASE("every part of a key counts, and only those") {
  const auto base = [] {
    return ActionKey("cicc", "a.cu").add("flags", std::vector<std::string>{"-O3", "a b"});
  };
  const Digest digest = base().digest();
  CHECK(ActionKey("cicc", "other subject")
            .add("flags", std::vector<std::string>{"-O3", "a b"})
            .digest() == digest);
  CHECK(ActionKey("ptxas", "a.cu").add("flags", std::vector<std::string>{"-O3", "a b"}).digest() !=
        digest);
  CHECK(
      ActionKey("cicc", "a.cu").add("flags", std::vector<std::string>{"-O3", "a", "b"}).digest() !=
      digest);
  CHECK(ActionKey("cicc", "a.cu").add("flag", std::vector<std::string>{"-O3", "a b"}).digest() !=
        digest);
  CHECK(base().add("more", "").digest() != digest);
  CHECK(base().add("ab", "c").digest() != base().add("a", "bc").digest());
  const std::string long_value(100000, 'x');
  CHECK(base().add("text", long_value + "1").digest() !=
        base().add("text", long_value + "2").digest());
  CHECK(base().add("text", long_value).inputs().back().second.size() < 200);
}

TEST_CASE("a result comes back as it was stored, with its texts, costs and modes") {
  CacheWorld world;
  const fs::path program = world.file("program", "#!/bin/sh\n");
  fs::permissions(program, fs::perms(0755));
  const fs::path empty = world.file("empty", "");
  CHECK_FALSE(world.cache->lookup(key_of("x")));
  const ActionResult stored =
      world.cache->store(key_of("x"), {{"program", program}, {"empty", empty}},
                         {.facts = {{"text", "abc"}},
                          .output = "info\n",
                          .diagnostics = "warning: \xff\n",
                          .cpu_seconds = 2.5,
                          .wall_seconds = 3,
                          .peak_memory = 7});
  CHECK(stored.files.at("empty").digest == sha256(""));

  world.reopen();
  const auto found = world.cache->lookup(key_of("x"));
  REQUIRE(found);
  CHECK(found->files == stored.files);
  CHECK(found->facts.at("text") == "abc");
  CHECK(found->output == "info\n");
  CHECK(found->diagnostics.starts_with("warning: "));
  CHECK(found->peak_memory == 7);
  const fs::path place = world.work / "new folder" / "p";
  REQUIRE(world.cache->materialize(*found, {{"program", place}, {"empty", world.work / "e"}}));
  CHECK(read_file(place) == "#!/bin/sh\n");
  CHECK((fs::status(place).permissions() & fs::perms::owner_exec) != fs::perms::none);
  CHECK(fs::file_size(world.work / "e") == 0);
  CHECK(world.cache->counters().hits == 1);
  CHECK(world.cache->counters().cpu_seconds_saved == 2.5);
  CHECK_FALSE(world.cache->materialize(*found, {{"no such output", place}}));
  CHECK(world.cache->counters().hits == 0);
  CHECK(world.cache->counters().cpu_seconds_saved == 0);
}

TEST_CASE("a materialised file may be changed in place without harm to the cache") {
  CacheWorld world;
  const auto result = store_text(*world.cache, world.work, "content");
  const fs::path place = world.work / "place";
  REQUIRE(world.cache->materialize(result, {{"out", place}}));
  {
    std::FILE* file = std::fopen(place.c_str(), "r+b");
    std::fputs("CHANGED", file);
    std::fclose(file);
  }
  CHECK(cached_text(*world.cache, world.work, "content") == "content");
}

TEST_CASE("outputs go to another file system, which hard links could not reach") {
  CacheWorld world;
  struct stat here {
  }, there{};
  stat(world.work.c_str(), &here);
  if (stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev)
    SKIP_HERE("/dev/shm is no other file system");
  const TempDir other("sagebuild-cache-test", "/dev/shm");
  store_text(*world.cache, world.work, "far");
  CHECK(cached_text(*world.cache, other.path(), "far") == "far");
  // And a cache that lies on another file system than the work.
  const auto cache = open_cache({other.path() / "cache"}, world.report);
  store_text(*cache, world.work, "near");
  CHECK(cached_text(*cache, world.work, "near") == "near");
}

TEST_CASE("a destination that cannot be written is an error, not a miss") {
  CacheWorld world;
  const auto result = store_text(*world.cache, world.work, "content");
  const fs::path in_the_way = world.file("file", "");
  CHECK_THROWS_MATCHES(world.cache->materialize(result, {{"out", in_the_way / "x"}}), Error,
                       says("file"));
}

TEST_CASE("a miss is explained by the input that changed against the nearest earlier key") {
  CacheWorld world;
  const auto key = [](const std::string& subject, const std::string& arch,
                      const std::string& flags) {
    return ActionKey("ptxas", subject)
        .add("arch", arch)
        .add("flags", flags)
        .add("ptx", sha256(arch));
  };
  const auto reason = [&](const ActionKey& missed) {
    CHECK_FALSE(world.cache->lookup(missed));
    return world.last_reason();
  };
  CHECK(reason(key("a.cu", "sm_80", "-O3")).empty());  // never stored before
  world.cache->store(key("a.cu", "sm_90", "-O1 --long-option-that-is-shared=1 -v"), {}, {});
  world.cache->store(key("a.cu", "sm_80", "-O3 --long-option-that-is-shared=1 -v"), {}, {});
  world.cache->store(key("b.cu", "sm_80", "-O2"), {}, {});
  CHECK(reason(key("a.cu", "sm_80", "-O3 --long-option-that-is-shared=2 -v")) ==
        "ptxas a.cu: flags: ...tion-that-is-shared=1 -v -> ...tion-that-is-shared=2 -v");
  for (const fs::path& path : world.stored("ac")) fs::remove(path);
  CHECK(reason(key("b.cu", "sm_80", "-O2")) ==
        "ptxas b.cu: was stored before, but is evicted or damaged");

  const auto differences = cache_explain(world.folder, "a.cu");
  REQUIRE(differences.size() == 1);
  CHECK(differences[0].text.find("arch: sm_") == 0);
  CHECK(cache_explain(world.folder, "b.cu").empty());
}

TEST_CASE("of one subject the twenty newest keys are described") {
  CacheWorld world;
  for (int i = 0; i < 30; ++i) {
    const ActionKey key = ActionKey("cicc", "a.cu").add("round", std::to_string(i));
    world.cache->store(key, {}, {});
    for (const fs::path& path : world.stored("keys")) {
      if (path.filename() == key.digest().hex()) set_age(path, std::chrono::seconds(1000 - i));
    }
  }
  CHECK(world.stored("keys").size() == 20);
  CHECK_FALSE(world.cache->lookup(ActionKey("cicc", "a.cu").add("round", "29").add("more", "x")));
  CHECK(world.last_reason() == "cicc a.cu: more: new input x");
}

TEST_CASE("costs of steps are remembered by kind and subject, and the last one counts") {
  const CacheWorld world;
  const auto history = open_history(world.folder);
  CHECK_FALSE(history->get("cicc", "a.cu"));
  history->put("cicc", "a.cu", {1, 2, 3});
  history->put("cicc", "a.cu", {4.5, 5, 6});
  history->put("ptxas", "a.cu", {7, 8, 9});
  CHECK(open_history(world.folder)->get("cicc", "a.cu") == StepCost{4.5, 5, 6});
  CHECK(history->get("ptxas", "a.cu") == StepCost{7, 8, 9});
  CHECK_FALSE(history->get("cicc", "b.cu"));
  for (const fs::path& path : world.stored("history")) write_file(path, "{}");
  CHECK_FALSE(history->get("cicc", "a.cu"));
}

TEST_CASE("without a cache everything misses, and digests still work") {
  CacheWorld world;
  const auto cache = no_cache();
  const auto result = store_text(*cache, world.work, "content");
  CHECK(result.files.at("out").digest == sha256("content"));
  CHECK_FALSE(cache->lookup(key_of("content")));
  CHECK(cache->file_digest(world.file("f", "abc")) == sha256("abc"));
}

TEST_CASE("the remote form holds the sealed text, whatever a server adds or reorders") {
  ActionResult result;
  result.files["object"] = {sha256("x"), 300, true};
  const std::string text = sealed(result_body(sha256("key"), result));
  const std::string wire = wire_form(result, text);
  CHECK(from_wire(wire) == text);
  // Field 9, execution_metadata with a worker, before and after; field 4, exit_code, as a number.
  const std::string metadata = "\x4a\x06\x0a\x04host", exit_code = "\x20\x01";
  CHECK(from_wire(metadata + exit_code + wire) == text);
  CHECK(from_wire(wire + exit_code + metadata) == text);
  for (std::size_t length = 0; length < wire.size(); ++length) {
    const auto cut = from_wire(std::string_view(wire).substr(0, length));
    CHECK_FALSE((cut && unsealed(*cut)));
  }
}

TEST_CASE("threads store, look up and digest beside each other, and all is counted") {
  CacheWorld world;
  constexpr int kThreads = 4;
  constexpr int kRounds = 20;
  const fs::path shared = world.file("shared", "read by all");
  const SearchScope scope{.roots = {{"tree", world.work}}, .include_folders = {world.work}};
  std::atomic<int> wrong = 0;
  const auto work = [&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      const std::string text = fmt::format("{} {}", thread, round);
      store_text(*world.cache, world.work / std::to_string(thread), text);
      if (cached_text(*world.cache, world.work / std::to_string(thread), text) != text) ++wrong;
      if (world.cache->file_digest(shared) != sha256("read by all")) ++wrong;
      const ActionKey by_files = key_of("options " + std::to_string(round));
      world.cache->store_by_files(by_files, scope, {shared}, ActionCache::Clock::now(), {},
                                  {.facts = {{"mode", "x"}}});
      world.cache->lookup_by_files(by_files, scope);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  const CacheCounters counters = world.cache->counters();
  CHECK(counters.hits + counters.misses == 2 * kThreads * kRounds);
  CHECK(counters.hits >= kThreads * kRounds);
}

}  // namespace sagebuild
