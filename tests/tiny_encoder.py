"""A one-layer encoder with random weights: a stand-in where only speed matters.

What it stands in for is tested with the real MiniLM in tests/integration.
"""

import json
from collections import Counter

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
_N_TOKENS = 8000


def write_tiny_encoder(folder, texts, n_layers=1):
    """Write a folder that opens as an encoder, with a vocabulary from some texts."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.model = models.WordPiece(_vocabulary(tokenizer, texts), unk_token="[UNK]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 128}
    (folder / "tokenizer_config.json").write_text(
        json.dumps(settings | names | {"sep_token": "[SEP]"})
    )
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=n_layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


def _vocabulary(tokenizer, texts):
    """Return the ids of characters and frequent words, the same in every process.

    A trainer of the library breaks ties between tokens of one frequency at random.
    """
    count = Counter(
        word
        for text in texts
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(
            tokenizer.normalizer.normalize_str(text)
        )
    )
    characters = sorted({character for word in count for character in word})
    tokens = [*_SPECIAL, *characters, *(f"##{c}" for c in characters)]
    words = sorted(count, key=lambda word: (-count[word], word))
    tokens += [word for word in words if word not in characters]
    return {token: i for i, token in enumerate(tokens[:_N_TOKENS])}
