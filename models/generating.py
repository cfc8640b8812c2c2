"""The commands that make pictures: sample, truncation, mixing; and score, which judges them."""

import argparse
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.record import code_version, record
from core.settings import settings
from core.store import file_digest
from core.text import N_

if TYPE_CHECKING:
    from core.chips.channels import Channel
    from models.generate import Look, Pictures
    from models.latents import Latents
    from models.loaded import Loaded

_MOST = 4096
_NEAR = 1e-6
"""Of a step: so near its end a row of psis may come."""


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to a parser's own."""
    sample = commands.add_parser("sample", parents=[common], help="a sheet of generated pictures")
    _model_arguments(sample)
    given = sample.add_mutually_exclusive_group(required=True)
    given.add_argument("--seeds", metavar="N,…", help="such as 0-63 or 3,8,20-25")
    given.add_argument("--latents", metavar="NPY", help="(n, latent), or a file of saved latents")
    sample.add_argument("--psi", type=float, default=1.0, help="default: 1")
    sample.add_argument("--columns", type=int, help="default: as near to a square as may be")
    sample.add_argument("--save-latents", metavar="NPZ", help="the latents with these settings")
    sample.set_defaults(handler=_sample)

    rows = commands.add_parser("truncation", parents=[common], help="seeds in rows, psi in columns")
    _model_arguments(rows)
    rows.add_argument("--seeds", metavar="N,…", required=True)
    rows.add_argument("--psis", metavar="FROM:TO:STEP", default="-1:1:0.2", help="or a list")
    rows.set_defaults(handler=_truncation)

    mixed = commands.add_parser("mixing", parents=[common], help="styles of sources in others")
    _model_arguments(mixed)
    mixed.add_argument("--src", metavar="N,…", required=True, help="seeds of the columns")
    mixed.add_argument("--dst", metavar="N,…", required=True, help="seeds of the rows")
    mixed.add_argument("--src-psi", metavar="PSI,…", help="one for all, or one each; default: 1")
    mixed.add_argument("--dst-psi", metavar="PSI,…", help="one for all, or one each; default: 1")
    mixed.add_argument("--layers", metavar="A-B,…", required=True,
                       help="of the sources, for all rows or for each")  # fmt: skip
    mixed.add_argument("--reading", choices=["ranges", "tuples"], default="ranges",
                       help="tuples: only the two that are written")  # fmt: skip
    mixed.set_defaults(handler=_mixing)

    score = commands.add_parser("score", parents=[common], help="the discriminator's scores")
    score.add_argument("model", metavar="CHECKPOINT")
    score.add_argument("--images", metavar="NPY", required=True,
                       help="(n, channels, side, side): uint8, or float32 in -1 to 1")  # fmt: skip
    score.add_argument("--alpha", type=float, default=1.0)
    score.add_argument("--out", metavar="NPY", required=True)
    score.set_defaults(handler=_score)
    for parser in (sample, rows, mixed):
        # Values such as -1:1:0.2 begin like an option; this is how argparse tells numbers.
        parser._negative_number_matcher = re.compile(r"^-\.?\d")


def _model_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="CHECKPOINT",
                        help="folder, GAN_GEN file, or shipped/NAME")  # fmt: skip
    parser.add_argument("--cutoff", type=int, help="layers below it are moved by psi; default: all")
    parser.add_argument("--depth", type=int, help="0 is 4 px; default: the largest trained")
    parser.add_argument("--alpha", type=float, help="share of the newest depth; default: trained")
    noise = parser.add_mutually_exclusive_group()
    noise.add_argument("--noise-seed", type=int, default=0)
    noise.add_argument("--noise", metavar="NPZ", help="arrays 0, 1 …, one a layer")
    noise.add_argument("--no-noise", action="store_true")
    parser.add_argument("--way", choices=["exact", "plain"], default="exact",
                        help="plain: layer by layer as in training, slower")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:0")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", metavar="PNG", required=True)
    parser.add_argument("--raw", metavar="NPY", help="float32 (n, channels, H, W) beside it")


