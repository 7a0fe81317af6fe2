"""Commands of `tunebench`: one file each, with its options, its work and the text that it prints.

`harness.cli` imports a command when the command line names it, and calls its `add_options` and its `run`. The command
imports what its work needs inside its functions, so that the command's own `--help` appears at once too.
"""
