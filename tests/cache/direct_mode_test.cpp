// Direct mode: what a preprocessor would give, known from the files that it read.

#include "cache/direct_mode.hpp"

#include "cache/code_text.hpp"
#include "cache/entry.hpp"
#include "cache/preprocessed_project.hpp"

namespace sagebuild {
namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE(
    "a preprocessor run hits while its files are the same, and a set of files comes back with "
    "them") {
  Project project;
  CHECK_FALSE(project.hits());
  project.run_and_store();
  CHECK(project.hits());
  CHECK_FALSE(project.cache->lookup_by_files(project.key("-O2"), project.scope()));
  write_file(project.root / "second/x/h.h", "#define VALUE 2\n");
  CHECK_FALSE(project.hits());
  CHECK(project.last_reason() == "preprocess a.cu: file '/sagebuild/tree/second/x/h.h' changed");
  project.run_and_store();
  CHECK(project.hits());
  write_file(project.root / "second/x/h.h", "#define VALUE 1\n");
  project.reopen();
  CHECK(project.hits());
  fs::remove(project.root / "src/beside.h");
  CHECK_FALSE(project.hits());
  CHECK(project.last_reason().find("beside.h' is gone") != std::string::npos);
}

TEST_CASE("with --explain each miss of a known subject says why, and a cold build says nothing") {
  Project project;
  CHECK_FALSE(project.hits());
  CHECK_FALSE(project.cache->lookup(key_of("a")));
  CHECK(project.report.notes.empty());
  project.run_and_store();
  store_text(*project.cache, project.work, "a");
  write_file(project.root / "src/beside.h", "// other\n");
  CHECK_FALSE(project.hits());
  CHECK_FALSE(project.cache->lookup(key_of("b")));
  REQUIRE(project.report.notes.size() == 2);
  CHECK(project.report.notes[0] == "preprocess a.cu: file '/sagebuild/tree/src/beside.h' changed");
  CHECK(project.report.notes[1].find("ptxas demo a.cu sm_90a: ptx: sha256:") == 0);
}

TEST_CASE("where comments do not count, one that moves no token is no change") {
  Project project;
  const fs::path header = project.root / "second/x/h.h";
  const auto hits_with = [&](const std::string& text) {
    write_file(header, text);
    return project.hits();
  };
  write_file(header, "#define VALUE 1  // one\n");
  project.comments_count = false;
  project.run_and_store();
  CHECK(project.hits());
  CHECK(hits_with("#define VALUE 1  // as good as any\n"));
  CHECK(hits_with("#define VALUE 1\n"));
  project.reopen();
  CHECK(hits_with("#define VALUE 1 /* reopened */\n"));
  CHECK_FALSE(hits_with("// one more line\n#define VALUE 1  // one\n"));
  CHECK_FALSE(hits_with("#define VALUE 2  // one\n"));
  CHECK(project.last_reason() == "preprocess a.cu: file '/sagebuild/tree/second/x/h.h' changed");
  // A set that was stored where they do not count is none where they do.
  project.comments_count = true;
  CHECK_FALSE(hits_with("#define VALUE 1  // one\n"));
  project.run_and_store();
  CHECK(project.hits());
  CHECK_FALSE(hits_with("#define VALUE 1  // two\n"));
  project.comments_count = false;
  CHECK(project.hits());
}

TEST_CASE("a set of an earlier version, which knew bytes alone, is one of bytes") {
  Project project;
  project.run_and_store();
  project.comments_count = false;
  CHECK(project.hits());
  write_file(project.root / "src/beside.h", "// other\n");
  CHECK_FALSE(project.hits());
}

TEST_CASE("comments count in a file that is no code, and where a file may be embedded") {
  Project project;
  project.comments_count = false;
  const fs::path data = project.root / "second/x/h.inc";
  write_file(data, "// one\n");
  write_file(project.root / "src/beside.h", "#include <x/h.inc>\n");
  project.run_and_store();
  CHECK(project.hits());
  write_file(data, "// two\n");
  CHECK_FALSE(project.hits());

  write_file(project.root / "src/beside.h", "// one\n#if 0\n#embed <x/h.h>\n#endif\n");
  project.run_and_store();
  CHECK(project.hits());
  write_file(project.root / "second/x/h.h", "#define VALUE 1 // one\n");
  CHECK_FALSE(project.hits());
}

TEST_CASE("a new file that the search may find instead is a change, one that it cannot is none") {
  Project project;
  project.run_and_store();
  const auto appears = [&](const std::string& name) {
    const fs::path path = project.root / name;
    write_file(path, "#define VALUE 3\n");
    const bool hit = project.hits();
    fs::remove(path);
    if (path.parent_path().filename() == "x") fs::remove(path.parent_path());
    CHECK(project.hits());
    return !hit;
  };
  CHECK(appears("first/x/h.h"));
  CHECK(project.last_reason().find(
            "'/sagebuild/tree/first/x/h.h' appeared, and the search may find it") !=
        std::string::npos);
  CHECK(appears("first/vector"));  // of the compiler's own folder
  CHECK(appears("second/vector"));
  CHECK(appears("src/x/h.h"));    // where a quoted include would look
  CHECK(appears("third/x/h.h"));  // the order of folders may be another one
  CHECK_FALSE(appears("first/h.h"));
  CHECK_FALSE(appears("src/a.o"));
}

TEST_CASE(
    "a tree in another folder hits by the names of roots, and misses where its content differs") {
  Project project;
  project.run_and_store();
  const fs::path other = project.work / "elsewhere";
  copy_tree(project.root, other);
  project.roots["tree"] = other;
  project.root = other;
  CHECK(project.hits());
  write_file(other / "src/beside.h", "// changed\n");
  CHECK_FALSE(project.hits());
  project.roots.clear();
  CHECK_FALSE(project.hits());
}

TEST_CASE("a file that changed after the run began is not trusted") {
  Project project;
  const auto files = project.files_read();
  const fs::path text = project.file("a.ii", "text");
  const auto before = ActionCache::Clock::now() - 1h;
  const auto result = project.cache->store_by_files(project.key(), project.scope(), files, before,
                                                    {{"text", text}}, {});
  CHECK(result.files.at("text").digest == sha256("text"));
  CHECK_FALSE(project.cache->lookup_by_files(project.key(), project.scope()));
  CHECK(RecordingReporter::any_has(project.report.details, "changed while it was read"));
  CHECK(project.stored("cas").empty());
}

TEST_CASE("a damaged manifest is a miss that heals") {
  Project project;
  project.run_and_store();
  for (const fs::path& path : project.stored("ac")) {
    std::string text = read_file(path);
    text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
    write_file(path, text);
  }
  CHECK_FALSE(project.hits());
  project.run_and_store();
  CHECK(project.hits());
}

TEST_CASE("a manifest keeps the newest sets, one of each, and survives being written") {
  Manifest manifest;
  const Digest key = sha256("key");
  for (int number = 0; number < 40; ++number) {
    FileSet set;
    set.files = {{"/sagebuild/tree/a.cu", sha256("a")},
                 {"/usr/include/h.h", sha256(std::to_string(number))}};
    set.elsewhere = {"/usr/include/early.h"};
    set.asked = {"<version"};
    set.present = {"/usr/include/version"};
    set.result = FileSet::result_key(key, set);
    manifest.add(set);
    manifest.add(set);
  }
  CHECK(manifest.sets.size() == Manifest::kMostSets);
  CHECK(manifest.sets.front().files[1].second == sha256("39"));
  const auto read = Manifest::from_body(key, manifest.body(key));
  REQUIRE(read);
  REQUIRE(read->sets.size() == Manifest::kMostSets);
  CHECK(read->sets[3].files == manifest.sets[3].files);
  CHECK(read->sets[3].elsewhere == manifest.sets[3].elsewhere);
  CHECK(read->sets[3].asked == manifest.sets[3].asked);
  CHECK(read->sets[3].present == manifest.sets[3].present);
  CHECK(read->sets[3].result == manifest.sets[3].result);
  CHECK_FALSE(Manifest::from_body(sha256("other"), manifest.body(key)));
}

TEST_CASE("each part of a set of files counts in its result's key") {
  FileSet set;
  set.files = {{"a", sha256("1")}};
  const Digest key = FileSet::result_key(sha256("k"), set);
  FileSet other = set;
  other.elsewhere = {"b"};
  CHECK(FileSet::result_key(sha256("k"), other) != key);
  other = set;
  other.asked = {"b"};
  CHECK(FileSet::result_key(sha256("k"), other) != key);
  other = set;
  other.present = {"b"};
  CHECK(FileSet::result_key(sha256("k"), other) != key);
  other = set;
  other.files[0].second = sha256("2");
  CHECK(FileSet::result_key(sha256("k"), other) != key);
  other.files = {{"b", sha256("1")}};
  CHECK(FileSet::result_key(sha256("k"), other) != key);
  CHECK(FileSet::result_key(sha256("l"), set) != key);
}

TEST_CASE(
    "digests of old files are remembered, also in the next run, and any change of the file is "
    "seen") {
  const CacheWorld world;
  const fs::path memory = world.folder / "digests/x";
  const auto later = [] { return FileDigests::Clock::now() + 1h; };
  const fs::path path = world.file("header.h", "one");
  FileDigests digests(memory, later);
  CHECK(digests.of(path) == sha256("one"));
  CHECK(digests.of(path) == sha256("one"));
  CHECK(digests.hashed() == 1);
  digests.save();

  FileDigests next(memory, later);
  CHECK(next.of(path) == sha256("one"));
  CHECK(next.hashed() == 0);
  // Same inode, size and mtime: only ctime tells.
  const auto time = fs::last_write_time(path);
  while (fs::last_write_time(world.file("clock", "tick")) == time) {
  }
  std::FILE* file = std::fopen(path.c_str(), "r+b");
  std::fputs("two", file);
  std::fclose(file);
  fs::last_write_time(path, time);
  CHECK(next.of(path) == sha256("two"));
  CHECK(next.of_existing(world.work / "absent") == std::nullopt);
  CHECK_THROWS_MATCHES(next.of(world.work / "absent"), Error, says("cannot read"));

  std::string damaged = read_file(memory);
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  write_file(memory, damaged);
  FileDigests after_damage(memory, later);
  CHECK(after_damage.of(path) == sha256("two"));
  CHECK(after_damage.hashed() == 1);
}

TEST_CASE("a file of code has two digests, both remembered, and by each of its names its own") {
  const CacheWorld world;
  const fs::path memory = world.folder / "digests/x";
  const auto later = [] { return FileDigests::Clock::now() + 1h; };
  const std::string text = "#embed <x> // c\n";
  const fs::path header = world.file("header.h", text);
  fs::create_hard_link(header, world.work / "header.py");
  const auto check = [&](FileDigests& digests) {
    const auto code = digests.of_existing(header);
    const auto other = digests.of_existing(world.work / "header.py");
    REQUIRE(code);
    REQUIRE(other);
    CHECK(code->bytes == sha256(text));
    CHECK(code->code == code_digest(text));
    CHECK(code->may_embed);
    CHECK(other->bytes == sha256(text));
    CHECK(other->code == sha256(text));
    CHECK_FALSE(other->may_embed);
  };
  FileDigests digests(memory, later);
  digests.of(world.work / "header.py");
  check(digests);
  CHECK(digests.hashed() == 2);
  digests.save();
  FileDigests next(memory, later);
  check(next);
  CHECK(next.hashed() == 0);

  // As the version before wrote it: records alone, whatever their size.
  write_file(memory, sealed(std::string(72 * 112, 'x')));
  FileDigests after_update(memory, later);
  check(after_update);
  CHECK(after_update.hashed() == 1);
}

TEST_CASE("a file as young as the clock can tell, or from the future, is hashed every time") {
  const CacheWorld world;
  const fs::path path = world.file("header.h", "one");
  set_age(path, 24h);  // mtime says it is old, ctime that it was put here just now
  struct stat status {};
  stat(path.c_str(), &status);
  const FileDigests::Clock::time_point changed{
      std::chrono::seconds(status.st_ctim.tv_sec) +
      std::chrono::microseconds(status.st_ctim.tv_nsec / 1000)};
  const auto times_hashed = [&](FileDigests::Clock::duration age) {
    FileDigests digests(world.folder / "digests/x", [=] { return changed + age; });
    digests.of(path);
    digests.of(path);
    return digests.hashed();
  };
  CHECK(times_hashed(10ms) == 2);
  CHECK(times_hashed(-24h) == 2);
  CHECK(times_hashed(1h) == 1);
  set_age(path, -48h);
  CHECK(times_hashed(1h) == 2);
}

}  // namespace sagebuild
