"""The sections that report kinds are assembled from."""
