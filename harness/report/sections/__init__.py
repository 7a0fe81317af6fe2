"""Sections and charts that the report kinds are assembled from."""
