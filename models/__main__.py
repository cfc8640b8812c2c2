"""The command line of models: train, go on, list runs, bring in old weights, make pictures.

Exit status: 0 done, 2 a user's mistake (one sentence on standard error), 1 an error of the program.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core import store
from core.commands.terminal import progress_line
from core.errors import AppError, InputError, JobError
from core.record import code_version, record
from core.settings import PREFIX, settings
from core.text import N_, filled
from models import generating, presets, resuming, runs
from models.config import RunConfig, field_names, networks_of, read_fits
from models.progressive import Note, corrected, further


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    args = _parser().parse_args(argv)
    try:
        if args.workspace:
            os.environ[f"{PREFIX}WORKSPACE"] = args.workspace
            settings.cache_clear()
        body = args.handler(args)
    except AppError as err:
        print(err, file=sys.stderr)
        return 2
    except ModuleNotFoundError as err:
        if err.name not in {"torch", "safetensors"}:
            raise
        print(f"{err.name} is not installed. Training needs it: make models.", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    if args.json:
        print(json.dumps(body, indent=1, ensure_ascii=False))
    elif body.get("text"):
        print(body["text"])
    return int(body.get("status", 0))


def runs_folder() -> Path:
    """Return the folder of all runs."""
    return settings().workspace / "runs"


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--workspace", metavar="DIR", help="folder of the runs")
    common.add_argument("--json", action="store_true", help="print one JSON object")
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", parents=[common], help="train a model on chips")
    train.add_argument("--model", choices=presets.MODELS, required=True)
    train.add_argument("--data", metavar="CHIPS", required=True,
                       help="a set of chips, an NPY or IDX file, or digits")  # fmt: skip
    train.add_argument("--out", metavar="RUN", required=True,
                       help="a name, or a path with a slash in it for a folder")  # fmt: skip
    train.add_argument("--preset", choices=list(dict.fromkeys(
        name for model in presets.MODELS for name in presets.names_of(model)
    )), help="default: workshop; small for stylegan")  # fmt: skip
    train.add_argument("--size", type=int, help="pixels of a side; default: the chips'")
    train.add_argument("--start-from", metavar="CHECKPOINT", default="",
                       help="begin with the weights of a checkpoint or of an import")  # fmt: skip
    _settings_arguments(train)
    train.set_defaults(handler=_train)

    resume = commands.add_parser("resume", parents=[common], help="go on with a run")
    resume.add_argument("run", metavar="RUN", help="a name as in `runs`, or a folder")
    resume.add_argument("--more-epochs", type=int, metavar="N", help="one more fit at its end")
    resume.add_argument("--yes", action="store_true", help="go on with changed settings or code")
    _settings_arguments(resume, for_resume=True)
    resume.set_defaults(handler=_resume)

    listing = commands.add_parser("runs", parents=[common], help="list the runs")
    listing.add_argument("--stop", metavar="RUN", help="ask a run to save and stop")
    listing.set_defaults(handler=_runs)

    generating.add_commands(commands, common)

    hand = commands.add_parser("export", parents=[common], help="a run's generator with a card")
    hand.add_argument("run", metavar="RUN", help="a name as in `runs`")
    hand.add_argument("--step", type=int, help="of its checkpoints; default: the newest")
    hand.add_argument("--title", required=True)
    hand.add_argument("--licence", required=True, help="of the weights")
    hand.add_argument("--out", metavar="DIR", required=True)
    hand.set_defaults(handler=_export)

    bring = commands.add_parser("import", parents=[common],
                                help="read weights of fastai or StyleGAN.pytorch")  # fmt: skip
    bring.add_argument("file", metavar="FILE")
    bring.add_argument("--out", metavar="DIR", required=True)
    bring.add_argument("--mean", choices=["auto", "file", "recompute"], default="auto",
                       help="mean style; auto: the file's unless it is wrong")  # fmt: skip
    bring.set_defaults(handler=_import)
    return parser


def _settings_arguments(parser: argparse.ArgumentParser, *, for_resume: bool = False) -> None:
    if not for_resume:
        parser.add_argument("--epochs", metavar="N,…", help="epochs of each fit, such as 5,10,10")
        parser.add_argument(
            "--batch", metavar="N,…", help="pictures of a batch; a list: each fit's"
        )
        parser.add_argument("--seed", type=int)
        parser.add_argument("--exact", action="store_true",
                            help="compute in float32 and in fastai's order")  # fmt: skip
    parser.add_argument("--lr", type=float, help="learning rate")
    parser.add_argument("--checkpoint-every", type=int, metavar="STEPS", help="0: once an epoch")
    parser.add_argument("--device", help="auto, cpu or cuda:0")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16", "float16"])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="any other setting, such as training.flips=true")  # fmt: skip
    parser.add_argument("--background", action="store_true", help="return at once")


def _train(args: argparse.Namespace) -> dict[str, Any]:
    from models.worker import check

    config, notes = corrected(_changed(_config(args), args))
    check(config)
    if "/" in args.out or "\\" in args.out:
        folder = runs.create_at(Path(args.out), config)
    else:
        folder = runs.create(runs_folder(), config)
    return _go(folder, args, notes)


def _config(args: argparse.Namespace) -> RunConfig:
    from models.sets import DIGITS, is_set, open_chips, size_of

    name = args.preset or presets.names_of(args.model)[0]
    size = args.size or size_of(args.data, presets.sizes_of(args.model, name))
    chips = open_chips(args.data, size_px=size)
    chosen = presets.preset(args.model, name, size_px=size, channels=chips.channels)
    start_from = str(Path(args.start_from).resolve()) if args.start_from else ""
    if start_from:
        facts = store.read_json(
            Path(start_from) / "checkpoint.json", kind="urban-pattern-checkpoint", version=1
        )
        networks = networks_of(facts["model"], facts["networks"])
        chosen = replace(chosen, networks=networks)
    is_name = args.data == DIGITS or is_set(args.data)
    data = args.data if is_name else str(Path(args.data).resolve())
    return RunConfig(
        title=Path(args.out).name,
        model=args.model,
        preset=name,
        data=data,
        networks=chosen.networks,
        adversary=chosen.adversary,
        training=chosen.training,
        exact=args.exact,
        start_from=start_from,
    )


def _changed(config: RunConfig, args: argparse.Namespace) -> RunConfig:
    """Return settings with what the command line changes."""
    training: dict[str, Any] = {}
    if getattr(args, "epochs", None):
        training["fits"] = read_fits(args.epochs)
    if getattr(args, "batch", None):
        batches = read_fits(args.batch)
        training |= {"batch": batches[-1], "batches": batches if len(batches) > 1 else ()}
    for name in ("seed", "lr", "checkpoint_every"):
        if getattr(args, name, None) is not None:
            training[name] = getattr(args, name)
    top = {
        name: getattr(args, name)
        for name in ("device", "precision", "threads")
        if getattr(args, name) is not None
    }
    config = replace(config, training=replace(config.training, **training), **top)
    for text in args.set:
        config = _with_setting(config, text)
    return config


def _with_setting(config: RunConfig, text: str) -> RunConfig:
    parts = {name: type(getattr(config, name)) for name in ("networks", "adversary", "training")}
    name, _, value = text.partition("=")
    part, _, field = name.partition(".")
    if part not in parts or field not in field_names(parts[part]):
        known = ", ".join(f"{part}.{field}" for part in parts for field in field_names(parts[part]))
        raise InputError(
            N_("There is no setting {name!r}."), hint=N_("There are: {known}."),
            name=name[:60], known=known,
        )  # fmt: skip
    before = getattr(getattr(config, part), field)
    try:
        given = _like(before, value)
        return replace(config, **{part: replace(getattr(config, part), **{field: given})})
    except InputError as err:  # it names the setting as people call it
        raise InputError(N_("{setting}: {reason}"), setting=name, reason=err.body()) from err
    except (TypeError, OverflowError) as err:
        raise InputError(
            N_("{value!r} is no value for {name}, which is now {before}."),
            name=name, value=value[:60], before=json.dumps(before),
        ) from err  # fmt: skip


def _like(before: Any, text: str) -> Any:
    """Read a value as JSON, or as a plain word, of the kind that stands there now."""
    try:
        given = json.loads(text)
    except ValueError:
        given = text
    return _of_kind(before, given)


def _of_kind(before: Any, given: Any) -> Any:
    if isinstance(before, tuple) and isinstance(given, list):
        kind = before[0] if before else 0
        return tuple(_of_kind(kind, one) for one in given)
    if isinstance(before, float) and isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    if before is not None and given is not None and type(given) is not type(before):
        raise TypeError(given)
    return given


def _resume(args: argparse.Namespace) -> dict[str, Any]:
    folder = _folder(args.run)
    before = runs.run(folder).config
    config = _changed(before, args)
    if args.more_epochs is not None:
        config = resuming.extended(config, args.more_epochs)
    changes = resuming.differences(folder, config)
    if changes and not args.yes:
        told = "; ".join(f"{one.name}: {one.before} -> {one.after}" for one in changes)
        raise InputError(
            N_("The run {id} would go on with differences: {told}."),
            hint=N_("Give --yes if they are meant."),
            id=folder.name, told=told,
        )  # fmt: skip
    from models.worker import check

    check(config)
    resuming.prepare_to_resume(folder, config)
    return _go(folder, args, [] if args.more_epochs is None else further(config))


def _folder(name: str) -> Path:
    if "/" in name or "\\" in name:
        folder = Path(name)
        if not (folder / "config.json").is_file():
            raise InputError(N_("There is no run {id!r}."), id=name[-80:])
        return folder
    return runs.folder_of(runs_folder(), name)


def _go(folder: Path, args: argparse.Namespace, notes: Sequence[Note] = ()) -> dict[str, Any]:
    said = [filled(template, values) for template, values in notes]
    if not args.json:
        for line in said:
            print(line, file=sys.stderr)
    if args.background:
        runs.start(folder)
    else:
        from models.worker import work

        runs.write_process(folder, os.getpid())
        found = work(folder, report=progress_line(quiet=args.json))
        if found.state == "failed":
            raise JobError(found.problem, hint=found.hint, **found.values)
    return _record("run", [folder], outputs=[str(folder)], seed=None, warnings=said)


def _runs(args: argparse.Namespace) -> dict[str, Any]:
    if args.stop:
        runs.stop(_folder(args.stop))
    return _record("runs", [run.folder for run in runs.runs(runs_folder())])


def _record(kind: str, folders: list[Path], **more: Any) -> dict[str, Any]:
    facts = [_facts(runs.run(folder)) for folder in folders]
    text = "\n".join(
        f"{one['id']}  {one['state']}  {one['model']}  step {one['step']:,}" for one in facts
    )
    body = record(kind, runs=facts, text=text or "There are no runs yet.", **more)
    return {**body, "code": code_version("models")}


def _facts(found: runs.Run) -> dict[str, Any]:
    rows = runs.rows(found.folder)
    return {
        "id": found.id,
        "folder": str(found.folder),
        "state": found.state,
        "model": found.config.model,
        "preset": found.config.preset,
        "data": found.config.data,
        "seed": found.config.training.seed,
        "step": rows[-1]["step"] if rows else 0,
        "result": found.result,
        "problem": filled(found.problem, found.values) if found.problem else "",
    }


def _import(args: argparse.Namespace) -> dict[str, Any]:
    from models.imports import bring

    source, out = Path(args.file), Path(args.out)
    facts = bring(source, out, mean=args.mean)
    networks = facts["networks"]
    text = (
        f"{source.name}: {facts['what']}, {networks['size_px']} px, {networks['channels']}"
        f" channels -> {out}"
    )
    if facts.get("mean") == "recomputed":
        text += "; its mean style is that of 10,000 styles, not the file's"
    return record(
        "model-import", what=facts["what"], networks=networks, outputs=[str(out)], text=text
    )


def _export(args: argparse.Namespace) -> dict[str, Any]:
    from models import catalogue, shipping

    root, out = settings().workspace, Path(args.out)
    step = "" if args.step is None else f"/{args.step}"
    found = catalogue.entry(root, f"run/{args.run}{step}")
    card = shipping.hand_on(found, out, root=root, title=args.title, licence=args.licence)
    text = f"{args.title}: {card['size_px']} px, step {card['steps']:,}"
    if card["alpha"] < 1:
        text += f", newest layers {card['alpha']:.0%} in"
    text += f" -> {out}"
    return record("model-export", card=card, outputs=[str(out)], text=text)


if __name__ == "__main__":
    raise SystemExit(main())
