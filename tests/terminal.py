"""What a command shows on a terminal of a given width: on tmux's screen if it is installed, else on a pty's."""

import os
import pty
import re
import shlex
import shutil
import subprocess
import uuid
from pathlib import Path

ROWS = 400  # of the screen, so that nothing scrolls away
SECONDS = 300


def screen(command: list[str], folder: Path, columns: int) -> str:
    """Return what a person sees after a command has ended, line by line."""
    return (_tmux if shutil.which("tmux") else _pty)(command, folder, columns)


def _tmux(command: list[str], folder: Path, columns: int) -> str:
    name = f"ui2i-{uuid.uuid4().hex}"
    tmux = ["tmux", "-L", name, "-f", "/dev/null"]
    line = f"{shlex.join(command)}; tmux -L {name} wait-for -S done; exec cat"
    start = ["new-session", "-d", "-x", str(columns), "-y", str(ROWS), "-c", str(folder), line]
    try:
        subprocess.run([*tmux, *start, ";", "set-option", "-g", "status", "off"], check=True)
        subprocess.run([*tmux, "wait-for", "done"], check=True, timeout=SECONDS)
        shown = subprocess.run([*tmux, "capture-pane", "-p"], check=True, capture_output=True, text=True).stdout
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    return shown.rstrip()


def _pty(command: list[str], folder: Path, columns: int) -> str:
    master, slave = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave):
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 65536):
                shown += part
        except OSError:  # Linux says so at the end
            pass
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "")
    return "\n".join(line[at : at + columns] for line in text.splitlines() for at in range(0, len(line) or 1, columns))
