"""Small media files for clients without an encoder: VP8 in IVF at three sizes, Opus in Ogg."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

LAYERS = ((240, 136, 80), (480, 270, 250), (960, 540, 800))


@dataclass(frozen=True)
class Files:
    audio: str
    video: tuple[str, ...]

    @property
    def small(self) -> str:
        return self.video[0]

    def layers(self) -> list[dict[str, object]]:
        return [
            {"file": name, "width": width, "height": height, "quality": at}
            for at, (name, (width, height, _)) in enumerate(zip(self.video, LAYERS, strict=True))
        ]


def make(folder: Path) -> Files:
    """Four seconds each, a key frame each second; made once, then kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    audio = folder / "tone.ogg"
    tone = ["-i", "sine=440:duration=4", "-c:a", "libopus", "-page_duration", "20000"]
    _ffmpeg(audio, tone)
    names = []
    for width, height, rate in LAYERS:
        target = folder / f"{height}.ivf"
        source = ["-i", f"testsrc=size={width}x{height}:rate=15:duration=4"]
        coding = ["-c:v", "libvpx", "-b:v", f"{rate}k", "-g", "15", "-deadline", "realtime"]
        _ffmpeg(target, [*source, *coding, "-cpu-used", "8", "-pix_fmt", "yuv420p"])
        names.append(str(target))
    return Files(str(audio), tuple(names))


def _ffmpeg(target: Path, arguments: list[str]) -> None:
    if target.exists():
        return
    partial = target.with_name("new-" + target.name)
    command = ["/usr/bin/ffmpeg", "-y", "-v", "error", "-f", "lavfi", *arguments, str(partial)]
    subprocess.run(command, check=True)
    partial.rename(target)
