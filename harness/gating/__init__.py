"""A candidate run against a baseline run: what is compared, what decides, and what a gate says. Pure."""
