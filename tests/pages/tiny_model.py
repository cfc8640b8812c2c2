"""A tiny StyleGAN in a workspace, as an imported file would lie there; needs PyTorch."""

from dataclasses import asdict

import pytest


def make_model(root, *, name="tiny", size_px=16, channels=3, seed=0, meaning=(), **facts):
    """Write a model of random weights and return its id; `meaning`: of its channels."""
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from models import checkpoint
    from models.style_config import StyleNetworks
    from tests.models.style import lively

    depths = size_px.bit_length() - 2
    networks = StyleNetworks(
        size_px=size_px, channels=channels, latent=8, mapping=(8, 8), widths=(8,) * depths,
        critic_widths=(8,) * depths, critic_head=(8, 8),
    )  # fmt: skip
    generator, _critic = lively(networks, seed=seed)
    weights = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    body = {
        "step": 0, "images": 0, "model": "stylegan", "networks": asdict(networks),
        "has": ["generator"], "metres_per_px": 2.0, "source": {"name": f"{name}.pth"},
        "channels": list(meaning), **facts,
    }  # fmt: skip
    checkpoint.write_checkpoint(root / "weights" / name, body, weights, {})
    return f"import/{name}"
