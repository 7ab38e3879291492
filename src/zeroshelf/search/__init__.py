"""Words and pictures -> the pictures of a folder that fit them best, with scores and decisions."""
