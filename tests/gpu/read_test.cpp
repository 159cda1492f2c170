#include "sagebuild/gpu/read.hpp"

#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/gpu_files.hpp"

namespace sagebuild {
namespace {

GpuCode code_of(const std::string& bytes, const GpuReadSettings& settings = {}) {
  const TempDir folder;
  write_file(folder.path() / "file", bytes);
  return read_gpu_code(folder.path() / "file", settings);
}

std::vector<std::string> names_in(const GpuCode& code) {
  std::vector<std::string> names;
  for (const GpuContainer& container : code.containers)
    for (const GpuImage& image : container.images) names.push_back(name_of(image));
  return names;
}

const std::string kCubin = cubin_of(80, {{"_Z1av", 2}, {"_Z1bv"}});

TEST_CASE("an image is the same in each of the five codecs") {
  for (const ImageCodec codec : {ImageCodec::none, ImageCodec::zlib, ImageCodec::lz4,
                                 ImageCodec::lz4_frame, ImageCodec::zstd}) {
    INFO(name_of(codec));
    std::string seen;
    GpuReadSettings settings;
    settings.take = [&](const GpuContainer&, const GpuImage&, std::string_view bytes) {
      seen = bytes;
    };
    const GpuCode code =
        code_of(library_of(container_of({{.content = kCubin, .codec = codec}})), settings);
    CHECK(code.faults.empty());
    REQUIRE(names_in(code) == std::vector<std::string>{"sm_80"});
    const GpuImage& image = code.containers[0].images[0];
    CHECK(image.kernels == 2);
    CHECK(image.traps == 2);
    REQUIRE(image.trapping.size() == 1);
    CHECK(image.trapping[0].name == "_Z1av");
    CHECK(image.codec == codec);
    CHECK(seen == kCubin);
  }
}

TEST_CASE("the suffix comes from the entry, and from the cubin where only that says it") {
  const auto name = [](unsigned arch, std::uint64_t flags, const std::string& cubin) {
    return names_in(
        code_of(library_of(container_of({{.arch = arch, .content = cubin, .flags = flags}}))))[0];
  };
  CHECK(name(120, 0x1000011, cubin_of(120, {{"k"}})) == "sm_120");
  CHECK(name(120, 0x1100011, cubin_of(120, {{"k"}})) == "sm_120a");
  CHECK(name(120, 0x1200011, cubin_of(120, {{"k"}})) == "sm_120f");
  CHECK(name(90, 0x11, cubin_of(90, {{"k"}}, 7, 0x800)) == "sm_90a");
  CHECK(name(90, 0x11, cubin_of(90, {{"k"}}, 7)) == "sm_90");
  CHECK(name(100, 0x11, cubin_of(100, {{"k"}}, 8, 0x8)) == "sm_100a");
}

TEST_CASE("an older cubin tells its toolkit and its virtual architecture") {
  const GpuCode code =
      code_of(library_of(container_of({{.arch = 86, .content = cubin_of(86, {{"k"}}, 7)}})));
  CHECK(code.faults.empty());
  CHECK(code.containers[0].images[0].toolkit == Version{12, 8});
  CHECK(code.containers[0].images[0].virtual_arch == 86);
}

TEST_CASE("containers lie end to end, with names, stubs, PTX and kinds that nobody knows") {
  const std::string ptx =
      ptx_of("sm_120a",
             ".func f(){ trap; }\n.visible .entry _Z1kPi(\n.param .u64 p)\n{\n@%p trap;\nbrkpt;\n"
             "// trap;\n}\n.entry two(){ ret; }\n");
  const std::string fatbin = container_of({{.content = kCubin, .name = "long/name/of/a/source.cu"},
                                           {.kind = 1,
                                            .arch = 120,
                                            .content = ptx,
                                            .codec = ImageCodec::zstd,
                                            .flags = 0x100011}}) +
                             container_of({{.content = cubin_of(80, {})}}) +
                             container_of({{.kind = 0x40, .arch = 90, .content = "who knows"}});
  const GpuCode code = code_of(library_of(fatbin));
  REQUIRE(code.containers.size() == 3);
  CHECK(names_in(code) ==
        std::vector<std::string>{"sm_80", "compute_120a", "sm_80", "kind 0x40 for 90"});
  CHECK(code.containers[0].images[0].identifier == "long/name/of/a/source.cu");
  const GpuImage& text = code.containers[0].images[1];
  CHECK(text.kernels == 2);
  CHECK(text.ptx_isa == Version{9, 0});
  REQUIRE(text.trapping.size() == 2);
  CHECK(text.trapping[1].name == "_Z1kPi");
  CHECK(text.trapping[1].traps >= 2);
  CHECK(code.containers[0].has_kernels());
  CHECK_FALSE(code.containers[1].has_kernels());
  REQUIRE(code.faults.size() == 1);
  CHECK(code.faults[0].find("unknown kind 64") != std::string::npos);
}

TEST_CASE("what is relocatable stands apart, and deep looks everywhere") {
  const std::string container = container_of({{.content = kCubin}});
  const GpuCode code = code_of(library_of(container, "__nv_relfatbin"));
  CHECK(code.containers.at(0).relocatable);
  CHECK(code.relocatable_bytes == container.size());
  const std::string hidden = library_of("x" + kCubin + "y" + container, ".rodata");
  CHECK(code_of(hidden).containers.empty());
  GpuReadSettings deep;
  deep.deep = true;
  CHECK(names_in(code_of(hidden, deep)) == std::vector<std::string>{"sm_80", "sm_80"});
  CHECK(code_of(hidden, deep).containers[0].images[0].kernels == 2);
}

TEST_CASE("a bare cubin and a bare fatbin are read as they are") {
  CHECK(names_in(code_of(kCubin)) == std::vector<std::string>{"sm_80"});
  CHECK(names_in(code_of(container_of({{.content = kCubin}}))) ==
        std::vector<std::string>{"sm_80"});
  CHECK_THROWS_MATCHES(code_of("neither"), Error, says("no 64-bit ELF file"));
  CHECK_THROWS_AS(code_of(""), Error);
}

TEST_CASE("what contradicts itself is told") {
  const auto fault = [](const MadeImage& image) {
    const GpuCode code = code_of(library_of(container_of({image})));
    REQUIRE(code.faults.size() == 1);
    return code.faults[0];
  };
  CHECK(fault({.arch = 86, .content = kCubin}).find("made for sm_80, and its header says sm_86") !=
        std::string::npos);
  CHECK(fault({.kind = 1, .arch = 90, .content = ptx_of("sm_80", "")}).find("made for sm_80") !=
        std::string::npos);
  CHECK(fault({.content = kCubin, .flags = 0xa011}).find("two ways") != std::string::npos);
  CHECK(fault({.content = "no ELF at all"}).find("ELF") != std::string::npos);
}

TEST_CASE("a codec that ends short, long or wrong is a fault, never no kernels without a word") {
  for (const ImageCodec codec :
       {ImageCodec::zlib, ImageCodec::lz4, ImageCodec::lz4_frame, ImageCodec::zstd}) {
    for (const std::uint64_t size : {kCubin.size() - 1, kCubin.size() + 1}) {
      const GpuCode code = code_of(
          library_of(container_of({{.content = kCubin, .codec = codec, .unpacked = size}})));
      INFO(name_of(codec) << " " << size);
      CHECK(code.faults.size() == 1);
      CHECK_FALSE(code.containers.at(0).images.at(0).traps_known);
    }
    std::string wrong = container_of({{.content = kCubin, .codec = codec}});
    wrong[16 + 0x40] = static_cast<char>(~wrong[16 + 0x40]);
    CHECK(code_of(library_of(wrong)).faults.size() == 1);
  }
}

TEST_CASE("a size that cannot be costs no memory") {
  for (const std::uint64_t size : {std::uint64_t{1} << 63, ~std::uint64_t{0},
                                   std::uint64_t{1} << 29, std::uint64_t{1} << 40}) {
    const GpuCode code = code_of(library_of(
        container_of({{.content = kCubin, .codec = ImageCodec::zstd, .unpacked = size}})));
    CHECK(code.faults.size() == 1);
  }
  // The sizes of containers and entries
  for (const std::size_t at : {8U, 16U + 4U, 16U + 8U, 16U + 0x10U}) {
    for (const std::uint64_t size :
         {std::uint64_t{1} << 63, ~std::uint64_t{0}, std::uint64_t{1} << 31}) {
      std::string fatbin = container_of({{.content = kCubin, .codec = ImageCodec::lz4}});
      std::memcpy(fatbin.data() + at, &size, at == 20 || at == 32 ? 4 : 8);
      CHECK_FALSE(code_of(library_of(fatbin)).faults.empty());
    }
  }
}

TEST_CASE("cut off anywhere, or with any byte of its headers changed, it is read or told") {
  const std::string library = library_of(
      container_of({{.content = kCubin, .codec = ImageCodec::lz4},
                    {.kind = 1, .arch = 90, .content = ptx_of("sm_90", ".entry k(){}")}}));
  const TempDir folder;
  const auto file = folder.path() / "file";
  std::size_t refused = 0, told = 0;
  const auto feed = [&](const std::string& bytes) {
    write_file(file, bytes);
    try {
      GpuReadSettings settings;
      settings.deep = true;
      told += read_gpu_code(file, settings).faults.empty() ? 0U : 1U;
    } catch (const Error&) {
      ++refused;
    }
  };
  for (std::size_t size = 0; size < library.size(); ++size) feed(library.substr(0, size));
  CHECK(refused > 0);
  for (std::size_t at = 0; at < library.size(); ++at) {
    std::string changed = library;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    feed(changed);
  }
  CHECK(told > 0);
}

}  // namespace
}  // namespace sagebuild
