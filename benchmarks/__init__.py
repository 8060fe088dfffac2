"""Benchmarks of Perdure: `make bench`. Each measurement runs in a process of its own."""
