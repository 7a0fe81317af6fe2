import errno
import os

import pytest

from harness.errors import Unwritable
from harness.results import atomic_write
from harness.results.atomic_write import write_bytes, write_text


def no_room(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_write_that_fails_leaves_the_old_file_whole_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "report.md"
    write_text(path, "old")
    monkeypatch.setattr(atomic_write.os, "fsync", no_room)
    with pytest.raises(Unwritable, match=r"report\.md: No space left on device; choose another place, or make room"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_a_directory_in_the_way_is_not_replaced_and_no_partial_file_stays(tmp_path):
    (tmp_path / "report.md").mkdir()
    with pytest.raises(Unwritable, match=r"report\.md"):
        write_text(tmp_path / "report.md", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_directories_are_made_and_texts_are_written_in_utf_8(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.md", "è 東京\n")
    assert (tmp_path / "a" / "b" / "c.md").read_bytes() == b"\xc3\xa8 \xe6\x9d\xb1\xe4\xba\xac\n"


def test_what_is_no_file_is_written_into_and_not_replaced(tmp_path):
    """As --json /dev/stdout is: a link, or a device."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"before")
    link.symlink_to(target)
    write_bytes(link, b"after")
    assert link.is_symlink()
    assert target.read_bytes() == b"after"
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    if full.exists():  # Linux
        with pytest.raises(Unwritable, match="full"):
            write_bytes(full, b"anything")
    assert full.is_symlink()
