"""How every command ends: with an error as one line on stderr, and an exit status.

An error of the operating system is the user's to mend, as `UI2IError`s are: a full disk, a folder that may not be
written. So it is told in the same way: what came, what was expected, what to do.
"""

import errno
import sys
from collections.abc import Callable

from ui2i.errors import UI2IError, is_out_of_memory
from ui2i.names import printable

USER_ERROR = 2  # exit status

STAGE_REMEDY = (
    "expected room for one batch; lower batch_size in the section of params.yaml that it is made with, or run fewer "
    "things side by side"
)
COMMAND_REMEDY = "expected room for what it computes; end other programs, or take fewer images or a smaller model"


_REMEDIES = {
    errno.ENOSPC: "expected room for what is written; free some space and run the command again",
    errno.EDQUOT: "expected room for what is written; free some of the quota and run the command again",
    errno.EFBIG: "expected room for what is written; raise the limit on the size of files",
    errno.EROFS: "expected a place that can be written; make it writable or name another place",
    errno.EACCES: "expected a place that this user may use; change its permissions or name another place",
    errno.EPERM: "expected a place that this user may use; change its permissions or name another place",
    errno.ENOENT: "expected it to exist; check the path, or make the folder first",
    errno.ENOTDIR: "expected a folder there; check the path",
    errno.EISDIR: "expected a file there; check the path",
    errno.EEXIST: "expected nothing there; move it away or choose another name",
    errno.ENAMETOOLONG: "expected a name of at most 255 bytes; shorten it",
    errno.ENOMEM: "expected more free memory; end other programs, or run fewer things side by side",
    errno.ENOLCK: "expected a file system with locks; put the project on a local disk, or on NFS 4",
    errno.EOPNOTSUPP: "expected a file system that can do it; put the project on a local disk, or on NFS 4",
    errno.EMFILE: "expected to open more files at once; raise the limit (ulimit -n)",
}
_OTHER = "expected the operating system to do it; mend that and run the command again"


def one_line(error: UI2IError | OSError) -> str:
    """Return what went wrong in one line without its prefix."""
    message = _os_error_message(error) if isinstance(error, OSError) else str(error)
    return printable(" ".join(message.split()))


def memory_error(error: Exception, remedy: str) -> UI2IError | None:
    """Return what to tell of an exception that means that the memory did not suffice; None: it means something else.

    Args:
        remedy: what was expected, and what to do.
    """
    if not is_out_of_memory(error):
        return None
    said = (str(error).strip().splitlines() or ["an allocation was refused"])[0]
    return UI2IError(f"the memory does not suffice ({said}), {remedy}")


def print_error(error: UI2IError | OSError) -> None:
    """Print `error: ...` on stderr."""
    print(f"error: {one_line(error)}", file=sys.stderr, flush=True)


def exit_status(work: Callable[[], None]) -> int:
    """Do some work and return the exit status of the command: 0, or 2 after printing one line `error: ...`."""
    try:
        work()
    except (UI2IError, OSError) as error:
        print_error(error)
        return USER_ERROR
    return 0


def _os_error_message(error: OSError) -> str:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    said = error.strerror if names and error.strerror else str(error) or type(error).__name__
    return f"{': '.join([*names, said])}, {_REMEDIES.get(error.errno or 0, _OTHER)}"
