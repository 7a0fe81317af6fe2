"""Commits of the repository here, checked out in the cache: the one door to git's worktrees.

They are the cache's: one in which files were changed is made anew.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from harness.errors import BadArm, Unwritable
from harness.machine import environment, programs
from harness.paths import cache_dir, without_home
from harness.session.ab.arms import Revision

_SHORT = 12  # characters of a commit in a message
# A hook of git sets these for the repository it is called in; here each directory tells its own.
_UNSET = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worktree:
    """A checked-out commit: its *root*, the *directory* in it that matches the current one, and its full name."""

    root: Path
    directory: Path
    commit: str


def worktree(wanted: Revision, *, say: Callable[[str], None]) -> Worktree:
    """Give the code of a commit: checked out before and unchanged, or checked out now.

    What is not committed is not part of it, and *say* hears so; nor are submodules.

    Raises:
        BadArm: if there is no repository here, it has no such commit, or the commit no such directory.
        Unwritable: if the cache cannot hold it.
    """
    here = Path.cwd()
    where = f"environment {wanted.text!r}"
    top = _git(here, "rev-parse", "--show-toplevel")
    if not top.ok:
        remedy = "git: measures a commit of the repository in the current directory; change to a checkout of it"
        raise BadArm(f"{where}: {without_home(str(here))} is in no repository; {remedy}. git said:\n  {top.said}")
    commit = _commit(here, wanted)
    if (environment.git_state(here) or {}).get("dirty"):
        say(f"{wanted.text}: commit {commit[:_SHORT]}; the uncommitted changes here are not part of it")
    root = _checked_out(here, wanted, commit, say=say)
    directory = root / here.resolve().relative_to(Path(top.output).resolve())
    if not directory.is_dir():
        raise BadArm(
            f"{where}: commit {commit[:_SHORT]} has no directory {directory.relative_to(root)}, which is the current "
            "one; change to a directory that both have, such as the repository's top"
        )
    return Worktree(root=root, directory=directory, commit=commit)


def _commit(here: Path, wanted: Revision) -> str:
    found = _git(here, "rev-parse", "--verify", "--quiet", f"{wanted.revision}^{{commit}}")
    if not found.ok:
        remedy = "give a branch, a tag or a commit that git log shows; in a shallow clone, git fetch it first"
        raise BadArm(f"environment {wanted.text!r}: the repository here has no commit {wanted.revision!r}; {remedy}")
    return found.output


def _checked_out(here: Path, wanted: Revision, commit: str, *, say: Callable[[str], None]) -> Path:
    """The root of the commit's worktree."""
    repository = (here / _git(here, "rev-parse", "--git-common-dir").output).resolve()
    name = hashlib.sha256(str(repository).encode()).hexdigest()[:16]
    root = cache_dir().absolute() / "worktrees" / name / commit
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(root.with_name("lock")):  # of the repository: git writes its list of worktrees
            if not _is_unchanged(root, commit):
                say(f"{wanted.text}: checking out {commit[:_SHORT]} in {without_home(str(root))}")
                shutil.rmtree(root, ignore_errors=True)
                _git(here, "worktree", "prune")
                added = _git(here, "worktree", "add", str(root), commit)
                if not added.ok:
                    remedy = f"make it work by hand (git worktree add --detach DIRECTORY {commit[:_SHORT]})"
                    raise BadArm(f"environment {wanted.text!r}: not checked out; {remedy}. git said:\n  {added.said}")
    except OSError as error:
        remedy = "set TUNEBENCH_CACHE to a directory that can be written and has room"
        raise Unwritable(f"{root}: {error.strerror or error}; {remedy}") from error
    return root


def _is_unchanged(root: Path, commit: str) -> bool:
    """Whether the whole commit is there and nothing else but what it ignores."""
    if not (root / ".git").is_file():
        return False
    head = _git(root, "rev-parse", "--verify", "HEAD")
    status = _git(root, "status", "--porcelain")
    return head.ok and head.output == commit and status.ok and not status.output


def _git(directory: Path, *words: str) -> programs.ProgramResult:
    """Ask git in *directory*; hooks of the repository are left out."""
    return programs.run(["git", "-c", "core.hooksPath=/dev/null", *words], directory=directory, unset=_UNSET)
