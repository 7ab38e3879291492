"""Tags: keywords in XMP sidecars and in pictures' own files."""
