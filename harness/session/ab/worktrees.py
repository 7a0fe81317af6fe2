"""Commits of the current repository, checked out in the cache; the only module that uses git worktrees.

A worktree in which files were changed is checked out again.
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
# A git hook sets these for the repository it runs in; here git must find the repository of each directory itself.
_UNSET = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worktree:
    """A checked-out commit: its *root*, the *directory* in it that matches the current one, and its full name."""

    root: Path
    directory: Path
    commit: str


def worktree(spec: Revision, *, say: Callable[[str], None]) -> Worktree:
    """Check out the commit that *spec* names, or reuse an unchanged worktree of it.

    Uncommitted changes are not part of it, which *say* is told; neither are submodules.

    Raises:
        BadArm: if there is no repository here, it has no such commit, or the commit lacks the current directory.
        Unwritable: if the cache cannot hold it.
    """
    current = Path.cwd()
    subject = f"environment {spec.text!r}"
    top = _git(current, "rev-parse", "--show-toplevel")
    if not top.ok:
        remedy = "git: measures a commit of the repository in the current directory; change to a checkout of it"
        raise BadArm(
            f"{subject}: {without_home(str(current))} is in no repository; {remedy}. git said:\n  {top.complaint}"
        )
    commit = _commit(current, spec)
    if (environment.git_state(current) or {}).get("dirty"):
        say(f"{spec.text}: commit {commit[:_SHORT]}; the uncommitted changes here are not part of it")
    root = _checked_out(current, spec, commit, say=say)
    directory = root / current.resolve().relative_to(Path(top.output).resolve())
    if not directory.is_dir():
        raise BadArm(
            f"{subject}: commit {commit[:_SHORT]} has no directory {directory.relative_to(root)}, which is the current "
            "one; change to a directory that both have, such as the repository's top"
        )
    return Worktree(root=root, directory=directory, commit=commit)


def _commit(current: Path, spec: Revision) -> str:
    commit = _git(current, "rev-parse", "--verify", "--quiet", f"{spec.revision}^{{commit}}")
    if not commit.ok:
        remedy = "give a branch, a tag or a commit that git log shows; in a shallow clone, git fetch it first"
        raise BadArm(f"environment {spec.text!r}: the repository here has no commit {spec.revision!r}; {remedy}")
    return commit.output


def _checked_out(current: Path, spec: Revision, commit: str, *, say: Callable[[str], None]) -> Path:
    """Return the root of the commit's worktree, checked out if necessary."""
    repository = (current / _git(current, "rev-parse", "--git-common-dir").output).resolve()
    name = hashlib.sha256(str(repository).encode()).hexdigest()[:16]
    root = cache_dir().absolute() / "worktrees" / name / commit
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(root.with_name("lock")):  # of the repository: git writes its list of worktrees
            if not _is_unchanged(root, commit):
                say(f"{spec.text}: checking out {commit[:_SHORT]} in {without_home(str(root))}")
                shutil.rmtree(root, ignore_errors=True)
                _git(current, "worktree", "prune")
                added = _git(current, "worktree", "add", str(root), commit)
                if not added.ok:
                    remedy = f"make it work by hand (git worktree add --detach DIRECTORY {commit[:_SHORT]})"
                    raise BadArm(
                        f"environment {spec.text!r}: not checked out; {remedy}. git said:\n  {added.complaint}"
                    )
    except OSError as error:
        remedy = "set TUNEBENCH_CACHE to a directory that can be written and has room"
        raise Unwritable(f"{root}: {error.strerror or error}; {remedy}") from error
    return root


def _is_unchanged(root: Path, commit: str) -> bool:
    """Return whether the worktree holds exactly the commit, apart from ignored files."""
    if not (root / ".git").is_file():
        return False
    head = _git(root, "rev-parse", "--verify", "HEAD")
    status = _git(root, "status", "--porcelain")
    return head.ok and head.output == commit and status.ok and not status.output


def _git(directory: Path, *words: str) -> programs.ProgramResult:
    """Run git in *directory*, without the hooks of the repository."""
    return programs.run(["git", "-c", "core.hooksPath=/dev/null", *words], directory=directory, unset=_UNSET)
