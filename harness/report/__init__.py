"""Reports: stored runs in, pages out."""
