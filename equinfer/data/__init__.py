"""What learners remember."""
