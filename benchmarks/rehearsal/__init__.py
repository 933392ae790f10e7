"""A day of the production loop, rehearsed at smoke size: `make rehearse`."""
