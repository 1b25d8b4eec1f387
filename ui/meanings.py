"""What numbers mean, for those who meet them for the first time."""

from __future__ import annotations

MEANINGS = {
    "PSNR, SSIM": "how near what comes back is to the picture. Higher is better.",
    "SSE": "the squared error, summed over a picture. Lower is better.",
    "NLL": "the negative log-likelihood of black and white pictures. Lower is better.",
    "Probe error": "what a linear classifier that reads nothing but the codes gets wrong. Lower is better.",
    "Sure": "the share of new pictures of whose class a classifier is sure, by 90% or more. Higher is better.",
    "Classifier-Fréchet": "how far new pictures are from real ones to that classifier, near 0 for real ones. Lower is better.",
    "Precision": "the share of new pictures that lie among real ones. Higher is better.",
    "Recall": "the share of real pictures that lie among new ones. Higher is better.",
    "Diversity": "how far new pictures are from each other, 1 where as far as real ones.",
}


def listed(*names: str) -> str:
    """Markdown."""
    return "\n".join(f"- **{name}**: {MEANINGS[name]}" for name in names)
