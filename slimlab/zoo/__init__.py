"""Floor 1. Small networks, with trained weights for the built-in tasks; `load_model` finds them."""

from __future__ import annotations

from slimlab.zoo.load import load_model
from slimlab.zoo.mobilenet import mobilenet_v1
from slimlab.zoo.origin import Origin, build, origin_of, set_origin
from slimlab.zoo.resnet import resnet20
from slimlab.zoo.vgg import vgg

__all__ = [
    "Origin",
    "build",
    "load_model",
    "mobilenet_v1",
    "origin_of",
    "resnet20",
    "set_origin",
    "vgg",
]
