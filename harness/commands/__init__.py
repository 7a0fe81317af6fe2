"""Commands of `tunebench`: one file each, with its options, its work and the text that it prints.

`harness.cli` calls `add_parser` of every command whenever the program starts. A command therefore imports what its
work needs inside its functions, so that `tunebench --help` appears at once.
"""
