"""`ui2i translate --watch`: files are translated as they arrive in a folder, each batch into a folder of its own."""

import dataclasses
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.terminal import Verbosity, session
from tasks.running.command_line import print_error
from ui2i.errors import DataError, UI2IError
from ui2i.names import is_text, printable

if TYPE_CHECKING:
    from tasks.project.paths import Project
    from tasks.requests.translation_request import TranslationRequest

INTERVAL_SECONDS = 1.0
_UNLISTABLE = "its name is not UTF-8, has a line break, or ends in a blank"


def watch_folder(options: Verbosity, project: "Project", request: "TranslationRequest") -> int:
    """Translate the files that lie in a folder and those that arrive, until Ctrl-C, into OUT/0001, OUT/0002, ...

    Files that an earlier call translated into the same OUT are not translated again. A batch that fails is told, and
    its files are not tried again before the next call.

    Returns:
        How many files failed.

    Raises:
        DataError: there is no such folder, or it overlaps with the output.
        UI2IError: the models that are asked for are not there, whatever arrives.
    """
    from tasks.requests.watched import files_done
    from ui2i.images.arrivals import Arrivals

    folder, out = request.images.resolve(), request.out.resolve()
    if not folder.is_dir():
        raise DataError(f"{request.images} is not a folder, expected one to watch; check the path")
    if out.is_relative_to(folder) or folder.is_relative_to(out):
        raise DataError(
            f"{folder} and {out} overlap, expected translations outside of the folder; choose another --out"
        )
    _check_models(project, request)
    arrivals = Arrivals(folder, files_done(out))
    num_files = num_failed = 0
    with session(options, project):
        print(f"watching {printable(str(folder))}; Ctrl-C ends it", flush=True)
        try:
            while True:
                found = arrivals.look()
                files = [file for file in found if _is_listable(str(file))]
                num_failed += len(found) - len(files)
                for file in set(found) - set(files):
                    print_error(DataError(f"{printable(str(file))} was left out: {_UNLISTABLE}; rename it"))
                if not files:
                    time.sleep(INTERVAL_SECONDS)
                elif _translate(project, request, files, out):
                    num_files += len(files)
                else:
                    num_failed += len(files)
        except KeyboardInterrupt:
            failed = f", {num_failed} failed" if num_failed else ""
            print(f"stopped watching: {num_files} files in {printable(str(out))}{failed}")
    return num_failed


def _check_models(project: "Project", request: "TranslationRequest") -> None:
    """Refuse at once what no file would be translated with."""
    from tasks.project.params import load_params
    from tasks.requests.translate_folder import chosen_models
    from tasks.running.stage_cli import default_device

    chosen_models(project, load_params(project), request, device=default_device())


def _is_listable(name: str) -> bool:
    """Whether a list of files can name a file."""
    return is_text(name) and "\n" not in name and name == name.strip()


def _translate(project: "Project", request: "TranslationRequest", files: Sequence[Path], out: Path) -> bool:
    """Translate a batch, alone in its folder, and return whether that went well."""
    from filelock import FileLock

    from cli.report import print_translation
    from flows import pipeline
    from tasks.requests.watched import LOCK_NAME, next_folder

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ui2i-") as workspace, FileLock(out / LOCK_NAME):
        target = next_folder(out)
        listed = Path(workspace) / "arrived.txt"
        listed.write_text("\n".join(map(str, files)), encoding="utf-8")
        images = files[0] if len(files) == 1 else listed
        try:
            pipeline.translate(dataclasses.replace(request, images=images, out=target), project=str(project.root))
        except UI2IError as error:
            print_error(error)
            return False
    print_translation(target)
    sys.stdout.flush()
    return True
