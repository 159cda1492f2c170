// The whole command: real files, real Python, the binary as a user runs it.

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "patch/shapes.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// A private folder with one file; `settings` point at it.
struct World {
  TempDir dir{"patch-command"};
  fs::path file = dir.path() / "setup.py";
  RecordingReporter report;
  PatchSettings settings = plain_settings();

  explicit World(const std::string& text = shape_text("v2_2_main")) {
    write_file(file, text);
    settings.target = file.string();
  }
};

ProcessResult sagebuild(std::vector<std::string> arguments, const std::string& input = "") {
  Command command;
  command.argv = {std::getenv("SAGEBUILD_TEST_BINARY"), "patch"};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.env["SAGEBUILD_DATA_DIR"] = source_folder();
  command.input = input;
  return run(command);
}

// A tree of version 2.1.0 or 2.2.0 as far as rules for other files go; texts are ours.
const char* const kCore22 = R"(
def sageattn(q, k, v, arch):
    if arch == "sm89":
        return fp8(q)
    elif arch == "sm90":
        return sageattn_qk_int8_pv_fp8_cuda_sm90(q, k, v)
    elif arch == "sm120":
        return fp8(q)
    else:
        raise ValueError(arch)

def sageattn_qk(q, k, tensor_layout):
    nh_dim = 2 if tensor_layout == 0 else 1
    if k is not None:
        nqheads = q.size(2)
        nkheads = k.size(2)
    return nqheads // nkheads, nh_dim
)";
const char* const kSm90 = R"(
@torch.library.custom_op("sageattention_sm90::qk_int8_sv_f8_accum_f32_fuse_v_scale_attn_inst_buf")
def qk_int8_sv_f8_accum_f32_fuse_v_scale_attn_inst_buf(query):
    return real(query)


@torch.library.register_fake("sageattention_sm90::qk_int8_sv_f8_accum_f32_fuse_v_scale_attn_inst_buf")
def qk_int8_sv_f8_accum_f32_fuse_v_scale_attn_inst_buf(query):
    return empty(query)
)";

void write_tree(const fs::path& root) {
  make_folders(root / "sageattention");
  write_file(root / "setup.py", shape_text("v2_2_0"));
  write_file(root / "sageattention/__init__.py", "\"\"\"Doc.\"\"\"\nfrom .core import sageattn");
  write_file(root / "sageattention/core.py", kCore22);
  write_file(root / "sageattention/sm90_compile.py", kSm90);
}

}  // namespace

TEST_CASE("a file is patched in place, keeps its mode, and a link to it stays a link") {
  World world;
  ::chmod(world.file.c_str(), 0750);
  const fs::path link = world.dir.path() / "linked.py";
  fs::create_symlink("setup.py", link);
  world.settings.target = link.string();
  world.settings.recipe = "sageattention";
  const PatchReport result = patch_files(world.settings, world.report);
  CHECK(result.recipe == "sageattention");
  CHECK(read_file(world.file).find("requested_archs") != std::string::npos);
  CHECK(fs::is_symlink(link));
  CHECK((fs::status(world.file).permissions() & fs::perms::all) == fs::perms(0750));
  CHECK(RecordingReporter::any_has(
      result.not_applied, "rule 'hopper-fake-name' is for 'sageattention/sm90_compile.py'"));
}

TEST_CASE("--check, --diff and --verify write nothing; --output writes elsewhere") {
  World world;
  const std::string before = read_file(world.file);
  PatchSettings check = world.settings;
  check.check = true;
  CHECK_THROWS_MATCHES(patch_files(check, world.report), Error,
                       says("needs a patch").hints("sagebuild patch"));
  PatchSettings diff = world.settings;
  diff.diff = true;
  const PatchReport shown = patch_files(diff, world.report);
  PatchSettings verify = world.settings;
  verify.verify = true;
  CHECK(patch_files(verify, world.report).table.size() > 5);
  CHECK(read_file(world.file) == before);

  PatchSettings elsewhere = world.settings;
  elsewhere.output = world.dir.path() / "out.py";
  (void)patch_files(elsewhere, world.report);
  CHECK(read_file(world.file) == before);
  CHECK(read_file(*elsewhere.output).find("requested_archs") != std::string::npos);

  Command patch;
  patch.argv = {"patch", "-p1", "-s"};
  patch.cwd = world.dir.path();
  patch.input = shown.diff;
  CHECK(run(patch).ok());
  CHECK(read_file(world.file) == read_file(*elsewhere.output));
  CHECK_NOTHROW(patch_files(check, world.report));
  diff.check = true;
  CHECK_THROWS_MATCHES(patch_files(diff, world.report), Error, says("do not go together"));
}

