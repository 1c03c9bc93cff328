"""The size bounds of the house style, measured on what git tracks; prints the largest."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = re.compile(r"(_pb2|/gen/|/golden/|\.d\.ts$|/corpus/)")
BOUNDS = {".py": 600, ".rs": 800, ".ts": 600, ".tsx": 300}
FUNCTION_BOUND = 60
REASON_ABOVE = 400


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


def test_long_python_files_say_why() -> None:
    unexplained = []
    for path in tracked(".py"):
        if lines_of(path) > REASON_ABOVE:
            docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
            if "ong because" not in docstring:
                unexplained.append(str(path.relative_to(ROOT)))
    assert not unexplained, "above 400 lines: say 'Long because ...' in the module docstring"


def test_no_function_is_longer_than_sixty_lines() -> None:
    lengths: list[tuple[int, str]] = []
    for path in tracked(".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0].lineno
                name = f"{path.relative_to(ROOT)}:{node.name}"
                lengths.append(((node.end_lineno or first) - first + 1, name))
    lengths.sort(reverse=True)
    print("\n".join(f"{length:4} {name}" for length, name in lengths[:5]))
    assert lengths[0][0] <= FUNCTION_BOUND, lengths[:5]


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
