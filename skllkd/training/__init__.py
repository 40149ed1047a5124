"""Training the student on the teacher's labels."""
