"""What labels and negatives mean: prompts, the bank, WordNet."""
