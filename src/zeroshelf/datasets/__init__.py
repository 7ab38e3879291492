"""Embeddings of pictures that lie anywhere, as a folder of Parquet files. Needs pyarrow."""
