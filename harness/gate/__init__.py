"""Gate: judge a candidate run against a baseline run, with one verdict per metric and one for the run."""
