"""SigLIP's first tokenizer, of which there is only a SentencePiece file, in the form of others."""

import re
import string
from typing import Any, Final

from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

_SPACE: Final = "▁"


def from_sentencepiece(library: Any) -> Tokenizer:
    """Return a tokenizer that gives the same tokens as Transformers' `SiglipTokenizer`.

    Words are written small, without punctuation and with single spaces, then cut by the unigram
    language model (T. Kudo, *Subword Regularization*, ACL 2018), and closed by the end token.
    """
    content = sentencepiece_model_pb2.ModelProto()
    content.ParseFromString(library.sp_model.serialized_model_proto())
    pieces = [(piece.piece, piece.score) for piece in content.pieces]
    unknown = content.trainer_spec.unk_id
    tokenizer = Tokenizer(models.Unigram(pieces, unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(_steps(content, library.do_lower_case))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, prepend_scheme="always")
    end = (str(library.eos_token), library.eos_token_id)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end[0]}", special_tokens=[end]
    )
    return tokenizer


def _steps(content: Any, is_lower: bool) -> list[Any]:
    marks = Regex(f"[{re.escape(string.punctuation)}]")
    steps: list[Any] = [normalizers.Replace(_SPACE, " ")]
    steps += [normalizers.Lowercase()] if is_lower else []
    steps += [normalizers.Replace(marks, "")]
    charsmap = content.normalizer_spec.precompiled_charsmap
    steps += [normalizers.Precompiled(charsmap)] if charsmap else []
    return [*steps, normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
