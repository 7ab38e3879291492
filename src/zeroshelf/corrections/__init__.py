"""What a person said about pictures -> better decisions."""
