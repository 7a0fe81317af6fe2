"""Two sessions that take turns on one machine, for `tunebench ab`."""
