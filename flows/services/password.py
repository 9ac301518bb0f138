"""The password of the project's own server, and the other private files in `.prefect/`.

Whoever may start runs can run any program as the worker's user. A port of this machine is open to all its users and to
the pages in their browsers, so that a password is needed there, too. `ui2i up` keeps it in `.prefect/auth`, which only
the project's owner can read; temporary servers have one that is kept in memory alone.
"""

import secrets
from pathlib import Path

from ui2i.errors import UI2IError
from ui2i.files import atomic_file

PASSWORD_FILE = "auth"
DATABASE_FILE = "prefect.db"
CLIENT_VARIABLE = "PREFECT_API_AUTH_STRING"
SERVER_VARIABLE = "PREFECT_SERVER_API_AUTH_STRING"

_USER = "ui2i"
_NUM_BYTES = 32
_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600


class PasswordError(UI2IError):
    """The password of a server cannot be read, or cannot be kept secret."""


def new_password() -> str:
    """Return a random password in Prefect's form, `user:password`."""
    return f"{_USER}:{secrets.token_urlsafe(_NUM_BYTES)}"


def make_private(home: Path) -> None:
    """Create Prefect's folder, with a database in it that nobody else can read.

    SQLite gives the files beside a database the mode of the database.

    Raises:
        PasswordError: the folder belongs to somebody else, or cannot be written.
    """
    try:
        home.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        home.chmod(_PRIVATE_FOLDER)
        (home / DATABASE_FILE).touch(_PRIVATE_FILE)
        for path in home.glob(f"{DATABASE_FILE}*"):
            path.chmod(_PRIVATE_FILE)
    except OSError as error:
        raise PasswordError(
            f"{home} cannot be made private ({error.strerror or error}), expected a folder that this user owns, for it "
            "holds a server's password; run as its owner, or remove it"
        ) from error


def make_password(home: Path) -> str:
    """Return the password in Prefect's folder, which is created if there is none.

    Raises:
        PasswordError: it cannot be written or read, or others may have read it.
    """
    path = home / PASSWORD_FILE
    if not path.exists():
        with atomic_file(path) as temporary:
            temporary.touch(_PRIVATE_FILE)
            temporary.write_text(new_password() + "\n", encoding="utf-8")
    return read_password(home)


def read_password(home: Path) -> str:
    """Return the password of the server that `ui2i up` started.

    Raises:
        PasswordError: there is none, or others may have read it.
    """
    path = home / PASSWORD_FILE
    try:
        mode, password = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PasswordError(
            f"{path} cannot be read ({error}), expected the password of the server that is up; run as the one who "
            "started it, or run `ui2i down` and `ui2i up`"
        ) from error
    if mode & 0o077 or ":" not in password:
        raise PasswordError(
            f"{path} has the mode {mode & 0o777:o} and {len(password)} characters, expected 600 and `user:password`; "
            "others may know it: remove it, then run `ui2i down` and `ui2i up`, in a project on a disk that keeps "
            "permissions"
        )
    return password


def server_environment(password: str) -> dict[str, str]:
    """Return what a server needs to let nobody else in; it is a client of its own."""
    return {SERVER_VARIABLE: password, CLIENT_VARIABLE: password}
