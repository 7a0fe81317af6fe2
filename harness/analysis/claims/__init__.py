"""Claims of a published report, checked against the figures of that report."""
