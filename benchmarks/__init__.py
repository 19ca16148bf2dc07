"""Compares servers of one registered model on one machine. Nothing imports this."""
