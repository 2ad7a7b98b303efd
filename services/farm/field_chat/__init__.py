"""Conversations about fields, tasks and incidents."""
