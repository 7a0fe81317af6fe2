"""Pages as text: templates, escapes, and the stamp that says what a page was made from."""
