"""`make sbom`: CycloneDX lists of what a release is made of, one for each ecosystem, in dist/sbom/.

The engine's is made by maturin and lies in the wheel (PEP 770); the page's by npm from its lock
file; the Python packages' by cyclonedx-py from the closure of what the wheel requires.
"""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "dist" / "sbom"
ENGINE = "sboms/sotto-engine-py.cyclonedx.json"


def closure(root: str) -> dict[str, str]:
    """Name to version of everything that `root` needs here, without `root` and its extras."""
    found: dict[str, str] = {}
    waiting = deque([(root, frozenset[str]())])
    while waiting:
        name, extras = waiting.popleft()
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            marker = needed.marker
            if marker and not any(marker.evaluate({"extra": e}) for e in extras or ("",)):
                continue
            key = canonicalize_name(needed.name)
            if key not in found:
                found[key] = distribution(key).version
                waiting.append((key, frozenset(needed.extras)))
    return dict(sorted(found.items()))


def engine() -> bytes:
    for path in distribution("sotto").files or ():
        if str(path).endswith(ENGINE):
            return path.read_binary()
    raise SystemExit("the installed wheel has no SBOM of the engine: build it with maturin 1.11+")


def python() -> bytes:
    pins = "".join(f"{name}=={version}\n" for name, version in closure("sotto").items())
    tool = Path(sys.executable).with_name("cyclonedx-py")
    words = [str(tool), "requirements", "--output-reproducible", "-"]
    return subprocess.run(words, input=pins.encode(), check=True, capture_output=True).stdout  # noqa: S603


def page() -> bytes:
    words = ["npm", "sbom", "--sbom-format", "cyclonedx", "--omit", "dev", "--package-lock-only"]
    done = subprocess.run(words, cwd=ROOT / "web", check=True, capture_output=True)  # noqa: S603
    return done.stdout


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        for name, make in (("engine", engine), ("python", python), ("page", page)):
            (OUT / f"{name}.cdx.json").write_bytes(make())
            print(OUT.relative_to(ROOT) / f"{name}.cdx.json")
    except PackageNotFoundError as error:
        print(f"sbom: not installed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
