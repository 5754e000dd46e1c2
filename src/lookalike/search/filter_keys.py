"""What `lookalike help filters` prints: every key of a filter, with an example."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FilterKey:
    """One key, or one sign.

    Attributes:
        name: What is typed.
        meaning: What passes.
        example: A filter with it.
    """

    name: str
    meaning: str
    example: str


FILTER_KEYS: Final = (
    FilterKey("label", "has this label, whoever says so; * for any letters", "label:dog"),
    FilterKey("given", "a person or a data set gave it this label", "given:dog"),
    FilterKey("predicted", "the model predicts this label", "predicted:person"),
    FilterKey("caption", "a caption holds this word or phrase", 'caption:"two dogs"'),
    FilterKey("text", "this is among all its words", "text:beach"),
    FilterKey("path", "the path contains this", "path:holiday"),
    FilterKey("name", "the file's name contains this, or is it", "name:=beach.jpg"),
    FilterKey("color", "a color takes up a fifth, or the share given", "color:blue>40%"),
    FilterKey("taken", "taken then; the file's own date if it has no other", "taken:2024..2025-06"),
    FilterKey("width", "pixels across", "width:>1000"),
    FilterKey("height", "pixels down", "height:480..1080"),
    FilterKey("aspect", "width by height", "aspect:>1.5"),
    FilterKey("megapixels", "millions of pixels", "megapixels:>=12"),
    FilterKey("orientation", "landscape, portrait or square", "orientation:landscape"),
    FilterKey("size", "length of the file; kB, MB, MiB …", "size:>2MB"),
    FilterKey("format", "kind of file", "format:jpeg"),
    FilterKey("id", "the image's number", "id:5..10"),
    FilterKey("copies", "files that hold the very same picture", "copies:>1"),
    FilterKey("duplicate", "yes: in several files, or copied; see duplicates", "duplicate:no"),
    FilterKey("has", "caption, label, given, color, or an attribute", "has:caption"),
    FilterKey("camera", "an attribute contains this, or = is it", "camera:canon"),
    FilterKey("iso", "an attribute that is a number", "iso:>=800"),
    FilterKey("/…/", "path matches a regular expression (RE2)", "/2024-0[5-8]/"),
    FilterKey("key:/…/", "the same of caption, label, given, predicted", "label:/^dog/"),
    FilterKey("-", "not", "-label:cat"),
    FilterKey("OR", "one of both; joins before anything else", "label:dog OR label:cat"),
    FilterKey("( )", "one condition out of several", "-(label:cat path:old)"),
    FilterKey("words", "alone: rank by them; by OR or in ( ): must be there", "label:dog running"),
)
"""Further attributes that pictures have, such as `lens` or what a table gave, are keys too."""
