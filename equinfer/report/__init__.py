"""Seeing an answer: one file per picture, one page. Reads records, computes nothing."""
