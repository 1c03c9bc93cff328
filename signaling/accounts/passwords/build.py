"""Makes `common.bloom`: `python -m signaling.accounts.passwords.build LIST... > common.bloom`.

Sources of the file in the repository: `passwords.json` of npm `@zxcvbn-ts/language-common` 4.1.3
(MIT) and `common-passwords.txt.gz` of PyPI `Django` 5.2 (BSD-3-Clause). Not used by the server.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from signaling.accounts.passwords.bloom import build
from signaling.accounts.passwords.rules import WORD_MIN, normalise

FALSE_POSITIVES = 1e-5


def entries(path: Path) -> Iterator[str]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = data.decode("utf-8")
    found: Iterable[str] = json.loads(text) if ".json" in path.suffixes else text.splitlines()
    for word in found:
        folded = normalise(word).casefold()
        if len(folded) >= WORD_MIN:
            yield folded


def main(arguments: list[str]) -> None:
    words = {word for name in arguments for word in entries(Path(name))}
    sys.stdout.buffer.write(build(words, FALSE_POSITIVES).dumps())
    sys.stderr.write(f"{len(words)} passwords\n")


if __name__ == "__main__":
    main(sys.argv[1:])
