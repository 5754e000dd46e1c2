"""Imported models embed pictures and words as the library does that they come from."""

import http.server
import json
import shutil
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike.__main__ import run
from lookalike.errors import EnvironmentFault, ModelError, UsageError
from lookalike.features.model import Model
from lookalike.learning.importing import import_model
from lookalike.learning.sources import fetch
from lookalike.model_folder import NETWORK, REFERENCES, TEXT, TOKENIZER, read_card
from tests.small_sets import write_pictures

REASON = "needs the extra hub: pip install 'lookalike[hub]'"
transformers = pytest.importorskip("transformers", reason=REASON)
pytest.importorskip("sentencepiece", reason=REASON)

import torch  # noqa: E402
from tiny_pretrained import LENGTH, SIZE, save_clip, save_image_model, save_siglip  # noqa: E402

TEXTS = [
    "a dog",
    "A CAT on the roof, and a dog beneath!",
    "x",
    "grün 東京 🐕",
    "cat dog " * 40,
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Models as their library saves them, each made when it is first asked for."""
    folder = tmp_path_factory.mktemp("saved")
    makers = {
        "clip": save_clip,
        "clip-of-old": partial(save_clip, eos_token_id=2),
        "siglip": save_siglip,
        "siglip-one": partial(save_siglip, tokenizer="sentencepiece"),
    }

    def get(name):
        if not (folder / name).exists():
            makers.get(name, partial(save_image_model, kind=name))(folder / name)
        return folder / name

    return get


@pytest.fixture(scope="module")
def imported(saved, tmp_path_factory):
    """The same models as model folders, each made when it is first asked for."""
    folder = tmp_path_factory.mktemp("imported")

    def get(name):
        if not (folder / name).exists():
            import_model(str(saved(name)), folder / name)
        return folder / name

    return get


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 256, (5, SIZE, SIZE, 3)).astype(np.uint8)


def library_pixels(folder, pictures):
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return processor(
        images=list(pictures), do_resize=False, do_center_crop=False, return_tensors="pt"
    )["pixel_values"]


def unit(rows):
    rows = rows.numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def spread(rows):
    """How much rows differ from each other: a comparison of equal rows would prove nothing."""
    return np.abs(rows - rows.mean(axis=0)).max()


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_pictures_are_embedded_as_by_get_image_features(saved, imported, pictures, name):
    found = Model.open(imported(name), runtime="onnx").encode(pictures)
    library = transformers.AutoModel.from_pretrained(saved(name))
    with torch.no_grad():
        rows = library.get_image_features(library_pixels(saved(name), pictures)).pooler_output
    assert np.abs(found.content - unit(rows)).max() < 1e-3
    assert spread(found.content) > 0.05
    assert found.labels.shape == (len(pictures), 0)
    assert found.layout is None


@pytest.mark.parametrize("name", ["clip", "clip-of-old", "siglip", "siglip-one"])
def test_words_are_embedded_as_by_get_text_features(saved, imported, name):
    found = Model.open(imported(name)).encode_texts(TEXTS)
    tokenizer = transformers.AutoTokenizer.from_pretrained(saved(name))
    tokens = tokenizer(
        TEXTS, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
    )
    library = transformers.AutoModel.from_pretrained(saved(name))
    masked = {"attention_mask": tokens["attention_mask"]} if "clip" in name else {}
    with torch.no_grad():
        rows = library.get_text_features(input_ids=tokens["input_ids"], **masked).pooler_output
    assert np.abs(found - unit(rows)).max() < 1e-3
    assert spread(found) > 0.05


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("dinov2", "Dinov2Model"),
        ("dinov2_with_registers", "Dinov2WithRegistersModel"),
        ("dinov3_vit", "DINOv3ViTModel"),
        pytest.param("vit", "ViTModel", marks=pytest.mark.slow),
        pytest.param("clip_vision_model", "CLIPVisionModelWithProjection", marks=pytest.mark.slow),
        pytest.param("siglip_vision_model", "SiglipVisionModel", marks=pytest.mark.slow),
    ],
)
def test_models_without_words_are_embedded_as_by_the_library(
    saved, imported, pictures, name, model
):
    found = Model.open(imported(name), runtime="onnx").encode(pictures).content
    library = getattr(transformers, model).from_pretrained(saved(name))
    with torch.no_grad():
        said = library(pixel_values=library_pixels(saved(name), pictures))
    if name == "clip_vision_model":
        rows = said.image_embeds
    else:
        rows = said.pooler_output if name.startswith("siglip") else said.last_hidden_state[:, 0]
    assert np.abs(found - unit(rows)).max() < 1e-3
    assert spread(found) > 0.05


@pytest.mark.parametrize("name", ["clip", "dinov2_with_registers"])
def test_another_image_size_is_interpolated_as_by_the_library(saved, tmp_path, rng, name):
    card = import_model(str(saved(name)), tmp_path / "large", image_size=48)
    assert card.image_size == 48
    pictures = rng.integers(0, 256, (3, 48, 48, 3)).astype(np.uint8)
    found = Model.open(tmp_path / "large", runtime="onnx").encode(pictures).content
    library = transformers.AutoModel.from_pretrained(saved(name))
    pixels = library_pixels(saved(name), pictures)
    with torch.no_grad():
        if name == "clip":
            rows = library.get_image_features(pixels, interpolate_pos_encoding=True).pooler_output
        else:
            rows = library(pixels).last_hidden_state[:, 0]
    assert np.abs(found - unit(rows)).max() < 1e-3


def test_the_card_says_where_the_model_comes_from(saved, tmp_path):
    shutil.copytree(saved("clip"), tmp_path / "clip tiny")
    (tmp_path / "clip tiny" / "LICENSE.md").write_text("Do as you please.\n")
    (tmp_path / "clip tiny" / "README.md").write_text("---\nlicense: apache-2.0\n---\n# CLIP\n")
    import_model(str(tmp_path / "clip tiny"), tmp_path / "out")
    card = read_card(tmp_path / "out")
    assert card.name == "clip-tiny"
    assert (card.origin["license"], card.origin["class"]) == ("apache-2.0", "CLIPModel")
    assert "projected" in card.origin["content"]
    assert list(card.origin["weights_sha256"]) == ["model.safetensors"]
    assert (tmp_path / "out" / "LICENSE").read_text() == "Do as you please.\n"
    assert set(card.files) == {NETWORK, TEXT, TOKENIZER, REFERENCES, "LICENSE"}
    assert card.measured["parity_max_difference"] < 1e-3
    assert (card.text_length, card.content_dim, card.classes) == (LENGTH, 24, ())


def test_the_text_side_may_be_left_out(saved, tmp_path):
    card = import_model(str(saved("clip")), tmp_path / "mute", with_text=False)
    assert set(card.files) == {NETWORK}
    with pytest.raises(UsageError, match=r"clip@\w+ has no text side .* import one that has"):
        Model.open(tmp_path / "mute").encode_texts(["a dog"])


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    """Run a command in this process; give its exit code and its one object."""
    monkeypatch.chdir(tmp_path)

    def run_it(*words):
        code = run([*map(str, words), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


def test_pictures_and_words_are_searched_with_an_imported_model(saved, tmp_path, ask):
    files = write_pictures(tmp_path / "pictures", 12)
    code, found = ask("model", "import", saved("clip"), "--out", "clip")
    assert (code, found["has_text"], found["image_size"]) == (0, True, SIZE)
    code, found = ask("index", "c.lookalike", "pictures", "--model", "clip", "--workers", 0)
    assert (code, found["indexed"]) == (0, 12)
    code, found = ask("search", "c.lookalike", "--image", files[4], "-k", 3)
    assert (code, Path(found["hits"][0]["path"]).name) == (0, "004.png")
    code, found = ask("search", "c.lookalike", "--text", "a dog", "-k", 12)
    assert code == 0
    assert set(found) == {"hits", "beyond", "query", "took_ms", "probed_clusters", "exact"}
    model = Model.open(tmp_path / "clip")
    with lookalike.Collection.open("c.lookalike") as photos:
        rows = photos.vectors(range(1, 13), "content")
    cosines = rows @ model.encode_texts(["a dog"])[0]
    assert [hit["id"] for hit in found["hits"]] == (1 + np.argsort(-cosines)).tolist()
    assert set(found["hits"][0]["scores"]) == {"content"}


def test_with_a_model_without_words_they_are_looked_for_in_what_is_said(imported, tmp_path, ask):
    write_pictures(tmp_path / "pictures", 2)
    words = ("pictures", "--model", imported("dinov2"), "--workers", 0)
    assert ask("index", "c.lookalike", *words)[0] == 0
    assert ask("search", "c.lookalike", "--id", 1)[0] == 0
    code, found = ask("search", "c.lookalike", "--text", "a dog")
    assert (code, found["hits"]) == (0, [])
    assert ask("annotate", "c.lookalike", "--id", 2, "--caption", "a dog")[0] == 0
    code, found = ask("search", "c.lookalike", "--text", "a dog")
    assert [hit["id"] for hit in found["hits"]] == [2]
    with (
        lookalike.Collection.open("c.lookalike") as photos,
        pytest.raises(UsageError, match="has no text side and cannot be asked in words"),
    ):
        photos.search(lookalike.Query((lookalike.TextExample("a dog"),)))


@pytest.mark.parametrize("file", [NETWORK, TEXT, TOKENIZER, REFERENCES])
def test_a_changed_byte_is_refused(imported, tmp_path, file):
    shutil.copytree(imported("clip"), tmp_path / "clip")
    content = bytearray((tmp_path / "clip" / file).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "clip" / file).write_bytes(content)
    with pytest.raises(ModelError, match=f"{file} has changed since the model was made"):
        Model.open(tmp_path / "clip")


def damaged(saved, folder, kind):
    """A copy of the tiny CLIP with something wrong."""
    if kind == "nothing":
        folder.mkdir()
        return
    shutil.copytree(saved("clip"), folder)
    config = json.loads((folder / "config.json").read_text())
    if kind == "pickled":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    elif kind == "cut off":
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    elif kind == "unknown":
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    elif kind == "deeper":
        config["vision_config"]["num_hidden_layers"] = 3
        (folder / "config.json").write_text(json.dumps(config))
    elif kind == "broken words":
        (folder / "tokenizer.json").write_text("{}")
    else:
        (folder / kind).unlink()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nothing", "is no model saved by Transformers: its config.json cannot be read"),
        ("config.json", "is no model saved by Transformers: its config.json cannot be read"),
        ("pickled", r"only as a pickle \(pytorch_model.bin\).*save the model as safetensors first"),
        ("model.safetensors", r"has no weights: there is no \*.safetensors file in it"),
        ("cut off", "cannot be read"),
        ("unknown", "of the type 'bert', which cannot be imported; known are: clip, .*dinov2"),
        ("deeper", "lacks 16 of the weights of CLIPModel"),
        ("preprocessor_config.json", "does not say how pictures are prepared"),
        ("broken words", "tokenizer of .* cannot be used: .*; --no-text imports the image side"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_line(saved, tmp_path, ask, kind, message):
    damaged(saved, tmp_path / "given", kind)
    code, found = ask("model", "import", "given", "--out", "out")
    assert code == 2
    assert "\n" not in found["error"]
    with pytest.raises(UsageError, match=message):
        raise UsageError(found["error"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("facebook/dinov2-small",), "to fetch a model of that name .* add --download"),
        (("given", "--download"), "is a folder on this machine; leave --download out"),
        (("given", "--image-size", 33), "do not fill a side of 33; .* such as 32"),
        (("given", "--image-size", 4), "do not fill a side of 4; .* such as 8"),
        (("given/config.json",), "is a file; give the folder that holds the model"),
    ],
)
def test_wrong_words_are_refused_in_one_line(saved, tmp_path, ask, words, message):
    shutil.copytree(saved("dinov2"), tmp_path / "given")
    code, found = ask("model", "import", *words, "--out", "out")
    assert code == 2
    with pytest.raises(UsageError, match=message):
        raise UsageError(found["error"])
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(saved, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="out exists already"):
        import_model(str(saved("dinov2")), tmp_path / "out")


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as fetching one model needs; `files` are what it holds."""

    files: dict[str, bytes]
    asked: list[str]
    commit = "0123456789abcdef0123456789abcdef01234567"

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        content = self.files.get(name)
        if "/api/models/" in self.path:
            content = self.listing() if "made/up" in self.path else None
        elif with_body:
            self.asked.append(name)
        self.send_response(404 if content is None else 200)
        self.send_header("X-Repo-Commit", self.commit)
        self.send_header("ETag", f'"{name}"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if with_body:
            self.wfile.write(content or b"")

    def listing(self) -> bytes:
        """What the hub says of the model: its commit, or its files one by one."""
        if "/tree/" not in self.path:
            siblings = [{"rfilename": name} for name in self.files]
            return json.dumps({"id": "made/up", "sha": self.commit, "siblings": siblings}).encode()
        entries = [
            {"type": "file", "path": name, "size": len(content), "oid": name}
            for name, content in self.files.items()
        ]
        return json.dumps(entries).encode()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def hub(saved, monkeypatch, tmp_path):
    """The address of a hub on this machine with one model, and the names asked of it."""
    files = {path.name: path.read_bytes() for path in (saved("dinov2")).iterdir()}
    files |= {"pytorch_model.bin": b"a pickle", "README.md": b"---\nlicense: mit\n---\n"}
    handler = type("ThisHub", (Hub,), {"files": files, "asked": []})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
        server.shutdown()


def test_a_model_is_fetched_without_its_pickles(hub):
    address, asked = hub
    found = fetch("made/up", address)
    assert (found.revision, found.short_name) == (Hub.commit, "up")
    assert found.license_name == "mit"
    assert sorted(asked) == sorted(path.name for path in found.folder.iterdir())
    assert "pytorch_model.bin" not in asked
    assert list(found.weights()) == ["model.safetensors"]


def test_a_model_that_is_not_on_the_hub_is_a_fault_in_one_line(hub):
    with pytest.raises(EnvironmentFault, match="no/where could not be fetched") as info:
        fetch("no/where", hub[0])
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(("package", "extra"), [("transformers", "hub"), ("torch", "learn")])
def test_a_missing_extra_is_named(saved, ask, monkeypatch, package, extra):
    source = saved("dinov2")
    monkeypatch.delitem(sys.modules, "lookalike.learning.pretrained", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    code, found = ask("model", "import", source, "--out", "out")
    assert code == 3
    assert f"needs the package '{package}'" in found["error"]
    assert f"lookalike[{extra}]" in found["error"]
