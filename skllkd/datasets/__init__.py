"""A data set and two small models that come as packages, for demonstrations."""

from skllkd.datasets.bbc_news import load_bbc_news
from skllkd.datasets.models import minilm_path, smollm2_path

__all__ = ["load_bbc_news", "minilm_path", "smollm2_path"]
