"""GGUF models read by llama.cpp."""
