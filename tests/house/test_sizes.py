"""The size bounds of the house style, measured on what git tracks; prints the largest."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = re.compile(r"(_pb2|/gen/|/golden/|\.d\.ts$|/corpus/)")
BOUNDS = {".py": 600, ".rs": 800, ".ts": 600, ".tsx": 300}
FUNCTION_BOUND, FUNCTION_NINTH, FUNCTION_MEDIAN = 60, 30, 10
"""The longest, the one that nine of ten are no longer than, and the middle one."""
REASON_ABOVE = 400
RUST_FUNCTION = re.compile(
    r"(?P<indent> *)(pub(\([^)]*\))? )?((async|const|unsafe|extern \"C\") )*fn (?P<name>\w+)"
)
ENDS = ("{", ";", "}")


def tracked(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [
        ROOT / name
        for name in listed
        if name.endswith(suffixes) and not GENERATED.search(name) and (ROOT / name).exists()
    ]


def lines_of(path: Path) -> int:
    """Lines of a file; a Rust file is counted up to its own test module."""
    text = path.read_text()
    if path.suffix == ".rs":
        text = text.split("#[cfg(test)]\nmod tests", 1)[0]
    return text.count("\n")


@pytest.mark.parametrize("suffix", sorted(BOUNDS))
def test_no_file_is_a_god_file(suffix: str) -> None:
    sizes = sorted(((lines_of(p), p.relative_to(ROOT)) for p in tracked(suffix)), reverse=True)
    print("\n".join(f"{size:5} {path}" for size, path in sizes[:5]))
    assert not [(size, str(path)) for size, path in sizes if size > BOUNDS[suffix]]


def about(path: Path) -> str:
    """What a module says of itself, in one line."""
    text = path.read_text()
    if path.suffix == ".py":
        return " ".join((ast.get_docstring(ast.parse(text)) or "").split())
    lines = itertools.takewhile(lambda line: line.startswith("//!"), text.split("\n"))
    return " ".join(line.removeprefix("//!").strip() for line in lines)


@pytest.mark.parametrize("suffix", [".py", ".rs"])
def test_long_files_say_why(suffix: str) -> None:
    unexplained = [
        str(path.relative_to(ROOT))
        for path in tracked(suffix)
        if lines_of(path) > REASON_ABOVE and "ong because" not in about(path)
    ]
    assert not unexplained, "above 400 lines: say 'Long because ...' at the top of the module"


def python_functions(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or 0) - node.body[0].lineno + 1, node.name


def rust_functions(path: Path) -> Iterator[tuple[int, str]]:
    """By what rustfmt guarantees: a body ends at the first brace that stands below its `fn`."""
    lines = path.read_text().split("\n")
    for number, line in enumerate(lines):
        if found := RUST_FUNCTION.match(line):
            first = next(n for n in range(number, len(lines)) if lines[n].endswith(ENDS))
            if lines[first].endswith("{"):
                last = lines.index(found["indent"] + "}", first)
                yield last - first - 1, found["name"]


FUNCTIONS = {".py": python_functions, ".rs": rust_functions}


@pytest.mark.parametrize("suffix", sorted(FUNCTIONS))
def test_no_function_is_longer_than_sixty_lines(suffix: str) -> None:
    """Those of TypeScript are oxlint's (`max-lines-per-function`)."""
    lengths = sorted(
        (
            (length, f"{path.relative_to(ROOT)}:{name}")
            for path in tracked(suffix)
            for length, name in FUNCTIONS[suffix](path)
        ),
        reverse=True,
    )
    print("\n".join(f"{length:4} {name}" for length, name in lengths[:5]))
    assert lengths[0][0] <= FUNCTION_BOUND, lengths[:5]
    assert lengths[len(lengths) // 10][0] <= FUNCTION_NINTH
    assert lengths[len(lengths) // 2][0] <= FUNCTION_MEDIAN


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in tracked(".py")
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_every_rust_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in tracked(".rs")
        if "/fuzz_targets/" not in str(path)
        and not path.read_text().lstrip().startswith(("//!", "#!["))
    ]
    assert not silent
