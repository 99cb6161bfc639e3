"""The project's own habits: files that must agree, and what must not be in the code."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ("slimlab", "widgets/slimlab_widgets")
LONGEST_FILE = 350
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SYSTEMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
# What must not be in library code, and why. Words that are put together here, so that this file
# does not find itself.
FORBIDDEN = {
    r"\bpickle\.loads?\(": "pickle runs what it reads",
    r"\bpaddle\.load\(": "it reads pickles; slimlab.load reads safetensors",
    r"\bnp\.load\((?!.*allow_pickle=False)": "say allow_pickle=False",
    r"(?<![\w.])eval\(": "no evaluation of text",
    r"\byaml\.load\(": "yaml.safe_load",
    r"\benable_static\(": "it changes the whole process",
    r"\bpyplot\b": "pyplot is global state, and callbacks run in other threads",
    r"(?<![\w.])print\(": "results are values; the command line writes",
}
REGISTRIES = re.compile(
    r"(py[p]i|pythonhoste[d]|npm[j]s|yarnpk[g]|npmmirro[r]|conda\.anacond[a]|deb\.[d]ebian|tun[a]|aliyu[n])"
    r"[\w.-]*\.(org|com|cn|edu)|--(extra-)?index-url|--find-links",
    re.IGNORECASE,
)


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def declared(*extras: str) -> dict[str, Requirement]:
    project = pyproject()["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    requirements = [Requirement(line) for line in lines]
    return {requirement.name.lower(): requirement for requirement in requirements}


def locked() -> list[tuple[Requirement, int]]:
    """Give each pinned requirement with the number of its hashes."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", text.strip())
    return [(Requirement(b.split("\\")[0].strip()), b.count("--hash=sha256:")) for b in blocks]


def library_files() -> list[Path]:
    return sorted(
        path
        for folder in LIBRARY
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git clone: which files are tracked is not known")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


# ------------------------------------------------------------------------------- dependencies


def test_environment_yml_has_what_pyproject_has():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, last = environment["dependencies"]
    pip = [line for line in last["pip"] if not line.startswith("-e")]
    listed = {r.name.lower(): r for r in map(Requirement, [*conda, *pip])}
    python, _ = listed.pop("python"), listed.pop("pip")

    assert str(python.specifier) == str(Requirement("python" + pyproject_python()).specifier)
    assert listed == declared("widgets")
    assert "-e .[widgets,test]" in last["pip"]
    assert any(line.startswith("paddlepaddle") for line in pip), "conda-forge has no Paddle"


def pyproject_python() -> str:
    return pyproject()["project"]["requires-python"]


def test_the_dev_extra_builds_the_packages_without_isolation():
    dev = pyproject()["project"]["optional-dependencies"]["dev"]
    build = pyproject()["build-system"]["requires"]
    assert {Requirement(line).name for line in build} <= {Requirement(line).name for line in dev}


def marker_environment(python: str, system: str, machine: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "platform_system": {"linux": "Linux", "darwin": "Darwin"}[system],
        "platform_machine": machine,
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("system", "machine"), SYSTEMS)
def test_the_lock_satisfies_pyproject(python, system, machine):
    environment = marker_environment(python, system, machine)
    pins: dict[str, Version] = {}
    for requirement, _ in locked():
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            assert requirement.name not in pins, f"{requirement.name} is pinned twice"
            pins[requirement.name] = Version(pin.version)
    wanted = declared("widgets", "test", "dev")
    for name, requirement in wanted.items():
        marker = requirement.marker
        if name != "slimlab" and (marker is None or marker.evaluate(environment)):
            assert pins[name] in requirement.specifier, f"{requirement}: run make lock"


def test_every_pin_has_hashes():
    assert [str(requirement) for requirement, hashes in locked() if hashes == 0] == []


def test_the_lock_names_no_address_and_no_path():
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        assert not re.search(r"://|--index|--find-links|\s@\s|file:|(^|\s)/", line), line


def test_no_tracked_file_names_a_registry():
    # This file has the names that it looks for.
    texts = {path: readable(path) for path in tracked_files() if path != Path(__file__).resolve()}
    assert [str(path) for path, text in texts.items() if REGISTRIES.search(text)] == []


def readable(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


# --------------------------------------------------------------------------------------- code


@pytest.mark.parametrize("path", library_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_short_and_says_what_it_is(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    assert text.lstrip().startswith(('"""', 'r"""')), "a module starts with what it knows"


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_library_code_is_free_of(pattern):
    found = []
    for path in library_files():
        for number, line in enumerate(code_lines(path), start=1):
            if re.search(pattern, line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {FORBIDDEN[pattern]}")
    assert found == []


def code_lines(path: Path) -> list[str]:
    """Give the lines of a file with strings and comments blanked: words are free, calls are not."""
    import io
    import tokenize

    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            (first, start), (last, end) = token.start, token.end
            for row in range(first, last + 1):
                line = lines[row - 1]
                left = start if row == first else 0
                right = end if row == last else len(line)
                lines[row - 1] = line[:left] + " " * (right - left) + line[right:]
    return lines


def test_every_exported_name_is_documented_with_an_example():
    import slimlab

    finder = doctest.DocTestFinder(recurse=False)
    missing = []
    for name in slimlab.__all__:
        value = getattr(slimlab, name)
        if inspect.ismodule(value) or (inspect.isclass(value) and issubclass(value, Exception)):
            examples = bool(inspect.getdoc(value))  # a module's functions have theirs
        else:
            tests = finder.find(value, name)
            examples = any(test.examples for test in tests)
        if not examples:
            missing.append(name)
    assert missing == []


def test_the_command_is_the_one_that_ci_runs():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in script
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make test" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_changelog_and_package_agree_on_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changelog, flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert not headings[1:] or headings[1] == pyproject()["project"]["version"]


# -------------------------------------------------------------------------------------- wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> set[str]:
    """Give the names of the files in the wheel."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: the wheel can't be built without a network")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_the_wheel_has_what_runs_without_a_clone(wheel):
    config = "slimlab_widgets/jupyter_config"
    assert "slimlab/cli.py" in wheel
    assert "slimlab_widgets/lab.py" in wheel
    assert f"{config}/labconfig/default_setting_overrides.json" in wheel
    assert f"{config}/jupyter_server_config.py" in wheel
    assert any(name.endswith("share/slimlab/notebooks/01_quickstart.ipynb") for name in wheel)
    for folder in LIBRARY:
        base = (ROOT / folder).parent
        shipped = {".safetensors", ".json", ".js", ".css", ".yaml", ".py"}
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in shipped and "__pycache__" not in path.parts:
                assert str(path.relative_to(base)) in wheel


def test_the_wheel_makes_nothing_else_importable(wheel):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.startswith("slimlab-")} == {"slimlab", "slimlab_widgets"}


# ------------------------------------------------------------------------------------- launcher


def test_the_launcher_turns_off_what_jupyterlab_asks():
    path = ROOT / "widgets/slimlab_widgets/jupyter_config/labconfig/default_setting_overrides.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    notification = settings["@jupyterlab/apputils-extension:notification"]
    assert notification == {"fetchNews": "false", "checkForUpdates": False}
    assert settings["@jupyter-widgets/jupyterlab-manager:plugin"] == {"saveState": True}
