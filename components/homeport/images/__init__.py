"""Images: how a model's folder becomes what a builder is given."""
