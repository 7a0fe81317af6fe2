"""The kinds of report: each turns stored runs into one page."""
