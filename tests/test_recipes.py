"""The recipes of the README: each has the form that its service documents, and its commands do what they promise.

In: the blocks after `<!-- recipe: NAME -->`. They run in a folder that has `captures/`, with the command in PATH; only
what would install it is left out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.running import PCAPS
from tests.expect.formats import workflow_commands
from tests.expect.test_reports import suites
from tests.test_readme import README_TEXT, blocks, environment

INSTALLS = "python -m pip install handshake-inspect"


def recipe(name: str) -> str:
    """Return the text of a recipe."""
    found = [one for language in ("yaml", "makefile") for one in blocks(README_TEXT, language, "recipe: ")]
    (block,) = [one for one in found if one.mark == f"recipe: {name}"]
    return block.text


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two captures, both as expected."""
    (tmp_path / "captures").mkdir()
    for name, capture, teardown in (("echo", "four-way", "four-way"), ("abort", "reset", "aborted")):
        shutil.copy(PCAPS / f"{capture}.pcap", tmp_path / "captures" / f"{name}.pcap")
        expected = f'schema = 1\nconnections = 1\n\n[[expect]]\nteardown = "{teardown}"\n'
        (tmp_path / "captures" / f"{name}.expect.toml").write_text(expected)
    return tmp_path


def spoil(project: Path) -> None:
    """Let another session come into one of the captures."""
    shutil.copy(PCAPS / "reset.pcap", project / "captures" / "echo.pcap")


def run(command: str, project: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the services do: with bash, which ends at the first error."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command],
        cwd=project,
        env={**environment(), **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def only_steps(recipe_steps: list[Any]) -> list[str]:
    """Return the commands of a recipe without the one that installs, which must be the first."""
    commands = [step if isinstance(step, str) else step["run"] for step in recipe_steps]
    assert commands[0] == INSTALLS
    return commands[1:]


def test_the_workflow_for_github(project: Path) -> None:
    workflow = yaml.safe_load(recipe("github"))
    assert {*workflow} == {"name", True, "permissions", "jobs"}  # `on` is true in YAML 1.1
    assert {*workflow[True]} <= {"push", "pull_request"}
    (job,) = workflow["jobs"].values()
    assert {*job} == {"runs-on", "steps"}
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/a@v1"))
    (command,) = only_steps([step for step in job["steps"] if "run" in step])

    page = project / "summary.md"
    github = {"GITHUB_WORKSPACE": str(project), "GITHUB_STEP_SUMMARY": str(page)}
    done = run(command, project, **github)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok: 2 connections in 2 captures" in done.stdout
    spoil(project)
    done = run(command, project, **github)
    assert done.returncode == 1
    (annotation,) = workflow_commands(done.stdout)
    assert annotation.properties["file"] == "captures/echo.expect.toml"
    assert annotation.properties["line"] == "5"
    assert page.read_text().count("### handshake-inspect: ") == 2


def test_the_job_for_gitlab(project: Path) -> None:
    jobs = yaml.safe_load(recipe("gitlab"))
    (job,) = jobs.values()
    assert {*job} == {"image", "script", "artifacts"}
    assert job["artifacts"]["when"] == "always"  # also where the script fails
    report = project / job["artifacts"]["reports"]["junit"]
    (command,) = only_steps(job["script"])

    assert run(command, project).returncode == 0
    assert [one.attrib["failures"] for one in suites(report.read_text())] == ["0", "0"]
    spoil(project)
    done = run(command, project)
    assert done.returncode == 1
    assert "FAILED captures/echo.pcap stream 0" in done.stdout
    assert [one.attrib["failures"] for one in suites(report.read_text())] == ["0", "1"]


def test_the_hook_for_pre_commit(project: Path) -> None:
    config = yaml.safe_load(recipe("pre-commit"))
    (repository,) = config["repos"]
    (hook,) = repository["hooks"]
    assert repository["repo"] == "local"
    assert {"id", "name", "language", "entry"} <= {*hook}  # what a local hook must have
    assert hook["language"] == "python"
    assert hook["additional_dependencies"] == ["handshake-inspect"]
    assert hook["pass_filenames"] is False
    matching = [name for name in committed(project) if re.search(hook["files"], name)]
    assert matching == [
        "captures/abort.expect.toml",
        "captures/abort.pcap",
        "captures/echo.expect.toml",
        "captures/echo.pcap",
    ]

    assert run(hook["entry"], project).returncode == 0
    spoil(project)
    assert run(hook["entry"], project).returncode == 1


def committed(project: Path) -> list[str]:
    """Return the names of files as git has them, with others beside the captures."""
    (project / "src").mkdir()
    (project / "src" / "captures.py").touch()
    return sorted(path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file())


def test_the_rule_for_make(project: Path) -> None:
    (project / "Makefile").write_text(recipe("make"))
    done = run("make --no-print-directory handshakes", project)
    assert done.stdout == "handshake-inspect check captures/\nok: 2 connections in 2 captures\n"
    assert (done.returncode, done.stderr) == (0, "")
    spoil(project)
    failed = run("make --no-print-directory handshakes", project)
    assert failed.returncode == 2  # make's own code for a command that failed
    assert "FAILED captures/echo.pcap stream 0" in failed.stdout
