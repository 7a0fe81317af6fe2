import sys
from pathlib import Path

import pytest

from harness import paths
from harness.paths import bundled, cache_dir, without_home


@pytest.fixture
def home(monkeypatch, tmp_path):
    for name in ("TUNEBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_checkout_has_its_data_beside_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "_HERE", tmp_path / "harness")
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "harness" / "bundled" / "fixtures").mkdir(parents=True)
    assert bundled("fixtures") == tmp_path / "fixtures"


def test_published_figures_lie_under_the_results_of_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "_HERE", tmp_path / "harness")
    (tmp_path / "published").mkdir()
    assert bundled("published") == tmp_path / "harness" / "bundled" / "published"
    (tmp_path / "results" / "published").mkdir(parents=True)
    assert bundled("published") == tmp_path / "results" / "published"


def test_a_wheel_has_its_data_inside_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "_HERE", tmp_path / "harness")
    assert bundled("templates") == tmp_path / "harness" / "bundled" / "templates"


def test_the_user_may_put_the_cache_anywhere(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("TUNEBENCH_CACHE", "/big/disk")
    assert cache_dir() == Path("/big/disk")


@pytest.mark.parametrize(
    ("platform", "xdg", "place"),
    [
        ("linux", None, ".cache/tunebench"),
        ("linux", "", ".cache/tunebench"),
        ("linux", "/xdg", "/xdg/tunebench"),
        ("darwin", "/xdg", "Library/Caches/tunebench"),
    ],
)
def test_the_cache_is_where_the_system_keeps_caches(home, monkeypatch, platform, xdg, place):
    monkeypatch.setattr(sys, "platform", platform)
    if xdg is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert cache_dir() == home / place


def test_no_user_name_gets_into_a_file(home):
    text = f"{home}/a and {home}/b, not /elsewhere"
    assert without_home(text) == "~/a and ~/b, not /elsewhere"


def test_a_home_at_the_root_is_left_alone(home, monkeypatch):
    monkeypatch.setenv("HOME", "/")
    assert without_home("/data/x") == "/data/x"
