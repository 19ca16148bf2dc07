"""Programs that contenders run in their own environments."""
