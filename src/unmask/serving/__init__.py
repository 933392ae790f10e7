"""Answering over HTTP and on a page."""
