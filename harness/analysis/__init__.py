"""Analysis: stored numbers in, findings and verdicts out; nothing is read or written here."""
