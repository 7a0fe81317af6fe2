import getpass
import hashlib
import importlib.util
import json
import platform
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest

from harness.machine import environment
from tests.support.fake_system import FakeSystem

APPLE = """machdep.cpu.brand_string: Apple M4 Pro
hw.perflevel0.physicalcpu: 10
hw.perflevel1.physicalcpu: 4
kern.hv_vmm_present: 0
"""
IOREG = """+-o AGXAcceleratorG16X  <class AGXAcceleratorG16X, id 0x100000462, registered, matched, active>
    {
      "PerformanceStatistics" = {"Device Utilization %"=0,"In use system memory"=515506176}
      "model" = "Apple M4 Pro"
      "gpu-core-count" = 20
    }
"""
CPUINFO = """processor	: 0
model name	: Some CPU @ 2: fast
flags		: fpu vme hypervisor avx2

processor	: 1
model name	: Some CPU @ 2: fast
flags		: fpu vme hypervisor avx2
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit, and a way to ask git about it."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    directory = tmp_path / "checkout"
    (directory / "inner").mkdir(parents=True)

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        done = subprocess.run(["git", *who, *arguments], cwd=directory, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet")
    (directory / "file").write_text("one")
    git("add", "file")
    git("commit", "--quiet", "--message", "one")
    return directory, git


def test_a_checkout_without_changes_is_its_commit(repository):
    directory, git = repository
    expected = {"commit": git("log", "-1", "--format=%H"), "dirty": False}
    assert environment.git_state(directory) == expected
    assert environment.git_state(directory / "inner") == expected


def test_a_changed_file_makes_a_checkout_dirty(repository):
    directory, git = repository
    (directory / "file").write_text("two")
    assert environment.git_state(directory) == {"commit": git("log", "-1", "--format=%H"), "dirty": True}
    git("add", "file")
    assert environment.git_state(directory)["dirty"] is True


def test_results_that_nobody_committed_do_not_make_a_checkout_dirty(repository):
    directory, _ = repository
    (directory / "results.json").write_text("{}")
    assert environment.git_state(directory)["dirty"] is False


def test_outside_a_checkout_there_is_no_state(repository):
    assert environment.git_state(repository[0].parent) is None


def test_a_checkout_without_a_commit_has_no_state(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True, capture_output=True)
    assert environment.git_state(tmp_path) is None


def test_a_directory_that_is_gone_has_no_state(repository):
    assert environment.git_state(repository[0] / "gone") is None


def test_versions_are_those_of_what_is_imported_and_none_for_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(environment, "_PACKAGES", (*environment._PACKAGES, "tunebench-no-such-package"))
    versions = environment.packages()
    assert versions["numpy"] == np.__version__
    assert versions["mlx"] == mx.__version__
    assert versions["tunebench-no-such-package"] is None
    libraries = {"transformers", "tokenizers", "huggingface_hub", "msgspec"}
    assert {"tunebench", "mlx-lm", "mlx-cpu", "mlx-metal", "mlx-cuda", *libraries} <= versions.keys()


def test_the_machine_is_described():
    facts = environment.operating_system()
    assert (facts["system"], facts["machine"]) == (platform.system(), platform.machine())
    assert facts["python"] == platform.python_version()
    assert facts["threads"] >= (facts["cores"] or 1) >= 1
    assert facts["memory_bytes"] > 2**28


def test_a_mac_tells_its_chip_and_its_kinds_of_cores(monkeypatch):
    FakeSystem(commands={"sysctl": APPLE, "ioreg": IOREG}).install(monkeypatch)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "mac_ver", lambda: ("15.1", ("", "", ""), "arm64"))
    facts = environment.operating_system()
    assert facts["name"] == "macOS 15.1"
    assert facts["processor"] == "Apple M4 Pro"
    assert (facts["performance_cores"], facts["efficiency_cores"], facts["gpu_cores"]) == (10, 4, 20)
    assert facts["virtual"] is False


def test_linux_tells_its_processor_and_what_a_container_leaves_of_it(monkeypatch):
    files = {
        "proc/cpuinfo": CPUINFO,
        "sys/fs/cgroup/cpu.max": "150000 100000",
        "sys/fs/cgroup/memory.max": "1073741824",
    }
    FakeSystem(files=files).install(monkeypatch)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"PRETTY_NAME": "Some Linux 1"})
    monkeypatch.setattr(platform, "mac_ver", lambda: ("", ("", "", ""), ""))
    facts = environment.operating_system()
    assert (facts["name"], facts["processor"]) == ("Some Linux 1", "Some CPU @ 2: fast")
    assert (facts["cpu_limit_cores"], facts["memory_limit_bytes"]) == (1.5, 2**30)
    assert facts["virtual"] is True


def test_control_groups_of_version_1_limit_too(monkeypatch):
    files = {
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648",
    }
    FakeSystem(files=files).install(monkeypatch)
    facts = environment.operating_system()
    assert (facts["cpu_limit_cores"], facts["memory_limit_bytes"]) == (0.5, 2**31)


def test_what_a_system_does_not_tell_is_none_under_the_same_keys(monkeypatch):
    keys = environment.operating_system().keys()
    FakeSystem().install(monkeypatch)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "mac_ver", lambda: ("", ("", "", ""), ""))
    monkeypatch.setattr(platform, "freedesktop_os_release", dict)
    facts = environment.operating_system()
    assert facts.keys() == keys
    unknown = ("name", "processor", "performance_cores", "efficiency_cores", "gpu_cores", "virtual")
    assert [facts[name] for name in (*unknown, "cpu_limit_cores", "memory_limit_bytes")] == [None] * 8


def test_a_system_without_proc_names_its_processor_itself(monkeypatch):
    FakeSystem().install(monkeypatch)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert environment.operating_system()["processor"] == "arm"


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [
        ("max", "100000", None),
        ("-1", "100000", None),
        (None, None, None),
        ("200000", "", None),
        ("200000", "0", None),
        ("125000", "100000", 1.25),
    ],
)
def test_a_quota_is_a_number_of_cores_and_none_without_a_limit(quota, period, cores):
    assert environment.cpu_limit_cores(quota, period) == cores


@pytest.mark.parametrize(
    ("limit", "size"), [("max", None), (None, None), ("9223372036854771712", None), ("4096", 4096)]
)
def test_a_memory_limit_is_bytes_and_none_without_one(limit, size):
    assert environment.memory_limit_bytes(limit) == size


@pytest.mark.parametrize(
    ("cpuinfo", "control", "virtual"),
    [
        ("flags\t\t: fpu avx2\n", {}, False),
        ("flags\t\t: fpu hypervisor\n", {}, True),
        ("Features\t: fp asimd\n", {}, None),
        ("", {"kern.hv_vmm_present": "1"}, True),
    ],
)
def test_a_virtual_machine_is_told_from_a_real_one_where_it_can_be(cpuinfo, control, virtual):
    assert environment.is_virtual(cpuinfo, control) is virtual


def test_the_compiler_names_itself_in_a_line(tmp_path, monkeypatch):
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'g++ (Some) 99.1' && echo 'no warranty'\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.compiler() == "g++ (Some) 99.1"
    compiler.unlink()
    assert environment.compiler() is None


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """The modules of a process that has loaded harness.one and harness.two, and others that are none of ours."""
    mine = {}
    for name in ("harness.one", "harness.two", "other", "harnessing"):
        path = tmp_path / f"{name}.py"
        path.write_text(f"# {name}")
        mine[name] = importlib.util.module_from_spec(importlib.util.spec_from_file_location(name, path))
    monkeypatch.setattr(environment, "sys", SimpleNamespace(modules=mine))
    return mine


def test_the_measured_code_is_the_source_of_the_loaded_modules(modules):
    one = hashlib.sha256(b"# harness.one").hexdigest()
    two = hashlib.sha256(b"# harness.two").hexdigest()
    whole = hashlib.sha256(f"harness.one {one}\nharness.two {two}\n".encode()).hexdigest()
    assert environment.measured_code() == whole
    assert environment.measured_code() == whole, "it is the same each time"


def test_a_changed_source_changes_the_measured_code_and_another_package_does_not(modules, tmp_path):
    before = environment.measured_code()
    (tmp_path / "other.py").write_text("# changed")
    (tmp_path / "harnessing.py").write_text("# changed")
    assert environment.measured_code() == before
    (tmp_path / "harness.two.py").write_text("# changed")
    assert environment.measured_code() != before


def test_the_order_of_imports_does_not_change_the_measured_code(modules, monkeypatch):
    before = environment.measured_code()
    monkeypatch.setattr(environment.sys, "modules", dict(reversed(modules.items())))
    assert environment.measured_code() == before


def test_a_module_that_was_started_counts_under_its_own_name(modules):
    before = environment.measured_code()
    modules["__main__"] = modules.pop("harness.one")
    modules["__main__"].__name__ = "__main__"
    assert environment.measured_code() == before


def test_modules_without_a_file_or_a_specification_do_not_count(modules):
    before = environment.measured_code()
    modules["harness.namespace"] = importlib.util.module_from_spec(
        importlib.machinery.ModuleSpec("harness.namespace", None)
    )
    modules["bare"] = type(sys)("bare")
    modules["gone"] = None
    assert environment.measured_code() == before


def test_nobody_s_name_is_among_the_facts():
    """Neither as a value nor, where it is long enough to be told from a word of the facts, inside one."""
    tables = [environment.operating_system(), environment.packages(), environment.load_and_power()]
    values = {str(value) for table in tables for value in table.values()} | {str(environment.compiler())}
    names = {getpass.getuser(), socket.gethostname(), platform.node()}
    assert not names & values
    words = set(re.findall(r"[\w.-]+", " ".join(values)))
    assert not {name for name in names if len(name) >= 6} & words
    assert str(Path.home()) == "/" or not any(str(Path.home()) in value for value in values)


def test_no_text_of_the_system_s_own_is_stored_whole(monkeypatch):
    """A command or file may say who is at the machine: only what is looked for leaves it."""
    private = "hw.model: the.user \n the.user@the-host /home/the.user"
    programs = ("sysctl", "ioreg", "pmset")
    FakeSystem(commands=dict.fromkeys(programs, private), files={"proc/cpuinfo": private}).install(monkeypatch)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    stored = json.dumps([environment.operating_system(), environment.load_and_power()])
    assert "the.user" not in stored


def test_a_compiler_in_the_home_directory_does_not_tell_whose_it_is(monkeypatch):
    monkeypatch.setenv("HOME", "/home/the.user")
    FakeSystem(commands={"g++": "/home/the.user/bin/g++ 99.1"}).install(monkeypatch)
    assert environment.compiler() == "~/bin/g++ 99.1"


def test_variables_that_change_how_fast_a_process_reckons_are_told(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("MLX_SOMETHING", "/home/somebody/x")
    monkeypatch.setenv("SECRET", "s3cret")
    told = environment.variables()
    assert told["OPENBLAS_NUM_THREADS"] == "3"
    assert told["MLX_SOMETHING"] == "~/x"
    assert "SECRET" not in told
