"""Shared building blocks without a domain."""
