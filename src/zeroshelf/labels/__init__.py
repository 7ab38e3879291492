"""Words -> a label set -> the texts that stand for each label, and those that stand for none."""
