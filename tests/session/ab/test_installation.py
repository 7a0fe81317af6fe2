import importlib.metadata
import json

import pytest

from harness.errors import BadArm
from harness.machine import environment
from harness.session.ab import installation


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Pretends that the package lies in site-packages, with a direct_url.json or without, beside some packages."""
    package = tmp_path / "site-packages" / "harness"
    package.mkdir(parents=True)
    (package / "a.py").write_text("a")
    monkeypatch.setattr(installation, "_PACKAGE", package)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: importlib.metadata.PathDistribution(info))
    info = tmp_path / "site-packages" / "tunebench-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: tunebench\nVersion: 1.2\n")
    packages = dict.fromkeys(environment.packages())
    monkeypatch.setattr(environment, "packages", lambda: packages)

    def tell(direct_url=None, **others):
        packages.update({name.replace("_", "-"): version for name, version in others.items()})
        if direct_url is not None:
            (info / "direct_url.json").write_text(json.dumps(direct_url))
        return package

    return tell


def ours():
    current = installation.current_installation()
    return current.words, current.state


def test_from_an_index_it_is_this_version(installed):
    installed()
    assert ours() == (("tunebench==1.2",), "")


def test_from_an_archive_it_is_that_archive(installed):
    installed({"url": "https://example.org/t.whl", "archive_info": {}})
    assert ours() == (("tunebench @ https://example.org/t.whl",), "")


def test_from_a_repository_it_is_the_commit(installed):
    repository = {"vcs": "git", "commit_id": "abc", "requested_revision": "main"}
    installed({"url": "https://example.org/t.git", "vcs_info": repository, "subdirectory": "in"})
    assert ours() == (("tunebench @ git+https://example.org/t.git@abc#subdirectory=in",), "")


def test_with_mlx_for_nvidia_goes_the_extra_that_brings_it(installed):
    installed(mlx_cuda_13="0.31")
    assert ours() == (("tunebench[cuda]==1.2",), "")


def test_from_a_directory_it_is_that_directory_as_long_as_it_holds_the_same_code(installed, tmp_path):
    source = tmp_path / "with space"
    (source / "harness").mkdir(parents=True)
    (source / "harness" / "a.py").write_text("a")
    package = installed({"url": (source).as_uri(), "dir_info": {}})
    (package / "bundled").mkdir()
    (package / "bundled" / "suite.py").write_text("data of the wheel")
    (words, state) = ours()
    assert words == (f"tunebench @ {source.as_uri()}",)
    assert len(state) == 64
    (source / "harness" / "a.py").write_text("changed")
    with pytest.raises(BadArm, match=f"installed from {source}, which holds other code by now; .*: install it again"):
        installation.current_installation()


def test_other_code_is_another_state(installed, tmp_path):
    (tmp_path / "source" / "harness").mkdir(parents=True)
    package = installed({"url": (tmp_path / "source").as_uri(), "dir_info": {}})
    states = set()
    for name, text in [("a.py", "a"), ("a.py", "b"), ("b.py", "b")]:
        for folder in (package, tmp_path / "source" / "harness"):
            (folder / "a.py").unlink(missing_ok=True)
            (folder / name).write_text(text)
        states.add(ours()[1])
    assert len(states) == 3


def test_a_checkout_is_installed_editable_whatever_was_noted_about_it(installed, tmp_path):
    installed({"url": "https://example.org/t.whl", "archive_info": {}}, mlx_cuda="1")
    project = tmp_path / "site-packages" / "pyproject.toml"
    project.write_text("one")
    words, one = ours()
    assert words == ("--editable", f"{tmp_path / 'site-packages'}[cuda]")
    project.write_text("two")
    assert ours()[0] == words
    assert ours()[1] != one
