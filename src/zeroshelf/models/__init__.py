"""A model's files -> an `Encoder`. Knows nothing of labels and scores."""
