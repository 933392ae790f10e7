"""The champion over HTTP: its MLflow server, who watches that, and the front that people ask."""
