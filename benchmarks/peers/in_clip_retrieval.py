"""Runs in clip-retrieval's environment.

    weights FILE                    an open_clip ViT-B/32 at 256 pixels with random weights
    query INDEX MODEL WORD          the ten nearest pictures

Its command `filter` takes OpenAI's ViT-B/32 alone, which it downloads; so a query goes through the
functions of its service.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ARCHITECTURE = "ViT-B-32-256"


def weights(file: str) -> None:
    import open_clip
    import torch

    torch.manual_seed(0)
    torch.save(open_clip.create_model(ARCHITECTURE, pretrained=None).state_dict(), file)


def query(index: str, model: str, word: str) -> None:
    from clip_retrieval.clip_back import ClipOptions, KnnService, load_clip_indices

    listed = Path(index) / "indices.json"
    listed.write_text(json.dumps({"pictures": index}))
    options = ClipOptions(
        indice_folder="",
        clip_model=model,
        enable_hdf5=False,
        enable_faiss_memory_mapping=False,
        columns_to_return=["image_path"],
        reorder_metadata_by_ivf_index=False,
        enable_mclip_option=False,
        use_jit=False,
        use_arrow=False,
        provide_safety_model=False,
        provide_violence_detector=False,
        provide_aesthetic_embeddings=False,
    )
    service = KnnService(clip_resources=load_clip_indices(str(listed), options))
    found = service.query(
        text_input=word,
        modality="image",
        num_images=10,
        num_result_ids=10,
        indice_name="pictures",
        deduplicate=False,
    )
    for one in found:
        print("hit", one["image_path"])


if __name__ == "__main__":
    if sys.argv[1] == "weights":
        weights(sys.argv[2])
    else:
        query(*sys.argv[2:])
