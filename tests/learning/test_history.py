import csv
import io

from PIL import Image

from lookalike.learning.history import draw_curves, history_text

ROWS = [
    {"stage": "self-encoder", "epoch": 1, "map_loss": 2.123456789, "seconds": 1.5},
    {"stage": "self-encoder", "epoch": 2, "map_loss": 1.0, "reconstruction_miou": 0.5},
    {"stage": "network", "epoch": 1, "label_loss": 0.7, "code_loss": 0.9, "label_map": 0.4},
    {"stage": "joint", "epoch": 2, "label_loss": 0.6, "code_loss": 0.8, "map_loss": 0.9},
]


def test_the_log_is_a_table_with_a_line_per_epoch():
    rows = list(csv.DictReader(io.StringIO(history_text(ROWS))))
    assert [(row["stage"], row["epoch"]) for row in rows] == [
        ("self-encoder", "1"),
        ("self-encoder", "2"),
        ("network", "1"),
        ("joint", "2"),
    ]
    assert rows[0]["map_loss"] == "2.1235"
    assert rows[0]["code_loss"] == ""


def test_the_curves_are_a_picture(tmp_path):
    draw_curves(ROWS, tmp_path / "curves.png", "toy")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 800
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


def test_the_curves_of_one_epoch_can_be_drawn(tmp_path):
    draw_curves(ROWS[2:3], tmp_path / "curves.png", "toy")
    assert (tmp_path / "curves.png").stat().st_size > 0


def test_the_same_history_gives_the_same_bytes(tmp_path):
    draw_curves(ROWS, tmp_path / "a.png", "toy")
    draw_curves(ROWS, tmp_path / "b.png", "toy")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
