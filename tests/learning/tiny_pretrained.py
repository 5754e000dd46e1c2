"""Tiny models of Hugging Face Transformers with random weights, saved as their users save them."""

import random
from pathlib import Path

import sentencepiece
import torch
import transformers
from tokenizers.pre_tokenizers import ByteLevel

SIZE = 32
LENGTH = 16
"""Tokens of a text."""

SIDE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    # Of the usual 0.02 nearly equal embeddings would come, which no comparison could tell apart.
    "initializer_range": 0.3,
}
IMAGE_SIDE = {**SIDE, "image_size": SIZE, "patch_size": 8}
DINO = {name: value for name, value in IMAGE_SIDE.items() if name != "intermediate_size"}


def save_clip(folder: Path, eos_token_id: int | None = None) -> Path:
    """A CLIP with its tokenizer, which knows the words dog and cat, and letters.

    The first published ones say 2 for `eos_token_id`, which it is not, and are read otherwise.
    """
    tokenizer = clip_tokenizer()
    text = {
        **SIDE,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": LENGTH,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": eos_token_id or tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = transformers.CLIPConfig(vision_config=IMAGE_SIDE, text_config=text, projection_dim=24)
    tokenizer.save_pretrained(folder)
    return save(folder, transformers.CLIPModel, config, "CLIPImageProcessor")


def clip_tokenizer() -> transformers.CLIPTokenizer:
    letters = sorted(ByteLevel.alphabet())
    merges = [("d", "o"), ("do", "g</w>"), ("c", "a"), ("ca", "t</w>")]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    return transformers.CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=LENGTH)


def save_siglip(folder: Path, tokenizer: str = "gemma") -> Path:
    """A SigLIP with the tokenizer of its second version, or of its first: `sentencepiece`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {"gemma": gemma_tokenizer, "sentencepiece": sentencepiece_tokenizer}[tokenizer](folder)
    text = {
        **SIDE,
        "vocab_size": len(made),
        "max_position_embeddings": LENGTH,
        "pad_token_id": made.pad_token_id,
        "eos_token_id": made.eos_token_id,
        "bos_token_id": None,
    }
    config = transformers.SiglipConfig(vision_config=IMAGE_SIDE, text_config=text)
    made.save_pretrained(folder)
    return save(folder, transformers.SiglipModel, config, "SiglipImageProcessor")


def gemma_tokenizer(folder: Path) -> transformers.Siglip2Tokenizer:
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    merges = [("d", "o"), ("do", "g"), ("c", "a"), ("ca", "t")]
    pieces = [*specials, *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [*"▁abcdefghijklmnopqrstuvwxyz", *map("".join, merges)]
    return transformers.Siglip2Tokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=merges,
        model_max_length=LENGTH,
        padding_side="right",
    )


def sentencepiece_tokenizer(folder: Path) -> transformers.SiglipTokenizer:
    text = "a photo of dog cat house tree on the grass with red green blue car boat sea"
    words = text.split()
    choose = random.Random(0)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(" ".join(choose.choices(words, k=8)) for _ in range(200)),
        model_prefix=str(folder / "spiece"),
        vocab_size=60,
        pad_id=-1,
        bos_id=-1,
        eos_id=1,
        unk_id=2,
        control_symbols=["<pad>"],
        minloglevel=2,
        hard_vocab_limit=False,
    )
    return transformers.SiglipTokenizer(str(folder / "spiece.model"), model_max_length=LENGTH)


def save_image_model(folder: Path, kind: str) -> Path:
    """A model without words: `dinov2`, `vit` and so on."""
    options = {
        "clip_vision_model": (
            transformers.CLIPVisionModelWithProjection,
            transformers.CLIPVisionConfig(**IMAGE_SIDE, projection_dim=24),
        ),
        "siglip_vision_model": (
            transformers.SiglipVisionModel,
            transformers.SiglipVisionConfig(**IMAGE_SIDE),
        ),
        "dinov2": (transformers.Dinov2Model, transformers.Dinov2Config(**DINO)),
        "dinov2_with_registers": (
            transformers.Dinov2WithRegistersModel,
            transformers.Dinov2WithRegistersConfig(**DINO),
        ),
        "dinov3_vit": (
            transformers.DINOv3ViTModel,
            transformers.DINOv3ViTConfig(**IMAGE_SIDE, num_register_tokens=2),
        ),
        "vit": (transformers.ViTModel, transformers.ViTConfig(**IMAGE_SIDE)),
    }
    model, config = options[kind]
    return save(folder, model, config, "BitImageProcessor")


def save(folder: Path, model: type, config: object, processor: str) -> Path:
    torch.manual_seed(0)
    model(config).save_pretrained(folder)
    getattr(transformers, f"{processor}Pil")(
        size={"shortest_edge": SIZE} if processor != "SiglipImageProcessor" else square(SIZE),
        crop_size=square(SIZE),
    ).save_pretrained(folder)
    return folder


def square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}
