"""Pictures of a terminal of 80 columns for docs/paths.md: what real commands show in a project.

    python benchmarks/terminal_images.py ~/faces docs/screens/terminal-engineer.webp "ui2i distances" "ui2i tables list"

Chromium renders the text, and tmux is the terminal (`tests/terminal.py`).
"""

import argparse
import io
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from terminal import screen

COLUMNS, SIDE = 80, 1100
MAX_LINES = 24  # of one command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shown = []
    for command in options.command:
        lines = screen(shlex.split(command), options.folder, COLUMNS).splitlines()
        more = [f"[{len(lines) - MAX_LINES} more lines]"] if len(lines) > MAX_LINES else []
        shown += [f"$ {command}", *lines[:MAX_LINES], *more, ""]
    print("\n".join(shown))
    save_image("\n".join(shown).rstrip(), options.image)


def save_image(text: str, path: Path) -> None:
    """Render a text as a terminal shows it."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(text, markup=False, highlight=False)
    svg = console.export_svg(title="", theme=DIMMED_MONOKAI)
    height = 200 + 25 * (text.count("\n") + 1)
    with tempfile.TemporaryDirectory() as folder:
        source, png = Path(folder) / "terminal.html", Path(folder) / "terminal.png"
        source.write_text(f"<body style='margin:0;width:{SIDE}px'>{svg}</body>", encoding="utf-8")
        chromium = shutil.which("chromium") or "chromium"
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-proxy-server",
            f"--user-data-dir={folder}/profile",
        ]
        shot = [f"--screenshot={png}", f"--window-size={SIDE},{height}", source.as_uri()]
        subprocess.run([chromium, *flags, *shot], check=True, capture_output=True, timeout=300)
        image = Image.open(png).convert("RGB")
        blank = Image.new("RGB", image.size, image.getpixel((image.width - 1, image.height - 1)))
        image.crop(ImageChops.difference(image, blank).getbbox()).save(path, quality=60, method=6)


if __name__ == "__main__":
    main()
