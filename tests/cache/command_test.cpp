// `sagebuild cache`, as the user runs it.

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cache/fixture.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

// The program with a cache folder of its own.
struct Program : CacheWorld {
  Program() {
    folder = temp.path() / "home" / "actions";
    reopen();
  }
  ProcessResult operator()(std::vector<std::string> words) const {
    const char* binary = std::getenv("SAGEBUILD_TEST_BINARY");
    Command command;
    command.argv = std::move(words);
    command.argv.insert(command.argv.begin(), {binary != nullptr ? binary : "sagebuild", "cache"});
    command.env["SAGEBUILD_CACHE_DIR"] = folder.parent_path();
    command.cwd = work;
    return run(command);
  }
  nlohmann::json json(std::vector<std::string> words) const {
    words.push_back("--json");
    return nlohmann::json::parse((*this)(words).output);
  }
};

}  // namespace

TEST_CASE(
    "cache stat, gc and clear count and remove what there is, the least recently used first") {
  Program program;
  CHECK(program.json({"stat"}).at("total_bytes") == 0);
  for (const char* letter : {"a", "b", "c"}) {
    store_text(*program.cache, program.work, std::string(100'000, *letter));
    // Older than what follows.
    for (const fs::path& path : program.stored(""))
      set_age(path, std::chrono::hours('d' - *letter));
  }
  for (const fs::path& path : program.stored("")) set_age(path, std::chrono::hours(1));
  const auto age = [&](char letter, int hours) {
    const std::string content(100'000, letter);
    set_age(program.folder / "cas" / sha256(content).hex().substr(0, 2) / sha256(content).hex(),
            std::chrono::hours(hours));
  };
  age('a', 9);
  age('b', 8);
  age('c', 7);
  REQUIRE(program.cache->lookup(key_of(std::string(100'000, 'a'))));  // marks it as used now

  const auto stat = program.json({"stat"});
  CHECK(stat.at("schema") == "sagebuild.cache-stat/1");
  CHECK(stat.at("results") == 3);
  CHECK(stat.at("content_bytes") == 300'000);
  CHECK(stat.at("limit") == 20'000'000'000);
  const auto gc = program.json({"gc", "--cache-limit", "250k"});
  CHECK(gc.at("removed_files") == 1);
  CHECK(gc.at("remaining_bytes") <= 250'000);
  CHECK(cached_text(*program.cache, program.work, std::string(100'000, 'a')));
  CHECK_FALSE(cached_text(*program.cache, program.work, std::string(100'000, 'b')));
  CHECK(cached_text(*program.cache, program.work, std::string(100'000, 'c')));

  write_file(program.folder / "somebody's file", "stays");
  CHECK(program({"clear"}).output.find("0 B left") != std::string::npos);
  CHECK(program.json({"stat"}).at("results") == 0);
  CHECK(fs::exists(program.folder / "somebody's file"));
}

TEST_CASE("cache verify removes what is damaged and says so by its exit code") {
  Program program;
  store_text(*program.cache, program.work, "content");
  store_text(*program.cache, program.work, "other");
  CHECK(program({"verify"}).exit_code == 0);
  const fs::path blob = program.stored("cas").at(0), entry = program.stored("ac").at(0),
                 key = program.stored("keys").at(0);
  for (const fs::path& path : {blob, entry, key}) {
    std::string text = read_file(path);
    text.back() = static_cast<char>(text.back() ^ 1);
    write_file(path, text);
  }
  const ProcessResult result = program({"verify", "--json"});
  CHECK(result.exit_code == 5);
  const auto document = nlohmann::json::parse(result.output);
  CHECK(document.at("damaged").size() == 3);
  CHECK(document.at("checked") == 6);
  CHECK_FALSE(fs::exists(blob));
  CHECK_FALSE(fs::exists(entry));
  CHECK(program({"verify"}).exit_code == 0);
}

TEST_CASE("cache clear, gc and verify remove what the cache made, and nothing through a link") {
  Program program;
  store_text(*program.cache, program.work, "content");
  const fs::path elsewhere = program.temp.path() / "elsewhere";
  // Another's folder that happens to have the same names in it.
  for (const char* name :
       {"keys/id_rsa", "ac/notes.txt", "cas/.hidden", "history/.profile.backup"}) {
    write_file(elsewhere / name, "theirs");
    write_file(program.folder / name, "theirs");
  }
  const auto theirs = [](const fs::path& root) {
    return fs::exists(root / "keys/id_rsa") && fs::exists(root / "ac/notes.txt") &&
           fs::exists(root / "cas/.hidden") && fs::exists(root / "history/.profile.backup");
  };
  CHECK(program({"verify"}).exit_code == 0);
  CHECK(program({"gc", "--cache-limit", "1k"}).ok());
  CHECK(program({"clear"}).ok());
  CHECK(theirs(program.folder));
  CHECK(program.json({"stat"}).at("total_bytes") == 0);

  const std::string digest = sha256("x").hex();
  write_file(elsewhere / "cas" / digest.substr(0, 2) / digest, "has a digest's name");
  const auto refused = [&] {
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"clear"}, {"gc", "--cache-limit", "1k"}, {"verify"}}) {
      const ProcessResult result = program(words);
      INFO(result.diagnostics);
      CHECK(result.exit_code == 1);
      CHECK(result.diagnostics.find("is a link") != std::string::npos);
      CHECK(result.diagnostics.find(elsewhere.string()) != std::string::npos);
    }
    CHECK(theirs(elsewhere));
    CHECK(fs::exists(elsewhere / "cas" / digest.substr(0, 2) / digest));
  };
  fs::remove_all(program.folder / "cas");
  fs::create_directory_symlink(elsewhere / "cas", program.folder / "cas");
  refused();
  fs::remove_all(program.folder);
  fs::create_directory_symlink(elsewhere, program.folder);
  refused();
  // A build through the link works, and says that its cache is not kept small.
  program.reopen(1);
  store_text(*program.cache, program.work, "content");
  program.cache->flush();
  CHECK(RecordingReporter::any_has(program.report.warnings, "larger than its limit"));
  CHECK(theirs(elsewhere));
}

TEST_CASE("cache explain names the input that changed") {
  Program program;
  const auto key = [](const char* flags) {
    return ActionKey("cicc", "demo fused.cu compute_90").add("flags", flags);
  };
  program.cache->store(key("-O2"), {}, {});
  for (const fs::path& path : program.stored("keys")) set_age(path, std::chrono::hours(1));
  program.cache->store(key("-O3"), {}, {});
  CHECK(program({"explain", "--subject", "fused.cu"}).output ==
        "cicc demo fused.cu compute_90: flags: -O2 -> -O3\n");
  CHECK(program({"explain", "--subject", "other.cu"}).output.empty());
  CHECK(program.json({"explain"}).at("subjects").at(0).at("changed") == "flags: -O2 -> -O3");
}

TEST_CASE("a build that stores more than the limit leaves the cache below it") {
  CacheWorld world(1'000'000);
  for (int i = 0; i < 30; ++i)
    store_text(*world.cache, world.work, std::string(100'000, static_cast<char>('a' + i)));
  CHECK(cache_stat(world.folder).total_bytes() > 3'000'000);
  world.cache->flush();
  CHECK(cache_stat(world.folder).total_bytes() <= 900'000);
  CHECK(cached_text(*world.cache, world.work, std::string(100'000, static_cast<char>('a' + 29))));
}

}  // namespace sagebuild
