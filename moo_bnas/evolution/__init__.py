"""The search: genotypes, their scores and costs, and the algorithm that proposes genotypes.

Nothing here depends on networks, storages or torch. Importing this package does not import pymoo,
so every other package can use `space`, `cost` and `scoring`.
"""
