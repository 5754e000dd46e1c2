"""Ordinary things to ask for, against which the similarity of words and pictures is judged.

Image-text models give even the best picture for some words a smaller cosine than two unrelated
pictures have (Liang et al., *Mind the Gap*, NeurIPS 2022). How rare a similarity of words and a
picture is can therefore be told only against other words: these, embedded once at import.
"""

from typing import Final

_SUBJECTS: Final = (
    "person", "woman", "man", "child", "baby", "crowd", "dog", "cat", "horse", "cow", "sheep",
    "bird", "fish", "elephant", "bear", "butterfly", "insect", "snake", "flower", "tree", "forest",
    "mountain", "lake", "river", "beach", "sea", "sky", "cloud", "sunset", "snow", "rain", "desert",
    "field", "garden", "park", "street", "city", "village", "house", "church", "castle", "tower",
    "bridge", "skyscraper", "kitchen", "bedroom", "bathroom", "office", "classroom", "shop",
    "museum", "airport", "train station", "harbor", "car", "bus", "truck", "train", "bicycle",
    "motorcycle", "airplane", "boat", "ship", "road sign", "traffic light", "chair", "table",
    "sofa", "bed", "lamp", "door", "window", "mirror", "clock", "vase", "book", "newspaper",
    "letter", "map", "painting", "drawing", "cartoon", "statue", "toy", "doll", "ball", "umbrella",
    "bag", "suitcase", "hat", "shoe", "dress", "suit", "shirt", "glasses", "watch", "ring", "cup",
    "glass", "bottle", "plate", "knife", "bread", "cake", "pizza", "fruit", "apple", "banana",
    "vegetable", "salad", "meat", "soup", "coffee", "wine", "computer", "telephone", "television",
    "camera", "guitar", "piano", "drum", "football match", "tennis player", "swimmer", "skier",
    "surfer", "dancer", "wedding", "birthday party", "concert", "soldier", "doctor", "fire",
    "fireworks", "machine", "tool", "robot", "building under construction", "screenshot",
)  # fmt: skip

_FORMS: Final = ("{}", "a photo of a {}", "{} in the foreground", "a {} seen from afar")

REFERENCE_TEXTS: Final = tuple(
    _FORMS[position % len(_FORMS)].format(subject) for position, subject in enumerate(_SUBJECTS)
)
