"""Pictures of a terminal of 80 columns for docs/paths.md: what real commands show in a project.

    python benchmarks/terminal_images.py ~/faces docs/screens/terminal-engineer.webp "ui2i distances" "ui2i tables list"

tmux is the terminal (`tests/terminal.py`).
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from terminal import screen

COLUMNS = 80
SIZE = 18  # pixels of a letter
BACKGROUND, FOREGROUND, PROMPT = "#1e1e1e", "#d4d4d4", "#8ec07c"
MAX_LINES = 30  # of one command


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
    """Draw a text as a terminal shows it."""
    font = ImageFont.truetype(findfont("DejaVu Sans Mono"), SIZE)
    lines = text.splitlines()
    left, _, right, _ = font.getbbox("M" * COLUMNS)
    line_height = round(1.3 * SIZE)
    image = Image.new("RGB", (int(right - left) + 2 * SIZE, line_height * len(lines) + 2 * SIZE), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for place, line in enumerate(lines):
        colour = PROMPT if line.startswith("$ ") else FOREGROUND
        draw.text((SIZE, SIZE + place * line_height), line, fill=colour, font=font)
    image.save(path, quality=70, method=6)


if __name__ == "__main__":
    main()
