"""Trainings of seconds, and progresses that stop or watch them."""

import numpy as np
import onnxruntime

from lookalike.learning.recipes import Recipe
from lookalike.model_folder import NETWORK

TINY = Recipe(
    image_size=32,
    grid=16,
    code_dim=8,
    content_dim=12,
    batch_size=8,
    epochs=4,
    self_encoder_epochs=2,
    joint_share=0.5,
    device="cpu",
    precision="float32",
)


class Stopped(Exception):
    """What a test throws into a running training."""


class StopAfter:
    """A progress that throws when so many pictures have been learned."""

    def __init__(self, n):
        self.left = n

    def task(self, description, total=None, unit="images"):
        self.counts = description.startswith("Learning")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def advance(self, n=1):
        if self.counts:
            self.left -= n
            if self.left < 0:
                raise Stopped

    def expect(self, total):
        pass

    def note(self, text):
        pass


class Listener(StopAfter):
    """Remembers what was shown."""

    def __init__(self):
        super().__init__(10**9)
        self.tasks, self.notes = [], []

    def task(self, description, total=None, unit="images"):
        self.tasks.append(description)
        return super().task(description, total, unit)

    def note(self, text):
        self.notes.append(text)


def run(path, **inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def embeddings(folder):
    rng = np.random.default_rng(0)
    return run(folder / NETWORK, images=rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))
