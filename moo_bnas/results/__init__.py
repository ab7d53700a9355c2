"""What a storage holds of a run, as plain data: points, scores, convergence, provenance, status."""
