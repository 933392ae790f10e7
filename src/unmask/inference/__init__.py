"""From a picture of a masked face to the picture without the mask."""
