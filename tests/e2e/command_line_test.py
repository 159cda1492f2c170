"""The command line itself: help, usage errors, settings and where they come from, an installed copy. No torch needed."""

import os
import pathlib
import re
import subprocess

import support

COMMANDS = (["build"], ["plan"], ["env", "create"], ["env", "ls"], ["env", "rm"], ["doctor"], ["version"], ["patch"], ["upload"],
            ["cache", "stat"], ["cache", "gc"], ["cache", "clear"], ["cache", "verify"], ["cache", "explain"],
            ["hub", "ls"], ["hub", "rm"], ["hub", "mv"], ["hub", "reindex"], ["completion"], ["inspect"], ["verify"], ["explain"])


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
        for words, hint in ((["biuld"], "build"), (["build", "--arhc", "8.9"], "--arch"),
                            (["build", "-j", "many"], "--jobs"), (["-C", "/no/such/folder", "plan"], "/no/such/folder"),
                            (["inspekt", "--help"], "'inspekt'"), (["cache", "nosuch", "--help"], "'nosuch'"),
                            (["build", "more", "--help"], "'more'"), (["nosuch", "--version"], "'nosuch'")):
            with self.subTest(words=words):
                outcome = self.run_sagebuild(*words)
                self.assertEqual((outcome.code, outcome.stdout), (2, ""), outcome)
                self.assertTrue(outcome.stderr.startswith("error: "), outcome)
                self.assertIn(hint, outcome.stderr)

    def test_without_a_word_the_help_is_shown(self):
        outcome = self.run_sagebuild()
        self.assertEqual((outcome.code, outcome.stdout), (2, ""), outcome)
        self.assertEqual(outcome.stderr, self.run_sagebuild("--help").stdout)

    def test_help_in_groups(self):
        text = self.run_sagebuild("build", "--help").stdout
        self.assertEqual(re.findall(r"^(\w+):$", text, re.MULTILINE),
                         ["Options", "Source", "Target", "Environment", "Output", "Upload", "Cache", "Diagnostics", "Examples"])
        for command in (["build"], ["plan"], ["upload"], ["inspect"], ["hub", "mv"]):
            with self.subTest(command=command):
                text = self.run_sagebuild(*command, "--help").stdout
                self.assertNotIn("-ms", text, "a knob for tests")
        for command in (["build"], ["plan"], ["upload"]):
            self.assertNotRegex(self.run_sagebuild(*command, "--help").stdout, r"(?m)^  -\S+ VALUE\b", "an option without a row in src/cli/option_table.cpp")

    def test_options_of_an_upload_need_one(self):
        for words in (["--upload-create"], ["--upload-branch", "x"], ["--upload-token-file", "x"]):
            self.assert_fails(self.run_sagebuild("build", *words), 2, f"{words[0]} needs --upload")
        self.assert_fails(self.run_sagebuild("build", "--create"), 2, "'--create'")
        self.assert_fails(self.run_sagebuild("build", "--upload", "a/b", "--upload-private"), 2, "--upload-private needs --upload-create")
        # Variables and files may be meant for other runs.
        self.assert_fails(self.run_sagebuild("build", "--python", "/no/python", SAGEBUILD_UPLOAD_BRANCH="x"), 3, "/no/python")

    def test_an_installation_needs_an_environment(self):
        self.assert_fails(self.run_sagebuild("build", "--install"), 2, "--install has no environment", "--python")

    def test_an_option_of_a_check_needs_the_check(self):
        for option in (["--output", "x"], ["--env", "A=1"], ["--jobs", "2"], ["--source", "x"], ["--no-cache"]):
            self.assert_fails(self.run_sagebuild("verify", "x.whl", *option), 2, f"{option[0]} needs --rebuild")
        self.assert_fails(self.run_sagebuild("verify", "x.whl", "--recipe", "x"), 2, "--recipe needs --gpu or --rebuild")
        self.assert_fails(self.run_sagebuild("verify", "x.whl", "--python", "3.11"), 2, "--python needs --import, --gpu or --rebuild")
        self.assert_fails(self.run_sagebuild("verify", "x.whl", "--offline"), 2, "--offline needs --import, --gpu or --rebuild")
        # Variables may be meant for other commands.
        self.assert_fails(self.run_sagebuild("verify", "x.whl", SAGEBUILD_JOBS="2", MAX_JOBS="2"), 2, "x.whl")

    def test_what_was_meant(self):
        for arguments, hint in ((["biuld"], "did you mean 'build'?"), (["env", "hepl"], "see `sagebuild env --help`"),
                                (["build", "--ach", "8.9"], "did you mean '--arch'?"),
                                (["cache", "stat", "--arch", "8.9"], "it is an option of build, plan, patch, doctor, verify; see `sagebuild cache stat --help`"),
                                (["env", "create", "--wheel=x"], "see `sagebuild env create --help`"),
                                (["upload", "--strict-patch", "x.whl"], "it is an option of build, plan;"),
                                (["build", "my project"], "--source 'my project' names a source, --recipe a recipe"),
                                (["inspect"], "see `sagebuild inspect --help`"),
                                (["upload", "--vebose", "x.whl"], "did you mean '--verbose'?")):
            self.assert_fails(self.run_sagebuild(*arguments), 2, f"hint: {hint}")

    def test_help_as_a_word(self):
        for command in ([], ["build"], ["env", "rm"]):
            outcome = self.run_sagebuild("help", *command)
            self.assertEqual((outcome.code, outcome.stderr), (0, ""), outcome)
            self.assertEqual(outcome.stdout, self.run_sagebuild(*command, "--help").stdout)
        for group in ("env", "cache", "hub"):
            help_word = self.run_sagebuild(group, "help")
            self.assertEqual(help_word.stdout, self.run_sagebuild(group, "--help").stdout)
        of_one = self.run_sagebuild("env", "help", "rm")
        self.assertEqual(of_one.stdout, self.run_sagebuild("env", "rm", "--help").stdout)
        self.assert_fails(self.run_sagebuild("env", "hepl"), 2, "'hepl'")
        self.assert_fails(self.run_sagebuild("help", "biuld"), 2, "'build'")

    def test_a_variable_that_no_setting_has(self):
        outcome = self.run_sagebuild("version", SAGEBUILD_ARCHS="8.9", SAGEBUILD_ARCH="8.9")
        self.assertEqual(outcome.code, 0)
        self.assertEqual(outcome.stderr.count("warning: "), 1, outcome)
        self.assertIn("no setting is called SAGEBUILD_ARCHS: SAGEBUILD_ARCH is", outcome.stderr)

    def test_the_cache_folder_as_an_option(self):
        for words in (["--cache-dir", "mine", "cache", "stat"], ["cache", "stat", "--cache-dir", "mine"]):
            outcome = self.run_sagebuild(*words, SAGEBUILD_CACHE_DIR=str(self.world / "other"))
            self.assertIn(f"folder    {self.world}/mine/actions\n", outcome.stdout, outcome)

    def test_all_settings_are_shown(self):
        self.assertEqual(self.setting("cuda-home")[1:], ["-", "not", "set"])
        listed = re.findall(r"^  (?:-\w,)?--([a-z-]+)", self.run_sagebuild("plan", "--help").stdout, re.MULTILINE)
        shown = [line.split()[0] for line in self.run_sagebuild("plan", "--show-settings").stdout.splitlines()]
        self.assertEqual(sorted(shown), sorted(set(listed) - {"help"}))

    def test_an_environment_is_removed_by_its_name(self):
        for words in (["env", "rm", "py39"], ["env", "rm", "--name", "py39"]):
            self.assert_fails(self.run_sagebuild(*words), 2, "there is no environment 'py39'")
        self.assert_fails(self.run_sagebuild("env", "rm"), 2, "env rm NAME")

    def test_a_verification_of_nothing_is_none(self):
        (self.world / "setup.py").write_text((support.SOURCE / "tests/patch/shapes/v2_2_0.py").read_text())
        self.assertEqual(self.run_sagebuild("patch", "--verify", "setup.py").code, 0)
        self.assert_fails(self.run_sagebuild("patch", "--verify", "--arch", "3.0", "setup.py"), 1, "nothing was verified", "3.0")

    def test_doctor_on_a_bare_machine(self):
        """No Python, no compiler: errors with the command that mends each, not a word of a CUDA 0."""
        outcome = self.run_sagebuild("doctor", "--offline", PATH=str(self.world / "home"))
        self.assertEqual(outcome.code, 3, outcome)
        for what in ("python: there is no Python 3 on PATH", "host compiler: there is no C++ compiler 'g++'"):
            self.assertRegex(outcome.stdout, rf"error    {re.escape(what)}\n         fix: .*install")
        self.assertNotIn("CUDA 0", outcome.stdout)

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

    def test_an_option_without_a_value(self):
        """CLI11 takes the next word for the value of `--output=`: the wheel went to a folder named --offline, from the network."""
        for command in COMMANDS:
            listed = re.findall(r"^  (?:-\w,)?(--[a-z-]+)", self.run_sagebuild(*command, "--help").stdout, re.MULTILINE)
            self.assertTrue(listed, command)
            for option in set(listed) - {"--help"}:
                with self.subTest(command=command, option=option):
                    self.assert_fails(self.run_sagebuild(*command, f"{option}=", "--quiet"), 2, option.strip("-"))
        for words in (["plan", "--output", "", "--show-settings"], ["plan", "--output", "--show-settings"], ["plan", "--show-settings", "-o", ""],
                      ["plan", "--show-settings", "-o", "--offline"], ["plan", "--show-settings", "-qo", ""]):
            with self.subTest(words=words):
                self.assert_fails(self.run_sagebuild(*words), 2, "output" if "-o" not in words else "-o")
        self.assert_fails(self.run_sagebuild("-C", "", "plan", "--show-settings"), 2, "-C")
        # A switch of one command, an option of another.
        self.assertEqual(self.run_sagebuild("patch", "--diff", "--lint").code, 0)
        self.assert_fails(self.run_sagebuild("inspect", "x.whl", "--diff", "--verbose"), 2, "--diff", "--verbose")
        self.assertEqual(self.setting("output", "--output=--offline")[1:], ["--offline", "--output"])
        (self.world / "sagebuild.toml").write_text('output = ""\n')
        self.assert_fails(self.run_sagebuild("plan", "--show-settings"), 2, "'output'", "sagebuild.toml:1")

    def redirected(self, redirection, *words, **variables):
        """Through a shell, for only that can close a stream. What the command says goes to a file beside it."""
        return self.run_sagebuild(*words, prefix=["sh", "-c", f'exec "$@" {redirection}', "sh"], **variables)

    def test_output_that_cannot_be_written(self):
        (self.world / "wide.toml").write_text("")
        for words in (["version"], ["--version"], ["--help"], ["build", "--help"], ["plan", "--show-settings"], ["cache", "stat", "--json"],
                      ["patch", "--lint"], ["env", "ls", "--json"]):
            for where, reason in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
                with self.subTest(words=words, where=where):
                    self.assert_fails(self.redirected(where, *words), 1, "cannot write to standard output", reason)
        # More than a buffer, which fails in the middle of a print.
        (self.world / "setup.py").write_text((support.SOURCE / "tests/patch/shapes/v2_2_0.py").read_text())
        self.assert_fails(self.redirected(">/dev/full", "patch", "--json", "setup.py"), 1, "cannot write to standard output")
        # What failed before keeps its code, also where its JSON document cannot be written.
        self.assert_fails(self.redirected(">/dev/full", "plan", "--json", "--headers", "none"), 2, "'none'")

    def test_closed_streams(self):
        shape = (support.SOURCE / "tests/patch/shapes/v2_2_0.py").read_text()
        (self.world / "setup.py").write_text(shape)
        self.assertEqual(self.run_sagebuild("patch", "setup.py", "--output", "expected.py").code, 0)
        for closed in ("<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
            with self.subTest(closed=closed):
                made = self.world / "made.py"
                code = self.redirected(closed, "patch", "-v", "setup.py", "--output", "made.py").code
                self.assertEqual(code, 0, "nothing is printed on standard output")
                self.assertEqual(made.read_text(), (self.world / "expected.py").read_text())
                made.unlink()
                self.assertEqual(self.redirected(closed, "version").code, 1 if closed.startswith(">") or " >" in closed else 0)
                self.assertEqual(self.redirected(closed, "plan", "--headers", "none").code, 2)
        self.assert_fails(self.redirected("<&-", "patch", "-"), 1, "cannot read standard input")
        self.assert_fails(self.redirected("</", "patch", "-"), 1, "cannot read standard input", "directory")
        self.assertEqual(self.redirected("2>/dev/full", "patch", "-v", "setup.py").code, 0)

    def test_a_data_folder_that_is_not_there(self):
        outcome = self.run_sagebuild("patch", "--lint", SAGEBUILD_DATA_DIR=str(self.world / "nowhere"))
        self.assert_fails(outcome, 3, "SAGEBUILD_DATA_DIR", "nowhere")
        self.assertEqual(self.run_sagebuild("patch", "--lint", SAGEBUILD_DATA_DIR=str(support.SOURCE)).code, 0)

    def test_a_source_date_that_is_none(self):
        for value in ("abc", "-1", "0", "315532799", "4354819199", "9" * 30, "1700000000 "):
            for command in (["build"], ["plan"], ["build", "--upload", "a/b"]):
                with self.subTest(command=command, value=value):
                    outcome = self.run_sagebuild(*command, "--source", "http://127.0.0.1:9/x.git", SOURCE_DATE_EPOCH=value)
                    self.assert_fails(outcome, 2, "SOURCE_DATE_EPOCH", f"'{value}'")

    def test_a_cache_that_others_can_write_to(self):
        cache = self.world / "cache"
        cache.chmod(0o777)
        commands = (["build"], ["plan"], ["doctor"], ["env", "create"])
        for command in commands:
            with self.subTest(command=command):
                self.assert_fails(self.run_sagebuild(*command, "--offline"), 3, "cannot trust", f"everybody can write to '{cache}'",
                                  "--allow-shared-cache")
        self.assertEqual(list(self.out.iterdir()), [])
        for words, variables in ((["--allow-shared-cache"], {}), ([], {"SAGEBUILD_ALLOW_SHARED_CACHE": "1"})):
            for command in (["build"], ["plan"]):
                outcome = self.run_sagebuild(*command, "--python", "/no/python", *words, **variables)
                self.assert_fails(outcome, 3, "/no/python")

    @support.require(os.geteuid() == 0, "only root can become nobody")
    def test_as_nobody(self):
        """As `su nobody`: a home that is not there, a folder that may not be entered, another user's cache."""
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        commands = (["plan", "--show-settings"], ["plan", "--python", "/no/python"], ["cache", "stat"], ["cache", "gc"], ["cache", "clear"],
                    ["cache", "verify"], ["cache", "explain"], ["env", "ls"], ["env", "rm", "--name", "x"], ["env", "create", "--offline"],
                    ["doctor", "--offline"], ["patch", "."], ["version"])
        for mode in (0o700, 0o755):  # of the folder that all others lie in, this one among them
            self.world.chmod(mode)
            for home in ("/nonexistent", "/root", str(self.world / "home")):
                for command in commands:
                    with self.subTest(mode=oct(mode), home=home, command=command):
                        outcome = self.run_sagebuild(*command, prefix=nobody, HOME=home, XDG_CACHE_HOME="")
                        self.assertIn(outcome.code, (0, 1, 2, 3), outcome)
                        self.assertNotIn("filesystem error", outcome.stderr, outcome)
                        if outcome.code != 0 and command[0] != "doctor":
                            self.assert_fails(outcome, outcome.code)
        theirs = self.world / "theirs"
        theirs.mkdir()
        os.chown(theirs, 65534, 65534)
        self.assert_fails(self.run_sagebuild("plan", SAGEBUILD_CACHE_DIR=str(theirs)), 3, "cannot trust", "belongs to the user 'nobody'")

    def test_short_passwords_are_shown_in_no_url(self):
        for words in (["plan", "--show-settings", "--cache-remote", "http://user:qz@a.invalid/", "--index-url", "https://me:qz@b.invalid/"],
                      ["doctor", "-v", "--source", "http://user:qz@127.0.0.1:9/a.git"], ["doctor", "--source", "http://qz@127.0.0.1:9/a.git"],
                      ["plan", "--cache-remote", "ftp://user:qz@host/"], ["plan", "--cache-remote", "user:qz@host/"],
                      ["plan", "--cache-remote", "user:qz@host"], ["plan", "--show-settings", "--cache-remote", "user:qz@host"],
                      ["plan", "--show-settings", "--source", "user:q/qz@host"], ["plan", "--source", "user:qz@host:a/b.git"],
                      ["plan", "--source", "https://user:q/qz@host/a.git"], ["doctor", "--source", "user:qz@host:a/b.git"]):
            outcome = self.run_sagebuild(*words)
            self.assertNotIn("qz", outcome.stdout + outcome.stderr, outcome)

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
        # What --help names lies beside them.
        for command in ("build", "plan", "patch"):
            for name in re.findall(r"docs/[\w-]+\.md", self.run_sagebuild(command, "--help").stdout):
                self.assertTrue((self.world / "moved/share/sagebuild" / name).is_file(), name)


if __name__ == "__main__":
    support.main()
