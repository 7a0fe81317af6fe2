"""Fake machine: the texts that its commands print and its small files hold."""

import fnmatch
from dataclasses import dataclass, field

from harness.machine import os_queries


@dataclass(frozen=True)
class FakeSystem:
    """Stands in for `harness.machine.os_queries`. A command is found by its program, or by the program
    with its arguments.
    """

    commands: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def install(self, monkeypatch):
        monkeypatch.setattr(os_queries, "output", self.output)
        monkeypatch.setattr(os_queries, "text", self.files.get)
        monkeypatch.setattr(os_queries, "texts", self.texts)

    def output(self, program, *arguments, directory=None):
        return self.commands.get(" ".join([program, *arguments]), self.commands.get(program))

    def texts(self, pattern):
        return [self.files[path] for path in sorted(self.files) if fnmatch.fnmatch(path, pattern)]
