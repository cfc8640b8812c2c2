"""The Generate page: what a move of psi costs, beside the plain layers making the same pictures.

    python -m benchmarks.generate_page [--rounds 7]

The page runs without a browser over generators of 64 px with weights as after some training; psi is
moved at every round, so every picture is new. `still` runs the page again with nothing changed.
Page and plain layers take turns. Times are those of the wall, of a whole run of the page.
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

try:
    import torch
except ModuleNotFoundError:  # the other benchmarks need none
    print("PyTorch is not installed: nothing to measure. It comes with `make models`.")
    raise SystemExit(0) from None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "URBAN_PATTERN_WORKSPACE": folder, "URBAN_PATTERN_DEFAULT_AREA": "off",
            "URBAN_PATTERN_THREADS": os.environ.get("URBAN_PATTERN_THREADS", "1"),
        }  # fmt: skip
        load = os.getloadavg()[0]
        print(f"PyTorch {torch.__version__}, {os.environ['URBAN_PATTERN_THREADS']} thread(s),"
              f" load {load:.1f}")  # fmt: skip
        print("| generator | pictures | still, ms | psi moved, ms | plain layers alone, ms |")
        print("|---|---|---|---|---|")
        for name in ("64px", "document"):
            make_model(Path(folder), name)
            for seeds, count in (("0", 1), ("0-17", 18)):
                measure(Path(folder), name, seeds, count, rounds)


def make_model(root: Path, name: str, *, size_px: int = 64, called: str = "") -> None:
    """Write a generator of a preset as an imported file would lie in a workspace."""
    from dataclasses import asdict

    from models import checkpoint
    from models.presets import preset
    from models.style_config import StyleNetworks
    from models.stylegan import style_networks

    networks = preset("stylegan", name, size_px=size_px, channels=3).networks
    assert isinstance(networks, StyleNetworks)
    generator, _critic = style_networks(networks, seed=0)
    draws = torch.Generator().manual_seed(1)
    for parameter in generator.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 0.0, 0.3, generator=draws)
    body: dict[str, Any] = {
        "step": 0, "images": 0, "model": "stylegan", "networks": asdict(networks),
        "has": ["generator"], "source": {"name": name},
    }  # fmt: skip
    weights = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    checkpoint.write_checkpoint(root / "weights" / (called or name), body, weights, {})


def measure(root: Path, name: str, seeds: str, count: int, rounds: int) -> None:
    """Move psi on the page, and make as many pictures by the plain layers, in turns."""
    from streamlit.testing.v1 import AppTest

    from models import catalogue, loaded
    from models.style_task import fixed_noises

    plain = loaded.load(catalogue.entry(root, f"import/{name}").folder).plain
    noises = fixed_noises(4, torch.device("cpu"))
    latents = torch.randn(count, plain.config.latent, generator=torch.Generator().manual_seed(2))
    app = AppTest.from_file(str(Path(__file__).parents[1] / "app.py"), default_timeout=300)
    app.query_params.update({"lang": "en", "model": f"import/{name}", "seeds": seeds, "psi": "1"})
    app.run()
    app.switch_page("pages/generate.py").run()
    still, moved, alone = [], [], []
    for number in range(rounds):
        still.append(timed(app.run))
        slider = next(one for one in app.slider if one.label.startswith("psi"))
        moved.append(timed(slider.set_value(round(0.9 - 0.05 * number, 2)).run))
        alone.append(timed(lambda: plain_pictures(plain, latents, noises)))
    assert not app.exception
    cells = (1000 * statistics.median(one) for one in (still, moved, alone))
    print(f"| {name} | {count} | " + " | ".join(f"{one:.0f}" for one in cells) + " |")


def plain_pictures(plain: Any, latents: torch.Tensor, noises: Any) -> None:
    """Make pictures one by one, layer by layer as in training."""
    with torch.inference_mode():
        for one in latents:
            plain(one[None], noises, depth=4)


def timed(work: Any) -> float:
    """Return the seconds of the wall that some work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
