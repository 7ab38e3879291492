"""A model and no code: zeroshelf finds this folder by its name. README.md is the model card."""
