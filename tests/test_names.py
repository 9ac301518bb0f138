"""Names from outside become printable, and short enough for every file system; so do the messages that quote them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui2i.errors import MAX_MESSAGE_LENGTH, DataError
from ui2i.files import atomic_file, atomic_folder
from ui2i.names import MAX_NAME_BYTES, MAX_PATH_BYTES, file_name, printable, printable_path

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("日本語/猫\u3000の 写真.png", "日本語/猫\u3000の 写真.png"),
        ("\N{WOMAN}\u200d\N{ROCKET} a\u200cb.png", "\N{WOMAN}\u200d\N{ROCKET} a\u200cb.png"),
        ("caf\udce9.png", r"caf\udce9.png"),
        ("\x1b[31mred\x07\n\t\0", r"\x1b[31mred\x07\n\t\x00"),
        ("a\u202egnp.exe\u2028\x9b", r"a\u202egnp.exe\u2028\x9b"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_some_characters_may_be_kept() -> None:
    assert printable("a\n\tb\r", keep="\n\t") == "a\n\tb\\r"


@given(ANY_TEXT, st.sampled_from(["", ".png", ".JPEG", ".thisisnosuffixatall"]), st.integers(0, 300))
def test_a_file_system_takes_every_name(text: str, suffix: str, repeats: int) -> None:
    name = file_name("x" + text * repeats + suffix)
    assert 0 < len(name.encode()) <= MAX_NAME_BYTES
    assert printable(name) == name
    assert name.endswith(suffix) or len(suffix) > 16
    assert len(printable_path(text * repeats).encode()) <= MAX_PATH_BYTES


def test_long_names_that_differ_stay_two() -> None:
    one, other = ("x" * 300 + letter + ".png" for letter in "ab")
    assert file_name(one) != file_name(other)
    assert file_name("é" * 120 + ".png") == "é" * 120 + ".png"


def test_files_of_the_longest_name_are_written(tmp_path: Path) -> None:
    for name in ("x" * MAX_NAME_BYTES, "é" * 127):
        with atomic_file(tmp_path / name) as path:
            path.write_bytes(b"1")
        assert (tmp_path / name).read_bytes() == b"1"
        (tmp_path / name).unlink()
        with atomic_folder(tmp_path / name) as folder:
            (folder / "a").write_bytes(b"2")
        assert (tmp_path / name / "a").read_bytes() == b"2"


def test_messages_neither_steer_nor_fill_a_terminal() -> None:
    message = str(DataError("caf\udce9\x1b]0;title\x07 came,\nexpected a name"))
    assert message == r"caf\udce9\x1b]0;title\x07 came," + "\nexpected a name"
    assert len(str(DataError("x" * 10_000_000))) < MAX_MESSAGE_LENGTH + 10
