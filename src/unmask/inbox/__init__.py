"""An inbox of photos and the storage that it lies in."""
