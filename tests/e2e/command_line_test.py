"""The command line itself: help, usage errors, settings and where they come from, an installed copy. No torch needed."""

import pathlib
import subprocess

import support

COMMANDS = (["build"], ["plan"], ["env", "create"], ["env", "ls"], ["env", "rm"], ["doctor"], ["version"], ["patch"], ["upload"],
            ["cache", "stat"])


class CommandLine(support.EndToEnd):
    def test_help_of_each_command_has_examples(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                outcome = self.run_sagebuild(*command, "--help")
                self.assertEqual((outcome.code, outcome.stderr), (0, ""), outcome)
                self.assertIn("Examples:", outcome.stdout)
                self.assertIn("sagebuild " + " ".join(command), outcome.stdout)

    def test_version(self):
        for words in (["--version"], ["-V"], ["version"]):
            outcome = self.run_sagebuild(*words)
            self.assertEqual(outcome.code, 0, outcome)
            self.assertRegex(outcome.stdout, r"\d+\.\d+\.\d+")

    def test_usage_errors(self):
        for words, hint in (([], "--help"), (["biuld"], "build"), (["build", "--arhc", "8.9"], "--arch"),
                            (["build", "-j", "many"], "--jobs"), (["-C", "/no/such/folder", "plan"], "/no/such/folder")):
            with self.subTest(words=words):
                outcome = self.run_sagebuild(*words)
                self.assertEqual((outcome.code, outcome.stdout), (2, ""), outcome)
                self.assertTrue(outcome.stderr.startswith("error: "), outcome)
                self.assertIn(hint, outcome.stderr)

    def setting(self, name, *arguments, **variables):
        outcome = self.run_sagebuild("plan", "--show-settings", *arguments, **variables)
        self.assertEqual(outcome.code, 0, outcome)
        return next((line.split() for line in outcome.stdout.splitlines() if line.split()[:1] == [name]), None)

    def test_flag_over_environment_over_file_over_default(self):
        self.assertEqual(self.setting("output")[1:], ["dist", "default"])
        (self.world / "sagebuild.toml").write_text('output = "from-file"\n')
        self.assertEqual(self.setting("output")[1:], ["from-file", "sagebuild.toml:1"])
        self.assertEqual(self.setting("output", SAGEBUILD_OUTPUT="from-variable")[1:], ["from-variable", "SAGEBUILD_OUTPUT"])
        self.assertEqual(self.setting("output", "--output", "from-flag", SAGEBUILD_OUTPUT="x")[1:], ["from-flag", "--output"])

    def test_variables_of_other_tools(self):
        self.assertEqual(self.setting("arch", TORCH_CUDA_ARCH_LIST="8.9")[1:], ["8.9", "TORCH_CUDA_ARCH_LIST"])
        self.assertEqual(self.setting("arch", TORCH_CUDA_ARCH_LIST="8.9", SAGEBUILD_ARCH="9.0")[1:], ["9.0", "SAGEBUILD_ARCH"])
        self.assertEqual(self.setting("jobs", MAX_JOBS="3")[1:], ["3", "MAX_JOBS"])

    def test_unknown_key_in_the_file(self):
        (self.world / "sagebuild.toml").write_text('outptu = "x"\n')
        self.assert_fails(self.run_sagebuild("plan", "--show-settings"), 2, "'outptu'", "output")

    def test_tokens_are_not_shown(self):
        secret = "hf_" + "x" * 34
        for words in (["plan", "--show-settings"], ["doctor", "-v"], ["plan", "--python", "/no/python", "--source", f"https://user:{secret}@a.invalid/b"]):
            outcome = self.run_sagebuild(*words, HF_TOKEN=secret)
            self.assertNotIn(secret, outcome.stdout + outcome.stderr)


class Installed(support.EndToEnd):
    def test_an_installed_copy_finds_its_data_from_any_folder(self):
        build_folder = pathlib.Path(support.BINARY).parent
        if not (build_folder / "cmake_install.cmake").exists():
            self.skipTest("the binary is not in a build folder")
        subprocess.run(["cmake", "--install", build_folder, "--prefix", self.world / "prefix"], check=True, capture_output=True)
        (self.world / "prefix").rename(self.world / "moved")
        (self.world / "elsewhere").mkdir()
        binary = self.world / "moved" / "bin" / "sagebuild"
        done = subprocess.run([binary, "plan", "--recipe", "minisge"], cwd=self.world / "elsewhere", env=self.environment,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("'minisage'", done.stderr, "the recipes were not found")


if __name__ == "__main__":
    support.main()
