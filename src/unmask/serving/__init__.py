"""The champion over HTTP: its MLflow server, the front that people ask, and the page."""
