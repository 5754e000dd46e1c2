"""Labeled pictures to learn from and to be judged on."""
