"""Images: how a model's folder becomes the input of an image builder."""
