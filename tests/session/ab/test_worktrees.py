import shutil
import subprocess

import pytest

from harness.errors import BadArm, Unwritable
from harness.session.ab import worktrees
from harness.session.ab.arms import parse


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Changes into a repository with two commits: "one" and "two" are what their `file` says."""
    for name in worktrees._UNSET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path / "cache"))
    here = tmp_path / "checkout"
    here.mkdir()

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *who, *words], cwd=here, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "--quiet")
    (here / ".gitignore").write_text("ignored\n")
    for text in ("one", "two"):
        (here / "file").write_text(text)
        git("add", ".")
        git("commit", "--quiet", "--message", text)
    git("tag", "v2")
    monkeypatch.chdir(here)
    return git


def have(revision):
    lines = []
    return worktrees.worktree(parse(f"git:{revision}"), say=lines.append), lines


def test_a_commit_is_checked_out_in_the_cache(git, tmp_path):
    checkout, lines = have("HEAD~1")
    assert checkout.commit == git("rev-parse", "HEAD~1")
    assert checkout.root == checkout.directory
    assert checkout.root.is_relative_to(tmp_path / "cache")
    assert (checkout.root / "file").read_text() == "one"
    assert lines == [f"git:HEAD~1: checking out {checkout.commit[:12]} in {checkout.root}"]
    assert git("rev-parse", "--abbrev-ref", "HEAD") != "HEAD"


def test_a_name_of_the_same_commit_has_the_same_checkout_without_a_word(git):
    checkout, _ = have("HEAD")
    (checkout.root / "ignored").touch()
    assert have("v2") == (checkout, [])
    assert (checkout.root / "ignored").exists()


@pytest.mark.parametrize("spoil", ["change", "delete", "add", "commit", "unlink"])
def test_a_checkout_that_is_not_as_committed_is_made_anew(git, spoil):
    checkout, _ = have("HEAD")
    match spoil:
        case "change":
            (checkout.root / "file").write_text("mine")
        case "delete":
            (checkout.root / "file").unlink()
        case "add":
            (checkout.root / "more").touch()
        case "commit":
            git("-C", str(checkout.root), "checkout", "--quiet", "HEAD~1")
        case "unlink":
            (checkout.root / ".git").unlink()
    again, lines = have("HEAD")
    assert again == checkout
    assert len(lines) == 1
    assert (checkout.root / "file").read_text() == "two"
    assert not (checkout.root / "more").exists()


def test_a_cache_inside_the_repository_does_not_pass_for_a_checkout(git, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path / "checkout" / "ignored"))
    checkout, _ = have("HEAD")
    (checkout.root / ".git").unlink()
    (checkout.root / "file").unlink()
    assert have("HEAD")[0] == checkout
    assert (checkout.root / "file").read_text() == "two"


def test_a_checkout_that_was_deleted_leaves_no_entry_in_the_repository(git):
    gone, _ = have("HEAD~1")
    shutil.rmtree(gone.root)
    have("HEAD")
    assert str(gone.root) not in git("worktree", "list")
    assert have("HEAD~1")[0] == gone


def test_the_current_directory_has_its_match(git, monkeypatch, tmp_path):
    (tmp_path / "checkout" / "inner").mkdir()
    (tmp_path / "checkout" / "inner" / "code").write_text("three")
    git("add", ".")
    git("commit", "--quiet", "--message", "three")
    monkeypatch.chdir(tmp_path / "checkout" / "inner")
    checkout, _ = have("HEAD")
    assert checkout.directory == checkout.root / "inner"
    assert (checkout.directory / "code").read_text() == "three"
    before = git("rev-parse", "HEAD~1")[:12]
    with pytest.raises(
        BadArm, match=f"commit {before} has no directory inner, .*; change to a directory that both have"
    ):
        have("HEAD~1")


def test_uncommitted_changes_are_no_part_of_it_and_that_is_said(git, tmp_path):
    (tmp_path / "checkout" / "file").write_text("three")
    checkout, lines = have("HEAD")
    assert (checkout.root / "file").read_text() == "two"
    assert lines[0] == f"git:HEAD: commit {checkout.commit[:12]}; the uncommitted changes here are not part of it"


@pytest.mark.parametrize("revision", ["nothing", "HEAD~9", "HEAD:file"])
def test_what_is_no_commit_is_refused(git, revision):
    with pytest.raises(
        BadArm, match=f"the repository here has no commit '{revision}'; give a branch, a tag or a commit"
    ):
        have(revision)


def test_outside_a_repository_there_are_no_commits(git, monkeypatch, tmp_path):
    (tmp_path / "bare").mkdir()
    monkeypatch.chdir(tmp_path / "bare")
    with pytest.raises(BadArm, match=r"'git:HEAD': .*bare is in no repository; git: measures (.|\n)*not a git repo"):
        have("HEAD")


def test_hooks_neither_run_nor_lead_astray(git, tmp_path, monkeypatch):
    hook = tmp_path / "checkout" / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    checkout, _ = have("HEAD")
    assert not (checkout.root / "hooked").exists()


def test_two_repositories_with_a_commit_in_common_do_not_share_a_checkout(git, tmp_path, monkeypatch):
    checkout, _ = have("HEAD")
    git("clone", "--quiet", ".", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    other, _ = have("HEAD")
    assert other.commit == checkout.commit
    assert other.root != checkout.root


def test_a_checkout_that_fails_leaves_nothing(git, tmp_path):
    commit = git("rev-parse", "HEAD")
    blob = git("rev-parse", "HEAD:file")
    (tmp_path / "checkout" / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(BadArm, match=f"not checked out; make it work by hand .*{commit[:12]}(.|\n)*git said"):
        have("HEAD")
    assert list((tmp_path / "cache").rglob(commit)) == []


def test_a_cache_that_cannot_be_written_is_told(git, tmp_path, monkeypatch):
    (tmp_path / "full").touch()
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path / "full"))
    with pytest.raises(Unwritable, match="Not a directory; set TUNEBENCH_CACHE"):
        have("HEAD")
