"""What a storage says of a run, as plain data: points, scores, convergence, provenance, status."""
