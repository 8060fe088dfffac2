"""Perdure: durable execution for Python."""
