"""The words of a gate verdict, the same on every page, terminal and annotation."""
