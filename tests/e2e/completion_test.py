"""`sagebuild completion` in each shell, and the man pages: both are made from the commands that there are."""

import os
import re
import shutil
import subprocess

import support

# What a shell's own completion would give its function, printed instead.
BASH = """
source <({binary} completion bash)
compopt() {{ echo "files"; }}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_sagebuild
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
compdef() {{ : }}
_describe() {{ print -l -- "${{(@)${{(P)2}}%%:*}}" }}
compadd() {{ shift; print -l -- "$@" }}
_files() {{ print files }}
_message() {{ print "message $1" }}
source <({binary} completion zsh)
words=({words}); CURRENT=$#words; PREFIX=$words[-1]
_sagebuild
"""


class Completion(support.EndToEnd):
    def words(self, shell, line):
        """What the last word of the line can become."""
        if shutil.which(shell) is None:
            self.skipTest(f"there is no {shell} (Debian has it as {shell})")
        quoted = " ".join(f"'{word}'" for word in line.split(" "))
        if shell == "fish":
            script = f'{support.BINARY} completion fish | source; complete -C "{line}"'
        else:
            script = (BASH if shell == "bash" else ZSH).format(binary=support.BINARY, words=quoted)
        done = subprocess.run([shell, *(["-f"] if shell == "zsh" else []), "-c", script], cwd=self.world, env=self.environment,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stderr, "", done)
        found = {word.split("\t")[0] for word in done.stdout.splitlines()}
        last = line.split(" ")[-1]
        return {word for word in found if word.startswith(last)} if shell == "zsh" else found

    def check(self, shell):
        self.assertLessEqual({"build", "plan", "upload", "completion", "env"}, self.words(shell, "sagebuild "))
        self.assertNotIn("man", self.words(shell, "sagebuild "), "it is hidden")
        self.assertEqual(self.words(shell, "sagebuild upl"), {"upload"})
        self.assertLessEqual({"--cache-limit", "--cache-remote", "--cache-dir"}, self.words(shell, "sagebuild build --cache-"))
        self.assertNotIn("--upload-retry-delay-ms", self.words(shell, "sagebuild build --upload-"))
        self.assertEqual(self.words(shell, "sagebuild build --headers "), {"auto", "facade", "full", "check"})
        self.assertEqual(self.words(shell, "sagebuild -C x build --headers f"), {"facade", "full"})
        self.assertLessEqual({"create", "ls", "rm"}, self.words(shell, "sagebuild env "))
        self.assertLessEqual({"--name", "--torch"}, self.words(shell, "sagebuild env create --"))
        self.assertLessEqual({"bash", "zsh", "fish"}, self.words(shell, "sagebuild completion "))
        # The value of an option is no command.
        self.assertIn("--arch", self.words(shell, "sagebuild --cache-dir plan build --arc"))

    def test_bash(self):
        self.check("bash")

    def test_zsh(self):
        self.check("zsh")

    def test_fish(self):
        self.check("fish")

    def test_files_where_a_file_is_meant(self):
        (self.world / "x.whl").write_text("")
        self.assertEqual(self.words("bash", "sagebuild verify x"), {"files", ""})
        self.assertEqual(self.words("bash", "sagebuild build --timeline x"), {"files", ""})

    def test_another_shell(self):
        self.assert_fails(self.run_sagebuild("completion", "tcsh"), 2, "'tcsh'", "bash, zsh, fish")


class ManPages(support.EndToEnd):
    def setUp(self):
        super().setUp()
        outcome = self.run_sagebuild("man", self.world / "man")
        self.assertEqual((outcome.code, outcome.stdout, outcome.stderr), (0, "", ""), outcome)
        self.pages = sorted((self.world / "man").iterdir())

    def test_there_is_one_for_each_command_with_all_its_options(self):
        for page in self.pages:
            command = page.name.removesuffix(".1").split("-", 1)[1:]
            words = command[0].split("-") if command else []
            shown = self.run_sagebuild(*words, "--help").stdout
            text = page.read_text().replace("\\-", "-")
            for option in re.findall(r"^  (?:-\w,)?(--[a-z-]+)", shown, re.MULTILINE):
                self.assertIn(f"\\fB{option}\\fR", text, page.name)
        self.assertGreater(len(self.pages), 20)
        self.assertNotIn("retry-delay", "".join(page.read_text() for page in self.pages))

    def test_they_are_sound(self):
        if shutil.which("mandoc"):
            done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *self.pages], capture_output=True, text=True)
            # They have the version, and no date: the same sources make the same pages.
            complaints = [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line]
            self.assertEqual(complaints, [])
        elif shutil.which("groff"):
            done = subprocess.run(["groff", "-man", "-ww", "-T", "utf8", *self.pages], capture_output=True, text=True)
            self.assertEqual(done.stderr, "")
        else:
            self.skipTest("there is neither mandoc nor groff (Debian has both)")

    @support.require(shutil.which("man"), "there is no man (Debian's man-db)")
    def test_man_shows_them(self):
        done = subprocess.run(["man", "-l", self.world / "man" / "sagebuild-build.1"], capture_output=True, text=True,
                              env={**self.environment, "MANPAGER": "cat", "MANWIDTH": "100"})
        for part in ("sagebuild build [OPTIONS]", "--arch LIST", "EXAMPLES", "sagebuild build --arch 12.0+PTX"):
            self.assertIn(part, re.sub(".\b", "", done.stdout))


if __name__ == "__main__":
    support.main()
