"""Serving the champion over HTTP: MLflow's model server, an HTTP front end, and a web page."""
