import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lookalike.errors import MissingExtraError, ModelError, UsageError
from lookalike.features import model as model_module
from lookalike.features import runtimes
from lookalike.features.model import Model
from lookalike.model_folder import CARD, NETWORK, SELF_DECODER, SELF_ENCODER, write_card
from tests import tiny_model
from tests.tiny_model import DIM, GRID, SIZE, build_onnx, paint, write_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def label_maps(rng: np.random.Generator) -> np.ndarray:
    """Six maps of four by four cells, so that the tiny model's code tells all of them."""
    return rng.integers(0, 4, (6, 4, 4)).astype(np.uint8)


@pytest.fixture
def pixels(label_maps: np.ndarray) -> np.ndarray:
    return np.stack([paint(label_map) for label_map in label_maps])


def test_content_is_the_direction_of_the_coarse_color_layout(
    folder: Path, pixels: np.ndarray
) -> None:
    encoded = Model.open(folder, runtime="onnx").encode(pixels)
    for row, picture in zip(encoded.content, pixels, strict=True):
        cells = picture.reshape(4, 8, 4, 8, 3).mean(axis=(1, 3)).transpose(2, 0, 1).ravel() / 255
        expected = (cells - 0.4) / np.linalg.norm(cells - 0.4)
        assert np.allclose(row, expected, atol=1e-5)


def test_labels_are_probabilities_of_the_colors_that_are_there(folder: Path) -> None:
    half_red = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    half_red[:, :16, :, 0] = 255
    [labels] = Model.open(folder).encode(half_red).labels
    assert labels.shape == (3,)
    assert labels[0] > 0.99
    assert labels[1:].max() < 0.05


def test_a_picture_and_its_label_map_have_the_same_code(
    folder: Path, pixels: np.ndarray, label_maps: np.ndarray
) -> None:
    model = Model.open(folder, runtime="onnx")
    assert np.allclose(model.encode(pixels).layout, model.encode_label_maps(label_maps), atol=1e-4)


