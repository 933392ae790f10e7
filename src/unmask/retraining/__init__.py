"""New data and changed params: from a drop folder to a version of its own."""
