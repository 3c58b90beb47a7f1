"""Other people's algorithms, under the same protocol."""
