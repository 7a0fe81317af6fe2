"""Workloads of the suites: each turns a job into a sample inside a worker process."""
