"""Floor 1. Tasks from data: the built-in ones by name, and folders of a user's own images."""

from __future__ import annotations

from slimlab.data.augment import ShiftAndFlip
from slimlab.data.digits import digits
from slimlab.data.fashion_mnist import fashion_mnist
from slimlab.data.image_folder import image_folder
from slimlab.data.load import load_task
from slimlab.data.pixels import Pixels

__all__ = ["Pixels", "ShiftAndFlip", "digits", "fashion_mnist", "image_folder", "load_task"]
