"""Entities in a worker: their sessions, their rows, and where their operations run."""
