"""Report kinds: each module turns stored runs into one kind of report."""
