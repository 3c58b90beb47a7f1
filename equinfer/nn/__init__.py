"""Networks, and the laws over actions that they put out."""
