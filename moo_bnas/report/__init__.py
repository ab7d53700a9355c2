"""Tables, figures, pages and images drawn from results. Nothing here reads a storage."""
