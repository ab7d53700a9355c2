"""The search: genotypes, scores, and the algorithm that is asked for genotypes and told accuracies.

It knows nothing of networks, storages or torch. Importing this package does not import pymoo, so
that every other room can use `space` and `scoring`.
"""
