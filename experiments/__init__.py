"""What a data scientist edits and runs: specs, data, candidates, training, proof."""
