#include "sagebuild/app/rebuild.hpp"

#include <cstdlib>
#include <utility>

#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/wheel_factory.hpp"

namespace sagebuild {
namespace {

StatedProvenance stated_build() {
  StatedProvenance stated;
  stated.url = "https://host/x";
  stated.ref = "main";
  stated.commit = "d1a57a546c3d395b1ffcbeecc66d81db76f3b4b5";
  stated.recipe = "sage";
  stated.archs = "8.9 12.0+PTX";
  stated.python = "cp311";
  stated.torch = "2.11.0+cu130";
  stated.cuda = "13.0";
  stated.parameters.headers = "check";
  stated.parameters.parts = false;
  stated.parameters.subfolder = "sub";
  stated.parameters.variables = {"FORCE_CUDA=1"};
  return stated;
}

}  // namespace

TEST_CASE("a wheel is built again with what its provenance says") {
  const BuildSettings build = settings_for_rebuild(stated_build(), {});
  CHECK(build.source.location == "https://host/x");
  CHECK(build.source.ref == "d1a57a546c3d395b1ffcbeecc66d81db76f3b4b5");
  CHECK(build.source.subfolder == "sub");
  // The second wheel says what the first one said, and not that it was asked for a commit.
  CHECK(build.told_source->ref == "main");
  CHECK(build.recipe == "sage");
  CHECK(build.archs.text == "8.9 12.0+PTX");
  CHECK(build.python.python == "3.11");
  CHECK(build.python.torch == "2.11.0");
  CHECK(build.python.cuda == "13.0");
  CHECK(build.toolchain.cuda == Version{13, 0});
  CHECK(build.headers == HeaderChoice::check);
  CHECK(build.compression == Compression::project);  // no word of it: it is older than the choice
  CHECK_FALSE(build.parts);
  CHECK(build.setup_variables == std::vector<std::string>{"FORCE_CUDA=1"});
}

TEST_CASE("the reader's recipe takes the place of the provenance's, by name or as a file") {
  RebuildSettings named;
  named.recipe = "other";
  CHECK(settings_for_rebuild(stated_build(), std::move(named)).recipe == "other");
  RebuildSettings file;
  file.recipe_file = "my.toml";
  const BuildSettings build = settings_for_rebuild(stated_build(), std::move(file));
  CHECK(build.recipe == "sage");
  CHECK(build.recipe_file == "my.toml");
}

TEST_CASE("a wheel by a choice that is not known is not built again by another") {
  StatedProvenance stated = stated_build();
  stated.parameters.compression = "zstd9";
  CHECK_THROWS_MATCHES(settings_for_rebuild(stated, {}), Error, says("--compress zstd9"));
}

TEST_CASE("nvcc's own flags have to be what they were") {
  StatedProvenance stated = stated_build();
  CHECK_NOTHROW(settings_for_rebuild(stated, {}));  // an older one does not say
  stated.parameters.nvcc_flags = std::vector<std::string>{"NVCC_APPEND_FLAGS=-lineinfo"};
  CHECK_THROWS_MATCHES(settings_for_rebuild(stated, {}), Error,
                       says("with NVCC_APPEND_FLAGS=-lineinfo, and now there is none"));
  setenv("NVCC_APPEND_FLAGS", "-lineinfo", 1);
  CHECK_NOTHROW(settings_for_rebuild(stated, {}));
  stated.parameters.nvcc_flags->front() = "NVCC_APPEND_FLAGS";  // it had a path in it
  CHECK_NOTHROW(settings_for_rebuild(stated, {}));
  stated.parameters.nvcc_flags->clear();
  CHECK_THROWS_MATCHES(settings_for_rebuild(stated, {}), Error,
                       says("with no NVCC_APPEND_FLAGS, and now there is"));
  unsetenv("NVCC_APPEND_FLAGS");
}

TEST_CASE("what a provenance leaves open has to be told") {
  StatedProvenance stated = stated_build();
  stated.parameters.variables = {"TOKEN"};
  CHECK_THROWS_MATCHES(settings_for_rebuild(stated, {}), Error,
                       says("the variable TOKEN, whose value is not known"));
  RebuildSettings told;
  told.variables = {"TOKEN=x"};
  told.source = "/src";
  stated.url.clear();
  stated.dirty = true;
  const BuildSettings build = settings_for_rebuild(stated, std::move(told));
  CHECK(build.setup_variables == std::vector<std::string>{"TOKEN=x"});
  CHECK(build.source.location == "/src");
  CHECK(build.source.ref.empty());  // a folder with changes is not its commit
  stated.parameters.variables.clear();
  CHECK_THROWS_MATCHES(settings_for_rebuild(stated, {}), Error,
                       says("names no address of its source"));
  stated.url = "https://host/x";
  stated.parameters.source_date_epoch = 1'700'000'000;
  CHECK_THROWS_MATCHES(settings_for_rebuild(stated, {}), Error,
                       says("SOURCE_DATE_EPOCH=1700000000"));
  setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
  CHECK_NOTHROW(settings_for_rebuild(stated, {}));
  unsetenv("SOURCE_DATE_EPOCH");
}

TEST_CASE("variables stand in the order of the provenance, which is part of its bytes") {
  StatedProvenance stated = stated_build();
  stated.parameters.variables = {"FORCE_CUDA=1", "PHRASE", "FAST=0"};
  RebuildSettings told;
  told.variables = {"MORE=1", "PHRASE=abc"};
  CHECK(settings_for_rebuild(stated, std::move(told)).setup_variables ==
        std::vector<std::string>{"FORCE_CUDA=1", "PHRASE=abc", "FAST=0", "MORE=1"});
}

TEST_CASE("wheels are compared by their entries") {
  const TempDir folder;
  const std::string name = "pkg-1.0-cp311-cp311-linux_x86_64.whl";
  const auto write = [&](const char* place, const WheelContent& content) {
    make_folders(folder.path() / place);
    return write_wheel(folder.path() / place, name, content);
  };
  WheelContent content = wheel_content(name, "payload");
  const auto one = write("one", content);
  CHECK(differences_of(one, write("same", content)).empty());
  content[0].second.content = "another";
  content.push_back({"pkg/more.py", {"x"}});
  CHECK(differences_of(one, write("other", content)) ==
        std::vector<std::string>{"pkg-1.0.dist-info/RECORD differs", "pkg/_module.so differs",
                                 "pkg/more.py is in the second alone"});
  const auto packed = folder.path() / "packed.whl";
  WheelContent sorted = wheel_content(name, "payload");
  sorted.push_back({"pkg-1.0.dist-info/RECORD", {record_of(sorted, "pkg-1.0.dist-info")}});
  std::swap(sorted[0], sorted[1]);
  write_zip(packed, sorted, 1'700'000'000);
  CHECK(differences_of(one, packed) ==
        std::vector<std::string>{"every file is the same, and packed in another way"});
}

}  // namespace sagebuild
