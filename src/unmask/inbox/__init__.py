"""An inbox of photos to restore, in a folder or a bucket."""
