"""A gate verdict in formats that programs read: JSON, JUnit XML, GitHub annotations."""
