// Direct mode and files that appear or vanish where a run looked for them.

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>

#include "cache/direct_mode.hpp"
#include "cache/preprocessed_project.hpp"

namespace sagebuild {
namespace {

// What the files of one run ask for together, or "computed in I".
std::string questions(const std::vector<std::string>& texts) {
  std::vector<std::vector<std::string>> directives;
  for (const std::string& text : texts) directives.push_back(asking_directives(text));
  std::vector<const std::vector<std::string>*> all;
  for (const auto& lines : directives) all.push_back(&lines);
  const IncludeQuestions found = questions_in(all);
  return found.computed_in ? fmt::format("computed in {}", *found.computed_in)
                           : join(found.names, " ");
}

// Stores the run, makes the change, and says whether that is a miss; undone by `undo`, it must hit
// again.
bool is_change(Project& project, const std::function<void()>& change,
               const std::function<void()>& undo) {
  fs::remove_all(project.folder);  // a set of an earlier run may hold the change
  project.reopen();
  project.run_and_store();
  REQUIRE(project.hits());
  change();
  const bool miss = !project.hits();
  undo();
  CHECK(project.hits());
  return miss;
}

bool appears(Project& project, const fs::path& path, const std::string& text = "int appeared;\n") {
  const fs::path top = fs::exists(path.parent_path()) ? path : path.parent_path();
  return is_change(
      project, [&] { write_file(path, text); }, [&] { fs::remove_all(top); });
}

}  // namespace

TEST_CASE("what directives ask is read off") {
  CHECK(questions({"#if __has_include(<a/b.h>)\n#elif __has_include(\"c.h\")\n#endif\n"}) ==
        "\"c.h <a/b.h");
  CHECK(questions(
            {"#if 0\n# elif defined X && (__has_include ( <a> ) || !__has_include_next(<b>))\n"}) ==
        "<a <b");
  CHECK(questions({"#if __has_embed(<a.bin> limit(3)) == 1\n#endif"}) == "<a.bin");
  CHECK(questions({"#if __has_include(<a//b/*c>)\n"}) == "<a//b/*c");
  CHECK(questions({"#define HAVE __has_include(<a>)\n"}) == "<a");
  CHECK(questions({"#if defined(__has_include) && __has_include(<a>)\n"}) == "<a");
  CHECK(questions({"#ifdef __has_include\n#ifndef __has_embed\n#if !defined __has_include // "
                   "__has_include\n"}) == "");
  CHECK(questions({"#if 1\n#else // __has_include(X)\n#endif /* __has_include(<random>) */\n"}) ==
        "");
  CHECK(questions(
            {"// #if __has_include(X)\n/* #if __has_include(Y)\n*/ int a; // __has_include\n"}) ==
        "");
  CHECK(questions({"#error don't\n#endif // __has_include(<a>)\nint a;\n"}) == "");
}

TEST_CASE("nothing hides a question: splices, comments, digraphs, trigraphs, doubtful texts") {
  CHECK(questions({"#if __has_\\\ninclude(<a>)\n"}) == "<a");
  CHECK(questions({"#\\\n  i\\  \nf __has_include \\\n (<a>)\n"}) == "<a");
  CHECK(questions({"# /* one */ if /* two\n */ __has_include /**/ ( /**/ <a>)\n"}) == "<a");
  CHECK(questions({"/* x\n */ # if __has_include(<a>)\n"}) == "<a");
  CHECK(questions({"#if 1 /*\n*/ && __has_include(<a>)\n"}) == "<a");
  CHECK(questions({"%:if __has_include(<a>)\n"}) == "<a");
  const std::string doubt = "const char* a = R\"(/*)\";\n";  // comments cannot be told
  CHECK(questions({doubt + "#if __has_include(<a>)\n"}) == "<a");
  CHECK(questions({doubt + "/* x\n */ # if __has_include(<a>)\n"}) == "<a");
  CHECK(questions({doubt + "#if 1 /*\n*/ && __has_include(<a>)\n"}) == "<a");
  CHECK(questions({"#if 1 // see x/*.h\n#if __has_include(<a>)\n"}) == "<a");
  CHECK(questions({"%\\\n:if 1 /* one */ /* two\n three\n */ && __has_include(<a>)\n"}) == "<a");
  CHECK(questions({"?\?=if __has_inc?\?/\nlude(<a>)\n"}) == "<a");
  CHECK(questions({"#if __has_include(<a>)\r\n#endif\r\n"}) == "<a");
}

TEST_CASE("a macro that hands its argument on asks where it is used, in any file") {
  const std::string forwarder = "#  define HAS(x) __has_include(x)\n#else\n#  define HAS(x) 0\n";
  CHECK(questions({forwarder, "#if HAS(<a>) && HAS(\"b\")\n", "#define C HAS( <c/c.h> )\n"}) ==
        "\"b <a <c/c.h");
  CHECK(questions({"#if HAS(<a>)\n", forwarder}) == "<a");
  CHECK(questions({"#if OUTER(<a>)\n", "#define OUTER(y) (1 && HAS(y))\n", forwarder}) == "<a");
  CHECK(questions({forwarder,
                   "#ifdef HAS\n#undef HAS\n#if defined(HAS) || defined HAS\nint HAS;\n"}) == "");
  for (const char* use :
       {"#if HAS(NAME)\n", "#if HAS\n", "#if CALL(HAS, <a>)\n", "#if HAS(<a/**/b>)\n",
        "#if HAS(<a b>)\n", "#define OTHER(x) HAS(<x>)\n#define x\n", "#if HAS(<a> X)\n"})
    CHECK(questions({forwarder, "", use}) == "computed in 2");
}

TEST_CASE("a question that cannot be read off counts as computed") {
  for (const char* text :
       {"#if __has_include(NAME)\n", "#define HAS __has_include\n",
        "#define HAS(x) __has_include(#x)\n", "#define HAS(x) __has_include(<x>)\n#define x\n",
        "#define HAS(...) __has_include(__VA_ARGS__)\n", "#define HAS(a, x) __has_include(x)\n",
        "#define HAS(x) __has_##x\n", "#if CAT(__has_, include)(<a>)\n",
        "#define HAS CAT(__, has_include)\n", "#if __has_include (\n",
        "#if __has_include(L\"a\")\n", "#if __has_include(<version>)\n#define version other\n",
        "#if CALL(__has_include, <a>)\n", "#pragma x __has_include(NAME)\n",
        "#if __has_include__(NAME)\n"}) {
    INFO(text);
    CHECK(questions({text}) == "computed in 0");
  }
  // In gnu modes these two are macros.
  CHECK(questions({"#if __has_include(<linux/a.h>)\n"}) == "<1/a.h <linux/a.h");
  // As <type_traits> has it: this is no #if.
  CHECK(questions({"#define NESTED(_T) \\\n  struct __has_##_T { int a; };\n"}) == "");
}

TEST_CASE("what __has_include looked for and found, or did not, is part of what must be the same") {
  Project project;
  const fs::path source = project.root / "src/a.cu";
  const fs::path asked = project.root / "third/opt/opt.h";
  for (const char* question :
       {"__has_include(<opt/opt.h>)", "__has_include(\"opt/opt.h\")", "HAS(<opt/opt.h>)"}) {
    write_file(project.root / "second/x/h.h", "#define VALUE 1\n#define HAS(x) __has_include(x)\n");
    write_file(source, fmt::format("#include <x/h.h>\n#if {}\nint a;\n#endif\n", question));
    INFO(question);
    CHECK(appears(project, asked));
    CHECK(project.last_reason().find(
              "'/sagebuild/tree/third/opt/opt.h' appeared, where the run looked for it") !=
          std::string::npos);
    CHECK(appears(project, project.root / "first/opt/opt.h"));
    CHECK(appears(project, project.root / "src/opt/opt.h") == (question[14] == '"'));
    CHECK_FALSE(appears(project, project.root / "src/opt.h"));
    write_file(asked, "");
    CHECK(is_change(
        project, [&] { fs::remove(asked); }, [&] { write_file(asked, ""); }));
    CHECK(project.last_reason().find(
              "'/sagebuild/tree/third/opt/opt.h' is gone, where the run looked for it") !=
          std::string::npos);
    fs::remove_all(asked.parent_path());
  }
  write_file(source, "#if __has_include(<first/opt.h>)\nint a;\n#endif\n");
  CHECK_FALSE(appears(project, project.root / "opt.h"));
  // By its full name, and by a way through a folder of the search.
  write_file(source, fmt::format("#if __has_include(\"{}\")\nint a;\n#endif\n",
                                 (project.root / "y/z.h").string()));
  CHECK(appears(project, project.root / "y/z.h"));
  write_file(source, "#if __has_include(<../y.h>)\nint a;\n#endif\n");
  CHECK(appears(project, project.root / "y.h"));
}

TEST_CASE(
    "a computed __has_include keeps a result from being stored by its files, and the file is "
    "named") {
  Project project;
  write_file(project.root / "second/x/h.h",
             "#define VALUE 1\n#define NAME <opt.h>\n#if __has_include(NAME)\n#endif\n");
  const auto result = project.run_and_store();
  CHECK(result.files.contains("text"));
  CHECK_FALSE(project.hits());
  CHECK(RecordingReporter::any_has(project.report.details,
                                   "x/h.h' computes the name that it asks for with __has_include"));
  // Where no preprocessor reads the files, that is a text like others.
  SearchScope scope = project.scope();
  scope.preprocessed = false;
  project.cache->store_by_files(project.key(), scope, project.files_read(), Project::started(), {},
                                {});
  CHECK(project.cache->lookup_by_files(project.key(), scope));
}

TEST_CASE("names that a run asks for are looked for in each folder") {
  Project project;
  project.asked = {"libbar.so", "libbar.a", "plugin/x.so"};
  CHECK(appears(project, project.root / "first/libbar.a"));
  CHECK(project.last_reason().find(
            "'/sagebuild/tree/first/libbar.a' appeared, where the run looked for it") !=
        std::string::npos);
  CHECK(appears(project, project.root / "third/plugin/x.so"));
  CHECK_FALSE(appears(project, project.root / "third/x.so"));
  CHECK_FALSE(appears(project, project.root / "src/libbar.so"));
  write_file(project.root / "third/libbar.so", "");
  CHECK(appears(project, project.root / "second/libbar.so"));
  const fs::path there = project.root / "third/libbar.so";
  CHECK(is_change(
      project, [&] { fs::remove(there); }, [&] { write_file(there, ""); }));
  project.reopen();
  CHECK(project.hits());
}

TEST_CASE(
    "a header that shadows one of the compiler's own folders is seen, and one behind "
    "include_next") {
  Project project;
  const fs::path local = project.root / "local";  // not there yet
  const fs::path builtin = project.root / "builtin";
  write_file(builtin / "deep/own.h", "int own;\n");
  write_file(project.root / "first/next.h", "#include_next <next.h>\n");
  write_file(builtin / "next.h", "int next;\n");
  write_file(project.root / "src/a.cu", "#include <deep/own.h>\n#include <next.h>\n");
  project.folders = {project.root / "first", local, project.root / "third", builtin};
  CHECK(appears(project, local / "deep/own.h"));
  CHECK(project.last_reason().find("'/sagebuild/tree/local/deep/own.h' appeared, and the search "
                                   "may find it in place of another") != std::string::npos);
  CHECK(appears(project, local / "next.h"));
  CHECK(appears(project, project.root / "third/next.h"));
  CHECK_FALSE(appears(project, local / "own.h"));
  // A folder of that name is passed by, and what is in it by that name is not.
  CHECK_FALSE(is_change(
      project, [&] { make_folders(project.root / "first/deep/own.h"); },
      [&] { fs::remove_all(project.root / "first/deep"); }));
}

TEST_CASE("links in the search: folders by another name, broken ones, loops, and ways through ..") {
  Project project;
  const fs::path real = project.root / "real/sub";
  write_file(real / "h.h", "int a;\n");
  write_file(project.root / "up.h", "int up;\n");
  fs::create_directory_symlink(real, project.root / "link");
  // The compiler may give the name of a system header without links, and another folder holds that.
  project.folders = {project.root / "first", project.root / "real", project.root / "link",
                     project.root / "third"};
  write_file(project.root / "src/a.cu", "#include <h.h>\n#include <../up.h>\n");
  project.run_and_store();
  REQUIRE(project.hits());
  const auto files = std::vector<fs::path>{project.root / "src/a.cu", real / "h.h",
                                           project.root / "first/../up.h"};
  fs::remove_all(project.folder);
  project.reopen();
  const auto result = project.run_and_store();
  SearchScope scope = project.scope();
  const ActionKey key = ActionKey("preprocess", "links");
  project.cache->store_by_files(key, scope, files, Project::started(), {}, {});
  const auto hits = [&] { return project.cache->lookup_by_files(key, scope).has_value(); };
  CHECK(hits());
  write_file(project.root / "first/h.h", "");
  CHECK_FALSE(hits());
  fs::remove(project.root / "first/h.h");
  CHECK(hits());
  write_file(project.root / "real/up.h", "");  // found by link/../up.h
  CHECK_FALSE(hits());
  fs::remove(project.root / "real/up.h");
  CHECK(hits());
  fs::create_symlink("nowhere", project.root / "first/h.h");  // the search goes on
  CHECK(hits());
  CHECK(project.hits());
  fs::remove(project.root / "first/h.h");
  fs::create_symlink("h.h", project.root / "first/h.h");  // it stops here
  CHECK_FALSE(hits());
  fs::remove(project.root / "first/h.h");
  // Another folder behind the same name.
  write_file(project.root / "other/h.h", "int b;\n");
  fs::remove(project.root / "link");
  fs::create_directory_symlink(project.root / "other", project.root / "link");
  CHECK_FALSE(project.hits());
  CHECK_FALSE(hits());  // though what the compiler named is as it was
  CHECK(result.files.contains("text"));
}

TEST_CASE(
    "a link that leads elsewhere is seen where the compiler named the real file, and a way up in "
    "each folder") {
  Project project;
  write_file(project.root / "real/h.h", "int a;\n");
  write_file(project.root / "other/h.h", "int b;\n");
  write_file(project.root / "up.h", "int up;\n");
  make_folders(project.root / "far/in");
  make_folders(project.root / "third");
  fs::create_directory_symlink(project.root / "real", project.root / "link");
  project.folders = {"far/in", "link", "third"};
  const std::vector<fs::path> files = {project.root / "src/a.cu", project.root / "real/h.h",
                                       project.root / "third/../up.h"};
  const SearchScope scope = project.scope();
  project.cache->store_by_files(project.key(), scope, files, Project::started(), {}, {});
  const auto hits = [&] {
    return project.cache->lookup_by_files(project.key(), scope).has_value();
  };
  CHECK(hits());
  write_file(project.root / "far/up.h", "");
  CHECK_FALSE(hits());
  fs::remove(project.root / "far/up.h");
  CHECK(hits());

  const ActionKey key = project.key("without a way up");
  const std::vector<fs::path> plain(files.begin(), files.begin() + 2);
  project.cache->store_by_files(key, scope, plain, Project::started(), {}, {});
  CHECK(project.cache->lookup_by_files(key, scope));
  fs::remove(project.root / "link");
  fs::create_directory_symlink(project.root / "other", project.root / "link");
  CHECK_FALSE(project.cache->lookup_by_files(key, scope));
}

TEST_CASE("a file that became unreadable, a folder or a broken link is a miss") {
  Project project;
  const fs::path header = project.root / "second/x/h.h";
  project.run_and_store();
  const std::string text = read_file(header);
  const auto misses = [&](const std::function<void()>& change) {
    const bool hit_before =
        project.cache->lookup_by_files(project.key(), project.scope()).has_value();
    change();
    const bool hit = project.cache->lookup_by_files(project.key(), project.scope()).has_value();
    fs::remove_all(header);
    write_file(header, text);
    return hit_before && !hit;
  };
  CHECK(misses([&] { fs::remove(header); }));
  CHECK(misses([&] {
    fs::remove(header);
    fs::create_symlink("nowhere", header);
  }));
  CHECK(misses([&] {
    fs::remove(header);
    make_folders(header);
  }));
  CHECK(misses([&] { fs::remove_all(project.root / "second"); }));
  // Root may read all, but not without its capabilities.
  CHECK(in_child([&] {
          __user_cap_header_struct version{_LINUX_CAPABILITY_VERSION_3, 0};
          std::array<__user_cap_data_struct, 2> none{};
          if (syscall(SYS_capset, &version, none.data()) != 0) return 2;
          return misses([&] { fs::permissions(header, fs::perms::none); }) ? 0 : 1;
        }) == 0);
}

TEST_CASE("a folder that may be searched and not listed hides nothing") {
  if (getuid() == 0) {
    // As another user, who alone is bound by modes.
    const fs::path base =
        fs::temp_directory_path() / fmt::format("sagebuild-unlisted-{}", getpid());
    make_folders(base / "first");
    write_file(base / "first/h.h", "");
    fs::permissions(base, fs::perms(0755));
    fs::permissions(base / "first", fs::perms(0711));
    fs::permissions(base / "first/h.h", fs::perms(0644));
    const int status = in_child([&] {
      if (setuid(65534) != 0) return 1;
      FolderNames names;
      SearchScope scope;
      scope.include_folders = {base / "first"};
      const bool found = found_elsewhere({"/opt/h.h"}, scope, names).size() == 1;
      const bool asked = found_of_asked({"<h.h"}, {}, scope, names).size() == 1;
      return found && asked ? 0 : 2;
    });
    fs::remove_all(base);
    CHECK(status == 0);
    return;
  }
  Project project;
  fs::permissions(project.root / "first", fs::perms(0311));
  const bool seen = appears(project, project.root / "first/x.h") ||
                    appears(project, project.root / "first/vector");
  fs::permissions(project.root / "first", fs::perms(0755));
  CHECK(seen);
}

TEST_CASE("a file that appeared during the run is not taken for one that the run saw") {
  Project project;
  const auto files = project.files_read();
  write_file(project.root / "first/x/h.h", "#define VALUE 3\n");
  struct stat status {};
  stat((project.root / "first/x/h.h").c_str(), &status);
  // The others are older than the run.
  const auto began =
      ActionCache::Clock::time_point(std::chrono::seconds(status.st_ctim.tv_sec) +
                                     std::chrono::microseconds(status.st_ctim.tv_nsec / 1000));
  while (ActionCache::Clock::now() < began + std::chrono::milliseconds(200)) {
  }
  write_file(project.root / "third/x/h.h", "");
  project.cache->store_by_files(project.key(), project.scope(), files,
                                began + std::chrono::milliseconds(100), {}, {});
  CHECK(RecordingReporter::any_has(project.report.details,
                                   "third/x/h.h' appeared or changed during the run"));
  CHECK_FALSE(project.cache->lookup_by_files(project.key(), project.scope()));
}

// Whatever appears, vanishes or changes its kind: a hit is what the preprocessor gives now.
TEST_CASE("random changes of a tree never hit a stale text") {
  Project project;
  const std::vector<std::string> names = {"x/h.h", "next.h", "opt.h", "q.h", "beside.h"};
  const std::vector<std::string> places = {"first", "second", "third", "src", "local"};
  project.folders.push_back(project.root / "local");
  write_file(
      project.root / "src/a.cu",
      "#include <x/h.h>\n#include \"beside.h\"\n#include <next.h>\n#include \"q.h\"\n"
      "#if __has_include(<opt.h>)\nint opt;\n#endif\n#if __has_include(\"q.h\")\nint q;\n#endif\n");
  write_file(project.root / "third/next.h", "int last;\n");
  write_file(project.root / "third/q.h", "int q3;\n");
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto one_of = [&](const auto& all) { return all[random() % all.size()]; };
  int hits = 0, misses = 0, failures = 0;
  for (int round = 0; round < 150; ++round) {
    const fs::path path = project.root / one_of(places) / one_of(names);
    std::error_code ignored;
    switch (random() % 6) {
      case 0:
      case 1:
        fs::remove_all(path, ignored);
        break;
      case 2:
        fs::remove_all(path, ignored);
        make_folders(path);
        break;
      case 3:
        fs::remove_all(path, ignored);
        make_folders(path.parent_path());
        fs::create_symlink(random() % 2 == 0 ? "nowhere" : "../third/q.h", path, ignored);
        break;
      default:
        fs::remove_all(path, ignored);
        write_file(path, random() % 2 == 0 ? "int one;\n"
                                           : "#if __has_include_next(<opt.h>)\nint n;\n#endif\n");
    }
    Command command{project.preprocessor("-E")};
    // A header is missing: nothing is stored, and the same state was never stored
    if (!run(command).ok()) {
      ++failures;
      CHECK_FALSE(project.cache->lookup_by_files(project.key(), project.scope()));
      // What is missing stays so for some twenty rounds, so one of each comes back.
      for (const char* name : {"x/h.h", "next.h", "q.h", "beside.h"}) {
        const fs::path mended = project.root / one_of(places) / name;
        fs::remove_all(mended, ignored);
        write_file(mended, "int mended;\n");
      }
      continue;
    }
    (project.hits() ? hits : misses)++;
    project.run_and_store();
    CHECK(project.hits());
  }
  CAPTURE(hits, misses, failures);
  CHECK(hits > 10);
  CHECK(misses > 10);
}

}  // namespace sagebuild