def numbers(text: str) -> list[int]:
    """Read whole numbers written as 0-63 or 3,8,20-25.

    Raises:
        InputError: It is written otherwise, or there are more than 4,096 in all.
    """
    out: list[int] = []
    try:
        for part in text.replace("，", ",").split(","):
            first, dash, last = part.strip().partition("-")
            low, high = int(first), int(last if dash else first)
            if high < low or len(out) + high - low >= _MOST:
                raise ValueError(part)
            out.extend(range(low, high + 1))
    except ValueError:
        raise InputError(
            N_("{text!r} is no list of seeds."), hint=N_("Write 0-63 or 3,8,20-25, at most 4,096."),
            text=text[:60],
        ) from None  # fmt: skip
    return out


def psis(text: str) -> list[float]:
    """Read psis written as from:to:step, both ends in, or as a list.

    Raises:
        InputError: It is written otherwise, there are too many, or the steps miss the end.
    """
    misses = False
    try:
        if ":" not in text:
            found = [float(part) for part in text.replace("，", ",").split(",")]
        else:
            first, last, step = (float(part) for part in text.split(":"))
            steps = (last - first) / step
            if not 0 <= round(steps) < _MOST:
                raise ValueError(text)
            misses = abs(steps - round(steps)) > _NEAR
            found = [round(first + at * step, 9) for at in range(round(steps) + 1)]
        if not all(math.isfinite(value) and abs(value) <= 10 for value in found):
            raise ValueError(text)
        if len(found) > _MOST:
            raise ValueError(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise InputError(
            N_("{text!r} are no values of psi."),
            hint=N_("Write -1:1:0.2 or -1,0,0.7; each lies in -10 to 10."), text=text[:60],
        ) from None  # fmt: skip
    if misses:
        raise InputError(
            N_("The steps of {text!r} do not come to its end."),
            hint=N_("Choose a step that divides the way from one end to the other."),
            text=text[:60],
        )
    return found


def _loaded(args: argparse.Namespace) -> "tuple[Loaded, tuple[Channel, ...]]":
    """Return the model, and what its channels mean where that is known."""
    from models import catalogue, loaded, runs

    path, root = Path(args.model), settings().workspace
    if path.is_file():
        return loaded.load_file(path, device=args.device, threads=args.threads), ()
    if (path / "checkpoints").is_dir():
        found = catalogue.of_run(runs.run(path))
    elif path.exists():
        found = catalogue.at_folder(path)
    else:
        found = catalogue.entry(root, args.model)
    model = loaded.load(found.folder, device=args.device, threads=args.threads)
    return model, catalogue.channels_of(found, root)


def _look(args: argparse.Namespace, model: "Loaded", *, psi: float = 1.0) -> "Look":
    from models import exports
    from models.generate import Look, checked

    if args.noise:
        model.given_noises = exports.read_noises(Path(args.noise), model.networks)
    seed = None if args.no_noise else args.noise_seed
    look = Look(psi=psi, cutoff=args.cutoff, depth=args.depth, alpha=args.alpha, noise_seed=seed,
                way=args.way)  # fmt: skip
    return checked(model, look)


def _sample(args: argparse.Namespace) -> dict[str, Any]:
    from models import exports, generate, latents

    model, channels = _loaded(args)
    look = _look(args, model, psi=args.psi)
    facts: dict[str, Any] = {}
    if args.seeds:
        facts["seeds"] = numbers(args.seeds)
        generate.bounded(model, look, len(facts["seeds"]))
        given: Latents = latents.of_seeds(facts["seeds"], model.networks.latent)
    else:
        given, _ = latents.read_latents(Path(args.latents), model.networks.latent)
        facts["latents"] = latents.id_of(given)
    columns = max(1, math.ceil(math.sqrt(len(given)))) if args.columns is None else args.columns
    if not 1 <= columns <= _MOST:
        raise InputError(N_("A sheet has 1 to {most:,} columns."), most=_MOST)
    _check_sheet(look, -(-len(given) // columns), columns)
    made = generate.grid(model, given, look)
    image = exports.grid_sheet(made, columns=columns, channels=channels)
    told = _settings("sample", args, model, look, {**facts, "columns": columns})
    if args.save_latents:
        latents.write_latents(Path(args.save_latents), given, told)
    return _written(args, "model-sample", image, made, told)


def _truncation(args: argparse.Namespace) -> dict[str, Any]:
    from models import exports, generate, latents

    model, channels = _loaded(args)
    look = _look(args, model)
    seeds, values = numbers(args.seeds), psis(args.psis)
    generate.bounded(model, look, len(seeds) * len(values))
    _check_sheet(look, len(seeds), len(values))
    given = latents.of_seeds(seeds, model.networks.latent)
    made = generate.truncation(model, given, values, look)
    told = _settings("truncation", args, model, look, {"seeds": seeds, "psis": values})
    image = exports.tiled(exports.shown(made, channels))
    return _written(args, "model-truncation", image, made.reshape(-1, *made.shape[2:]), told)


def _mixing(args: argparse.Namespace) -> dict[str, Any]:
    from models import exports, generate, latents

    model, channels = _loaded(args)
    look = _look(args, model)
    layers = generate.layers_read(args.layers, reading=args.reading)
    seeds = {name: numbers(getattr(args, name)) for name in ("src", "dst")}
    drawn = {
        name: _each(getattr(args, f"{name}_psi"), len(of)) for name, of in seeds.items()
    }  # fmt: skip
    generate.bounded(model, look, (len(seeds["src"]) + 1) * (len(seeds["dst"]) + 1))
    _check_sheet(look, len(seeds["dst"]) + 1, len(seeds["src"]) + 1)
    size = model.networks.latent
    found = generate.mixing(
        model, latents.of_seeds(seeds["src"], size), latents.of_seeds(seeds["dst"], size), layers,
        look, source_psis=drawn["src"], destination_psis=drawn["dst"],
    )  # fmt: skip
    facts = {
        **seeds, "src_psi": drawn["src"], "dst_psi": drawn["dst"], "reading": args.reading,
        "layers": [list(one) for one in layers],
    }  # fmt: skip
    told = _settings("mixing", args, model, look, facts)
    cells = found.cells.reshape(-1, *found.cells.shape[2:])
    return _written(args, "model-mixing", exports.mixing_sheet(found, channels), cells, told)


def _check_sheet(look: "Look", rows: int, columns: int) -> None:
    from models import exports
    from models.progressive import size_of_depth

    assert look.depth is not None  # `_look` fills it in
    exports.check_sheet(rows, columns, size_px=size_of_depth(look.depth))


def _each(text: str | None, count: int) -> list[float] | None:
    if text is None:
        return None
    found = psis(text)
    return found * count if len(found) == 1 else found


def _settings(
    command: str, args: argparse.Namespace, model: "Loaded", look: "Look", more: dict[str, Any]
) -> dict[str, Any]:
    body = look.body()
    if args.noise:  # in place of that of a seed
        body["noise_seed"] = None
        more = {**more, "noise": file_digest(Path(args.noise))}
    return {
        "command": command, "model": model.digest, "look": body, **more,
        "code": code_version("models"),
    }  # fmt: skip


def _written(
    args: argparse.Namespace, kind: str, image: Any, made: "Pictures", told: dict[str, Any]
) -> dict[str, Any]:
    from models import exports

    out = Path(args.out)
    exports.write_png(out, image, told)
    outputs = [str(out)]
    if args.raw:
        _save(Path(args.raw), made)
        outputs.append(args.raw)
    text = f"{len(made)} pictures of {made.shape[-1]} px -> {out}"
    body = record(kind, settings=told, outputs=outputs, text=text)
    return {**body, "code": code_version("models")}


def _save(path: Path, numbers: Any) -> None:
    import numpy as np

    from core import store

    with store.atomic_path(path) as tmp, tmp.open("wb") as file:
        np.save(file, numbers)


def _score(args: argparse.Namespace) -> dict[str, Any]:
    from models.scores import score_file

    scores = score_file(Path(args.model), Path(args.images), alpha=args.alpha)
    _save(Path(args.out), scores)
    text = f"{len(scores)} scores, mean {scores.mean():.4f} -> {args.out}"
    body = record("model-score", outputs=[args.out], count=len(scores), text=text)
    return {**body, "code": code_version("models")}