def test_decoding_a_code_gives_the_label_map_back(folder: Path, label_maps: np.ndarray) -> None:
    model = Model.open(folder)
    probabilities = model.decode_codes(model.encode_label_maps(label_maps))
    assert probabilities.shape == (6, 4, GRID, GRID)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    assert np.array_equal(probabilities.argmax(axis=1), label_maps.repeat(2, 1).repeat(2, 2))


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (40, 24), (4, 80)])
def test_label_maps_of_any_size_are_brought_to_the_grid(
    folder: Path, label_maps: np.ndarray, size: tuple[int, int]
) -> None:
    model = Model.open(folder)
    stretched = label_maps.repeat(size[0] // 4, 1).repeat(size[1] // 4, 2)
    assert np.allclose(
        model.encode_label_maps(stretched), model.encode_label_maps(label_maps), atol=1e-5
    )


def test_void_pixels_do_not_outvote_labeled_ones(folder: Path) -> None:
    model = Model.open(folder)
    all_red = np.ones((1, 2 * GRID, 2 * GRID), np.uint8)
    mostly_void = np.full_like(all_red, 255)
    mostly_void[:, ::2, ::2] = 1
    assert np.array_equal(model.encode_label_maps(mostly_void), model.encode_label_maps(all_red))


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
@pytest.mark.parametrize("n", [1, 2, 5, 13])
def test_embeddings_do_not_depend_on_the_batch(
    folder: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, n: int, runtime: str
) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    monkeypatch.setattr(model_module, "MAX_BATCH", 4)
    pictures = rng.integers(0, 256, (n, SIZE, SIZE, 3)).astype(np.uint8)
    model = Model.open(folder, runtime=runtime)
    together = model.encode(pictures)
    alone = [model.encode(picture[None]) for picture in pictures]
    for name, rows in together.descriptors.items():
        single = np.concatenate([encoded.descriptors[name] for encoded in alone])
        assert np.allclose(rows, single, atol=1e-5)
    assert np.array_equal(model.encode(pictures).content, together.content)


def test_no_pictures_give_no_embeddings_and_load_no_network(folder: Path) -> None:
    (folder / NETWORK).unlink()
    model = Model(folder, write_card(folder, tiny_card(folder)), "onnx", 1)
    encoded = model.encode(np.zeros((0, SIZE, SIZE, 3), np.uint8))
    assert encoded.content.shape == encoded.layout.shape == (0, DIM)
    assert encoded.labels.shape == (0, 3)
    assert model.encode_label_maps(np.zeros((0, 9, 9), np.uint8)).shape == (0, DIM)
    assert model.decode_codes(np.zeros((0, DIM), np.float32)).shape == (0, 4, GRID, GRID)


def test_models_without_self_encoding_have_content_only(tmp_path: Path, pixels: np.ndarray) -> None:
    write_tiny_model(tmp_path, has_layout=False)
    model = Model.open(tmp_path)
    encoded = model.encode(pixels)
    assert encoded.layout is None
    assert list(encoded.descriptors) == ["content"]
    with pytest.raises(UsageError, match="learned without self-encoding and knows no layout"):
        model.encode_label_maps(np.zeros((1, 8, 8), np.uint8))
    with pytest.raises(UsageError, match="learned without self-encoding"):
        model.decode_codes(np.zeros((1, DIM), np.float32))


def test_models_tell_their_id(folder: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other", seed=1)
    assert Model.open(folder).id == Model.open(folder).card.id
    assert Model.open(folder).id.startswith("tiny@")
    assert Model.open(tmp_path / "other").id == other.id != Model.open(folder).id


def test_opening_a_model_and_encoding_pictures_loads_only_what_is_needed(
    folder: Path, pixels: np.ndarray
) -> None:
    model = Model.open(folder)
    assert set(model._sessions) == set()
    model.encode(pixels)
    assert set(model._sessions) == {NETWORK}


def test_opening_a_model_imports_no_runtime(folder: Path) -> None:
    program = (
        "import sys; from lookalike.features.model import Model; "
        f"Model.open({str(folder)!r}); "
        "print(sorted({'onnxruntime', 'openvino', 'torch', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_openvino_agrees_with_onnx_runtime(folder: Path, pixels: np.ndarray) -> None:
    pytest.importorskip("openvino")
    exact = Model.open(folder, runtime="onnx").encode(pixels)
    fast = Model.open(folder, runtime="openvino").encode(pixels)
    for name, rows in exact.descriptors.items():
        # bfloat16 keeps eight bits.
        assert np.abs(rows - fast.descriptors[name]).max() < 0.02
    assert np.abs(exact.labels - fast.labels).max() < 0.02
    assert np.allclose(np.linalg.norm(fast.content, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_outputs_are_found_by_name_also_when_a_runtime_renames_values(
    folder: Path, pixels: np.ndarray, runtime: str
) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    network = onnx.load(folder / NETWORK)
    for name in ("content", "layout", "labels"):
        append_node(network, "Identity", name)
        append_node(network, "Identity", name)
    expected = Model.open(folder, runtime=runtime).encode(pixels)
    onnx.save(network, folder / NETWORK)
    write_card(folder, tiny_card(folder))
    found = Model.open(folder, runtime=runtime).encode(pixels)
    assert np.array_equal(found.content, expected.content)
    assert np.array_equal(found.layout, expected.layout)
    assert np.array_equal(found.labels, expected.labels)


def test_label_maps_are_encoded_exactly_whatever_the_runtime(
    folder: Path, label_maps: np.ndarray
) -> None:
    pytest.importorskip("openvino")
    exact = Model.open(folder, runtime="onnx").encode_label_maps(label_maps)
    assert np.array_equal(
        Model.open(folder, runtime="openvino").encode_label_maps(label_maps), exact
    )


def test_auto_follows_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_RUNTIME", "onnx")
    assert Model.open(folder).runtime == "onnx"
    monkeypatch.setenv("LOOKALIKE_RUNTIME", "auto")
    assert Model.open(folder).runtime in ("onnx", "openvino")
    monkeypatch.setenv("LOOKALIKE_RUNTIME", "abacus")
    assert Model.open(folder, runtime="onnx").runtime == "onnx"
    with pytest.raises(UsageError, match="no runtime 'abacus'; choose auto, onnx or openvino"):
        Model.open(folder)


def test_asking_for_openvino_without_it_names_the_extra(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("LOOKALIKE_RUNTIME", raising=False)
    with pytest.raises(MissingExtraError, match=r"OpenVINO needs .*'lookalike\[fast\]'"):
        Model.open(folder, runtime="openvino")
    assert Model.open(folder).runtime == "onnx"


@pytest.mark.parametrize("threads", [0, -1])
def test_rejects_less_than_one_thread(folder: Path, threads: int) -> None:
    with pytest.raises(UsageError, match=f"cannot run on {threads} threads; give 1 or more"):
        Model.open(folder, threads=threads)


def test_rejects_pictures_of_another_size(folder: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"encodes pictures of uint8 \(any, 32, 32, 3\), got uint8 \(1, 16, 32, 3\)",
    ):
        Model.open(folder).encode(np.zeros((1, 16, 32, 3), np.uint8))


def test_rejects_label_map_values_the_model_does_not_know(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"holds the value 4; model tiny@.* knows 0 for"):
        Model.open(folder).encode_label_maps(np.full((1, 8, 8), 4, np.uint8))


def test_rejects_codes_of_another_length(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"have 48 numbers, got an array of \(2, 7\)"):
        Model.open(folder).decode_codes(np.zeros((2, 7), np.float32))


@pytest.mark.parametrize("file", [NETWORK, SELF_ENCODER, SELF_DECODER])
def test_rejects_a_file_that_has_changed(folder: Path, file: str) -> None:
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=f"{file} has changed since the model was made"):
        Model.open(folder)


@pytest.mark.parametrize("file", [NETWORK, SELF_ENCODER, SELF_DECODER])
def test_rejects_a_missing_file_also_if_the_card_never_had_it(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ModelError, match=f"lacks its file {file}"):
        Model.open(folder)
    write_card(folder, tiny_card(folder))
    with pytest.raises(ModelError, match=f"lacks its file {file}"):
        Model.open(folder)


def test_rejects_a_folder_without_card(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is not a model folder: it has no card\.json"):
        Model.open(tmp_path)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_rejects_a_file_that_is_no_network(folder: Path, runtime: str) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    (folder / NETWORK).write_bytes(b"once upon a time")
    write_card(folder, tiny_card(folder))
    model = Model.open(folder, runtime=runtime)
    with pytest.raises(ModelError, match=r"network.onnx is no network that can be run: \S") as info:
        model.encode(np.zeros((1, SIZE, SIZE, 3), np.uint8))
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"content_dim": 7},
            r"output 'content' of float32 \(any, 48\), its card says .*\(any, 7\)",
        ),
        ({"code_dim": 7}, r"output 'layout' of float32 \(any, 48\), its card says .*\(any, 7\)"),
        ({"image_size": 64}, r"input 'images' of uint8 \(any, 32, 32, 3\), its card says .*64, 64"),
        ({"classes": ("a", "b"), "palette": ((0, 0, 0),) * 3}, "output 'labels' of float32"),
    ],
)
def test_rejects_a_network_that_does_not_fit_its_card(
    folder: Path, changes: dict, message: str
) -> None:
    card = write_card(folder, replace(tiny_card(folder), **changes))
    pictures = np.zeros((1, card.image_size, card.image_size, 3), np.uint8)
    with pytest.raises(ModelError, match=message):
        Model.open(folder).encode(pictures)


def test_rejects_a_card_with_too_few_colors(folder: Path) -> None:
    write_card(folder, replace(tiny_card(folder), palette=((0, 0, 0),)))
    with pytest.raises(ModelError, match="has 1 colors for 3 classes and background"):
        Model.open(folder)


def test_rejects_a_self_encoder_for_another_grid(folder: Path) -> None:
    write_card(folder, replace(tiny_card(folder), grid=16))
    with pytest.raises(ModelError, match=r"input 'label_maps' of uint8 \(any, 8, 8\)"):
        Model.open(folder).encode_label_maps(np.zeros((1, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("source", "outputs", "message"),
    [
        ("pictures", {"content": ("batch", DIM)}, r"has the inputs \['pictures'\], should have"),
        ("images", {"content": ("batch", DIM)}, "lacks the output 'labels'"),
        ("images", {"content": (1, DIM)}, r"input 'images' of uint8 \(1, 32, 32, 3\)"),
    ],
)
def test_rejects_networks_with_other_ports(
    folder: Path, source: str, outputs: dict, message: str
) -> None:
    flat = 1 if outputs["content"][0] == 1 else "batch"
    nodes = [
        helper.make_node("Cast", [source], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "spread"], ["content"]),
    ]
    constants = {"axes": np.array([1, 2]), "spread": np.ones((3, DIM), np.float32)}
    images = (source, TensorProto.UINT8, (flat, SIZE, SIZE, 3))
    onnx.save(build_onnx(nodes, images, outputs, constants), folder / NETWORK)
    write_card(folder, tiny_card(folder))
    with pytest.raises(ModelError, match=message):
        Model.open(folder).encode(np.zeros((1, SIZE, SIZE, 3), np.uint8))


def test_content_has_unit_length_even_if_the_network_forgot(
    folder: Path, pixels: np.ndarray
) -> None:
    expected = Model.open(folder, runtime="onnx").encode(pixels).content
    network = onnx.load(folder / NETWORK)
    append_node(network, "Mul", "content", "full")
    onnx.save(network, folder / NETWORK)
    write_card(folder, tiny_card(folder))
    found = Model.open(folder, runtime="onnx").encode(pixels).content
    assert np.allclose(found, expected, atol=1e-6)


def test_rejects_values_that_are_no_numbers(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    broken = np.full((DIM, DIM), np.nan, np.float32)
    onnx.save(tiny_model._network(broken, has_layout=True), tmp_path / NETWORK)
    write_card(tmp_path, tiny_card(tmp_path))
    with pytest.raises(ModelError, match="gave values that are no numbers in 'layout'"):
        Model.open(tmp_path).encode(np.zeros((2, SIZE, SIZE, 3), np.uint8))


def append_node(network: onnx.ModelProto, operator: str, output: str, *others: str) -> None:
    """Put one more node before an output of a network."""
    before = f"a_{output}_{len(network.graph.node)}"
    for node in network.graph.node:
        node.output[:] = [before if name == output else name for name in node.output]
    network.graph.node.append(helper.make_node(operator, [before, *others], [output]))


def tiny_card(folder: Path) -> model_module.ModelCard:
    """The card of a model folder, as it stands, even if its files are gone."""
    content = json.loads((folder / CARD).read_text())
    content.pop("files")
    for key in ("classes", "relevant_classes"):
        content[key] = tuple(content[key])
    content["palette"] = tuple(map(tuple, content["palette"]))
    return model_module.ModelCard(**content)
