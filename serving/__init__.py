"""Serve a version: bundle, contract at the door, engines, MLServer."""