TEST_CASE("a folder is patched as a whole: dispatch, version, the Hopper fix") {
  World world;
  write_tree(world.dir.path());
  world.settings.target = world.dir.path().string();
  (void)patch_files(world.settings, world.report);
  const std::string core = read_file(world.dir.path() / "sageattention/core.py");
  CHECK(core.find("elif arch in (\"sm120\", \"sm121\"):") != std::string::npos);
  CHECK(core.find("nh_dim = 2 if tensor_layout == \"NHD\" else 1") != std::string::npos);
  CHECK(core.find("nqheads = q.size(nh_dim)") != std::string::npos);
  CHECK(core.find("nkheads = k.size(nh_dim)") != std::string::npos);
  const std::string init = read_file(world.dir.path() / "sageattention/__init__.py");
  CHECK(init.find("\"\"\"Doc.\"\"\"\nfrom importlib.metadata") == 0);
  CHECK(init.ends_with("from .core import sageattn"));
  const std::string sm90 = read_file(world.dir.path() / "sageattention/sm90_compile.py");
  CHECK(sm90.find("register_fake(\"sageattention_sm90::qk_int8_sv_f8_accum_f32_fuse_v_scale_attn_"
                  "inst_buf\")\n"
                  "def qk_int8_sv_f8_accum_f32_fuse_v_scale_attn_inst_buf_fake_impl(") !=
        std::string::npos);
  CHECK(sm90.find(
            "def qk_int8_sv_f8_accum_f32_fuse_v_scale_attn_inst_buf(query):\n    return real") !=
        std::string::npos);
  world.settings.check = true;
  CHECK_NOTHROW(patch_files(world.settings, world.report));

  // One file of the project, by its path.
  World other;
  write_tree(other.dir.path());
  other.settings.target = (other.dir.path() / "sageattention/core.py").string();
  (void)patch_files(other.settings, other.report);
  CHECK(read_file(other.dir.path() / "sageattention/core.py") == core);
  CHECK(read_file(other.dir.path() / "setup.py") == shape_text("v2_2_0"));
}

TEST_CASE("version 2.1.0 learns to dispatch sm120") {
  World world(shape_text("v2_1_0"));
  make_folders(world.dir.path() / "sageattention");
  write_file(world.dir.path() / "sageattention/core.py",
             "def f(q, k, v, arch):\n    if arch == \"sm89\":\n        return 1\n    elif arch == "
             "\"sm90\":\n"
             "        return sageattn_qk_int8_pv_fp8_cuda_sm90(q, k, v)\n    else:\n        raise "
             "ValueError(arch)\n");
  world.settings.target = world.dir.path().string();
  (void)patch_files(world.settings, world.report);
  CHECK(read_file(world.dir.path() / "sageattention/core.py")
            .find("\n    elif arch in (\"sm120\", \"sm121\"):\n        return "
                  "sageattn_qk_int8_pv_fp8_cuda(") != std::string::npos);
}

TEST_CASE("a fork without the faults that rules mend is left alone") {
  World world(shape_text("v2_1_0"));
  const fs::path sm90 = world.dir.path() / "sageattention/sm90_compile.py";
  const fs::path core = world.dir.path() / "sageattention/core.py";
  make_folders(sm90.parent_path());
  // The operator is registered in C++, and called through torch.ops.
  const std::string fake_only =
      "_qattn_sm90 = torch.ops.sageattention_qattn_sm90\n"
      "@torch.library.register_fake(\"sageattention_qattn_sm90::qk_int8_sv_f8_accum_f32_fuse_v_"
      "scale_attn_inst_buf\")\n"
      "def qk_int8_sv_f8_accum_f32_fuse_v_scale_attn_inst_buf(query):\n    return empty(query)\n";
  write_file(sm90, fake_only);
  // Nothing is told apart by architecture.
  const std::string one_way =
      "def f(q):\n    return triton(q)\n\n"
      "def sageattn_qk_int8_pv_fp8_cuda_sm90(q):\n    return q\n";
  write_file(core, one_way);
  world.settings.target = world.dir.path().string();
  CHECK_NOTHROW(patch_files(world.settings, world.report));
  CHECK(read_file(sm90) == fake_only);
  CHECK(read_file(core) == one_way);
}

