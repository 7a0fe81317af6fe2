"""Texts of a gate's answer, the same on every page, terminal and annotation."""
