"""The champion over HTTP: its MLflow server, who watches that, the front that people ask, a page."""
