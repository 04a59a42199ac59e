"""The Hugging Face Hub: names, questions, downloads, uploads and access rights."""