TEST_CASE("nothing is written when one file of a tree does not fit") {
  World world;
  write_tree(world.dir.path());
  write_file(world.dir.path() / "sageattention/sm90_compile.py", "register_fake = 1\n");
  world.settings.target = world.dir.path().string();
  CHECK_THROWS_MATCHES(patch_files(world.settings, world.report), Error,
                       says("rule 'hopper-fake-name' expects 1 match and found 0"));
  CHECK(read_file(world.file) == shape_text("v2_2_0"));
  CHECK(read_file(world.dir.path() / "sageattention/core.py") == kCore22);
}

TEST_CASE("bad input: read-only, vanished, no project, not UTF-8, a result that is no Python") {
  World world;
  ::chmod(world.file.c_str(), 0444);
  CHECK_THROWS_MATCHES(patch_files(world.settings, world.report), Error,
                       says("it is read-only").hints("--output"));
  fs::remove(world.file);
  CHECK_THROWS_MATCHES(patch_files(world.settings, world.report), Error, says("No such file"));
  World folder("x = 1\n");
  CHECK_THROWS_MATCHES(patch_files(folder.settings, folder.report), Error,
                       says("is no project that sagebuild has rules for").hints("--recipe"));
  folder.settings.target = folder.dir.path().string();
  CHECK_THROWS_MATCHES(patch_files(folder.settings, folder.report), Error, says("is no project"));
  World bytes("# name='sageattention' \xFF\n");
  CHECK_THROWS_MATCHES(patch_files(bytes.settings, bytes.report), Error,
                       says("is not UTF-8: byte 0xff at offset 23"));
  World broken(shape_text("v2_2_main") + "\nif True\n    pass\n");
  CHECK_THROWS_MATCHES(patch_files(broken.settings, broken.report), Error,
                       says("would not be valid Python").hints("nothing was written"));
  World no_python;
  no_python.settings.python = "no-such-python";
  CHECK_NOTHROW(patch_files(no_python.settings, no_python.report));
  CHECK(RecordingReporter::any_has(no_python.report.warnings, "was not checked"));
}

TEST_CASE("a recipe of one's own is taken, and its mistakes are found by --lint") {
  World world("# mine\nvalue = 1\n");
  world.settings.recipe_file = world.dir.path() / "mine.toml";
  write_file(
      *world.settings.recipe_file,
      "name = 'mine'\ndetect = ['mine']\n[[rule]]\nid = 'v'\nwhy = 'more'\npattern = 'value = 1'\n"
      "replace = 'value = 2'\ndone = 'value = 2'\n");
  (void)patch_files(world.settings, world.report);
  CHECK(read_file(world.file) == "# mine\nvalue = 2\n");
  CHECK(lint_recipes(source_folder(), world.settings.recipe_file).size() == 6);
  write_file(*world.settings.recipe_file, "name = 'mine'\ndetect = ['mine']\n[[rule]]\nid = 'v'\n");
  CHECK_THROWS_MATCHES(lint_recipes(source_folder(), world.settings.recipe_file), Error,
                       says("mine.toml:3: 'why' is missing"));
}

TEST_CASE("the binary: streams, exit codes, one JSON document") {
  World world;
  CHECK(sagebuild({"--lint"}).ok());
  const ProcessResult piped = sagebuild({"-"}, read_file(world.file));
  CHECK(piped.ok());
  CHECK(piped.output.find("def requested_archs") != std::string::npos);
  CHECK(sagebuild({"--check", world.file}).exit_code == 6);
  const ProcessResult json = sagebuild({"--json", world.file});
  INFO(json.diagnostics);
  REQUIRE(json.ok());
  CHECK(nlohmann::json::parse(json.output).at("schema") == "sagebuild.patch/1");
  CHECK(read_file(world.file) == piped.output);
  CHECK(sagebuild({"--check", world.file}).ok());
  CHECK(sagebuild({}).exit_code == 2);
  CHECK(sagebuild({"--diff", "--check", world.file}).exit_code == 2);
  CHECK(sagebuild({world.dir.path() / "gone.py"}).exit_code == 1);
  const ProcessResult table = sagebuild({"--verify", "--arch", "12.0", world.file});
  CHECK(table.output ==
        "TORCH_CUDA_ARCH_LIST=\"12.0\"\n  sageattention._fused         sm_120\n"
        "  sageattention._qattn_sm80    sm_120\n  sageattention._qattn_sm89    sm_120\n");
}

}  // namespace sagebuild
