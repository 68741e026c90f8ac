"""Compiles a project of Python orchestrators and activities to a WebAssembly component.

    python build.py PROJECT OUT.wasm --wit WIT_DIR [--site-packages DIR]

PROJECT is one file, or a folder. Of a folder (of its folder `src`, where there is one with Python in it) these are imported:
`function_app.py`, every other `*.py` at the top but tests and build files, and every package `X/__init__.py`; and what these
import. Progress goes to standard error; what is wrong is one sentence there, and exit status 1.

It runs with the Python of the environment that has componentize-py (see requirements.txt), and leaves the project as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

SDK = Path(__file__).resolve().parent / "src"
ENTRY = "fermata_entry"
WORLD = "orchestrator"

# What `fermata_guest.project` writes beside the entry.
REPORT = "report.json"

NOT_OF_THE_PROJECT = {"conftest", "setup", "build", "noxfile", "tests", "test"}


class BuildError(Exception):
    """The build can not go on; the text is one sentence."""


class Source(NamedTuple):
    """A file that is imported."""

    module: str
    # What a `main` in it is called.
    name: str
    # Relative to the project, for a person.
    path: str


class Project(NamedTuple):
    """What is compiled."""

    # The folder that its imports start from.
    root: Path
    sources: list[Source]


def main(arguments: Sequence[str]) -> int:
    """Runs the build; gives the exit status."""
    try:
        options = parse(arguments)
        build(options.project, options.out, options.wit, options.site_packages)
    except BuildError as error:
        tell(f"error: {one_line(str(error))}")
        return 1
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BuildError(f"{message}; usage: build.py PROJECT OUT.wasm --wit WIT_DIR [--site-packages DIR]")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = _Parser(prog="build.py", description="Compiles a project of Python orchestrators to a component.")
    parser.add_argument("project", type=Path, help="a file, or a folder")
    parser.add_argument("out", type=Path, help="the component to write")
    parser.add_argument("--wit", type=Path, required=True, help="the folder that the contract is in")
    parser.add_argument("--site-packages", type=Path, help="a folder of packages that the project imports")
    return parser.parse_args(arguments)


def build(project_path: Path, out: Path, wit: Path, site_packages: Path | None) -> None:
    """Compiles a project."""
    begun = time.monotonic()
    project = find_project(project_path)
    for folder in filter(None, (wit, site_packages)):
        if not folder.is_dir():
            raise BuildError(f"{folder} is no folder")
    out.resolve().parent.mkdir(parents=True, exist_ok=True)
    tell(f"compiling {', '.join(source.path for source in project.sources)}")
    with tempfile.TemporaryDirectory(prefix="fermata-build-") as scratch:
        made = Path(scratch) / "out.wasm"
        write_entry(Path(scratch), project)
        paths = [Path(scratch), SDK, project.root, *([site_packages] if site_packages else [])]
        componentize(paths, wit, made)
        size = made.stat().st_size
        put(made, out)
    tell(f"{size / 1e6:.1f} MB in {time.monotonic() - begun:.1f} s")


def find_project(path: Path) -> Project:
    """What of a path is imported."""
    if path.is_file():
        if path.suffix != ".py":
            raise BuildError(f"{path} is no Python file")
        name = path.parent.resolve().name if path.name == "__init__.py" else path.stem
        if path.name == "__init__.py":
            return Project(path.resolve().parent.parent, [Source(name, name, f"{name}/__init__.py")])
        return Project(path.resolve().parent, [Source(name, name, path.name)])
    if not path.is_dir():
        raise BuildError(f"{path} is neither a file nor a folder")
    inner = path / "src"
    if inner.is_dir() and (sources := list(find_sources(inner, "src/"))):
        return Project(inner.resolve(), sources)
    sources = list(find_sources(path, ""))
    if not sources:
        raise BuildError(
            f"{path} holds no Python file: orchestrators are in function_app.py, NAME.py or NAME/__init__.py, there or in src"
        )
    return Project(path.resolve(), sources)


def find_sources(root: Path, shown: str) -> list[Source]:
    """The files of a folder that are imported, `function_app.py` first."""
    sources = []
    for file in root.glob("*.py"):
        if is_of_the_project(file.stem):
            sources.append(Source(file.stem, file.stem, f"{shown}{file.name}"))
    for file in root.glob("*/__init__.py"):
        package = file.parent.name
        if is_of_the_project(package):
            sources.append(Source(package, package, f"{shown}{package}/__init__.py"))
    return sorted(sources, key=lambda source: (source.module != "function_app", source.module))


def is_of_the_project(name: str) -> bool:
    """Whether a file of this name is imported: not tests, and not what builds or checks the project."""
    is_test = name.startswith("test_") or name.endswith("_test")
    return not is_test and name not in NOT_OF_THE_PROJECT and not name.startswith((".", "__"))


def write_entry(folder: Path, project: Project) -> None:
    """Writes the module that componentize-py is given."""
    text = f"""\
import os.path, sys

# The project is mounted as it is, and is to stay so.
sys.dont_write_bytecode = True

from fermata_guest.project import load

load({[tuple(source) for source in project.sources]!r}, os.path.dirname(__file__))

from fermata_guest.entry import Guest
"""
    (folder / f"{ENTRY}.py").write_text(text, encoding="utf-8")


def componentize(paths: Sequence[Path], wit: Path, out: Path) -> None:
    """Runs componentize-py. The project is imported in there, and a report tells what came of it."""
    command = [tool(), "-d", str(wit), "-w", WORLD, "componentize"]
    for path in paths:
        command += ["-p", str(path)]
    command += ["-o", str(out), ENTRY]
    # It would search the environment's packages too, which are not the project's.
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    try:
        run = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", errors="replace")
    except OSError as error:
        raise BuildError(f"{command[0]} can not be run: {error.strerror}") from None
    report = read_report(out.with_name(REPORT))
    if run.returncode != 0 or not out.exists():
        raise BuildError(report.get("error") or tools_own_words(run.stdout + run.stderr))
    for warning in report["warnings"]:
        tell(f"warning: {one_line(warning)}")
    for kind in ("orchestrators", "activities"):
        if report[kind]:
            tell(f"{kind}: {', '.join(report[kind])}")


def tool() -> str:
    """The componentize-py of this Python's environment."""
    name = "componentize-py.exe" if os.name == "nt" else "componentize-py"
    found = Path(sysconfig.get_path("scripts")) / name
    if not found.exists():
        raise BuildError(
            f"this Python has no componentize-py: pip install --require-hashes -r {Path(__file__).with_name('requirements.txt')}"
        )
    return str(found)


def read_report(path: Path) -> dict[str, Any]:
    """What came of importing the project; empty where it did not come to that."""
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return report
    except (OSError, ValueError):
        return {}


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def tools_own_words(output: str) -> str:
    """What componentize-py says, where the project said nothing: its last line that is more than a number."""
    lines = [line.strip() for line in output.splitlines() if any(c.isalpha() for c in line)]
    return f"componentize-py failed: {lines[-1]}" if lines else "componentize-py failed without a word"


def put(made: Path, out: Path) -> None:
    """Puts the component in its place at once, so that nobody sees half of one."""
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    beside.write_bytes(made.read_bytes())
    os.replace(beside, out)


def tell(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
