"""Experiment specs that ship."""
