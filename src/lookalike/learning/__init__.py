"""The method: features learned by image self-encoding, with PyTorch."""
