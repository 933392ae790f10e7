"""The `unmask` command. Heavy imports wait until a command needs them."""

from pathlib import Path
from typing import Annotated

import typer

from unmask.errors import UnmaskError, exit_with_message
from unmask.project import in_project, state_path

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__.splitlines()[0])
params_app = typer.Typer(no_args_is_help=True, help="Profiles of params.yaml.")
faces_app = typer.Typer(no_args_is_help=True, help="The embedded statistical face model.")
data_app = typer.Typer(no_args_is_help=True, help="New annotated faces.")
models_app = typer.Typer(no_args_is_help=True, help="Versions of the registered model.")
app.add_typer(params_app, name="params")
app.add_typer(faces_app, name="faces")
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder that is written into.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")]
Why = Annotated[str, typer.Option(help="Kept in the history.")]


@params_app.command("use")
def params_use(name: Annotated[str, typer.Argument(help="A profile of conf/.")]) -> None:
    """Write profile NAME of conf/ into params.yaml."""
    from unmask.config.profiles import use_profile

    use_profile(name, in_project("conf"), in_project("params.yaml"))
    typer.echo(f"params.yaml is profile {name} now")


@faces_app.command("fit")
def faces_fit(
    folders: Annotated[list[Path], typer.Argument(help="Annotated folders of faces.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npz file to write.")],
) -> None:
    """Fit the appearance model to annotated FOLDERS, the holdout left out."""
    from unmask.faces.fitting import fit_folders

    model = fit_folders(folders, progress=typer.echo)
    model.save(out)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB from {model.about['faces']} faces")


@faces_app.command("sample")
def faces_sample(
    out: Out,
    count: Annotated[int, typer.Option(min=1)] = 16,
    size: Annotated[int, typer.Option(min=64, max=256)] = 128,
    seed: Seed = 0,
    masked: Annotated[bool, typer.Option("--masked", help="Put a mask on each.")] = False,
) -> None:
    """Write synthetic faces as PNG, and with --masked wearing masks."""
    from unmask.masking.samples import write_samples

    write_samples(out, count, size, seed, masked=masked)
    typer.echo(f"{count} faces are in {out}")


@data_app.command("check")
def data_check(
    folder: Annotated[Path, typer.Argument(help="Laid out as README's 'Your own faces' says.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for report.md and report.json.")
    ] = None,
) -> None:
    """Say whether a FOLDER of new annotated faces may enter a training, and what fails in it."""
    from unmask.config.params import load_params
    from unmask.retraining.new_faces import judge_faces, known_hashes

    params = load_params()
    report = judge_faces(folder, params, known_hashes(params, in_project()))
    typer.echo(report.as_markdown())
    if out is not None:
        report.write(out)
    if not report.accepted:
        raise UnmaskError(f"{folder} is refused: {'; '.join(report.refusals)}.")


@data_app.command("gc")
def data_gc() -> None:
    """Delete cached data that neither the project nor any branch or tag names; keep retrainings'.

    `dvc gc -w` would take the new faces that a retraining learned from.
    """
    from unmask.project import project_root
    from unmask.retraining.clone import collect_garbage

    typer.echo(collect_garbage(project_root()).strip())


@models_app.command("list")
def models_list() -> None:
    """List the registered versions, newest first."""
    from unmask.registry.versions import list_versions

    for version in list_versions():
        aliases = ", ".join(version.aliases) or "-"
        typer.echo(
            f"{version.number:>4}  {aliases:<22} {version.created}  {version.packed_md5[:12]}  "
            f"{version.verdict}"
        )


@models_app.command("sync")
def models_sync() -> None:
    """Register the trained networks where the store lacks them; `challenger` points at them."""
    from unmask.registry.sync import sync

    typer.echo(f"unmask version {sync()} is the challenger")


@models_app.command("import")
def models_import() -> None:
    """Register the weights that come with the package as a version; it becomes the challenger."""
    from unmask.registry.release import import_release

    typer.echo(f"unmask version {import_release()} is the challenger")


@models_app.command("upgrade")
def models_upgrade(
    version: Annotated[str, typer.Argument(help="As `unmask models list` numbers it.")],
) -> None:
    """Register a version of unmask 0.1 again, so that it restores; it becomes the challenger."""
    from unmask.registry.upgrade import upgrade

    typer.echo(f"unmask version {upgrade(version)} is the challenger")


@app.command("release")
def release(
    model: Annotated[
        str, typer.Option(help="A registered version, or a folder of trained networks.")
    ] = "models:/unmask@champion",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Default: the package's own folder.")
    ] = None,
) -> None:
    """Export a model as the weights of the package, scored on the holdout split."""
    from unmask.config.params import load_params
    from unmask.monitoring.reference import make_reference
    from unmask.networks import RELEASED
    from unmask.registry.releasing import release as export

    out, params, masked = out or RELEASED, load_params(), in_project("data/masked")
    metrics = export(params, masked, model, out, in_project("reports/release"))
    make_reference(params, in_project(), masked, out).save(out / "reference.parquet")
    size = sum(file.stat().st_size for file in out.rglob("model.*")) / 1e6
    typer.echo(f"{out}: {size:.1f} MB, hole PSNR {metrics['chain']['hole_psnr']:.2f} dB")


@models_app.command("score")
def models_score(
    out: Out,
    model: Annotated[
        str | None,
        typer.Option(help="models:/unmask@champion, models:/unmask/3, release, or a folder."),
    ] = None,
    split: Annotated[str, typer.Option(help="Of data/masked.")] = "holdout",
    source: Annotated[
        str | None, typer.Option(help="Only this source's faces, e.g. lfw; default all.")
    ] = None,
) -> None:
    """Score a model on the pictures of a split, as the sources in params.yaml give them."""
    from unmask.config.params import load_params
    from unmask.registry.loading import find_networks
    from unmask.registry.releasing import score

    folder, name = find_networks(model)
    metrics = score(load_params(), in_project("data/masked"), split, folder, out, source)
    typer.echo(f"{name}: hole PSNR {metrics['chain']['hole_psnr']:.2f} dB, all in {out}")


@models_app.command("promote")
def models_promote(
    version: Annotated[str | None, typer.Argument(help="Default: the challenger.")] = None,
) -> None:
    """Judge a version by the gate and, if it passes, make it champion."""
    from unmask.config.params import load_params
    from unmask.registry.promotion import promote

    masked = in_project("data/masked")
    done = promote(load_params(), masked, version, after_rollback=version is not None)
    if done.verdict is None:
        typer.echo(f"version {done.version} already is the champion")
        return
    for reason in done.verdict.reasons:
        typer.echo(f"{'pass' if reason.holds else 'FAIL'}  {reason.text}")
    if not done.verdict.promote:
        raise UnmaskError(f"version {done.version} was {done.verdict.summary}.")
    typer.echo(f"version {done.version} is the champion")


@models_app.command("rollback")
def models_rollback(
    why: Why = "rolled back by hand",
    to: Annotated[
        str | None, typer.Option(help="A version; default: the champion before the present one.")
    ] = None,
) -> None:
    """Make the champion before the present one champion again, or a version that is named."""
    from unmask.registry.champions import roll_back

    change = roll_back(why, to)
    typer.echo(f"version {change.version} is the champion, in place of {change.previous or 'none'}")


@models_app.command("reproduce")
def models_reproduce(
    version: Annotated[str, typer.Argument(help="As `unmask models list` numbers it.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Default: .unmask/reproduced/vVERSION.")
    ] = None,
) -> None:
    """Make a version's project again in a folder: code, params, data and weights, checked."""
    from unmask.retraining.reproduce import reproduce

    done = reproduce(version, out or state_path(f"reproduced/v{version}"))
    rebuilt = f"trained again: {', '.join(done.rebuilt)}" if done.rebuilt else "all from the cache"
    typer.echo(f"{done.folder}: version {version}, packed md5 {done.packed_md5}, {rebuilt}")


@models_app.command("history")
def models_history() -> None:
    """Show every change of the champion, oldest first."""
    from unmask.registry.champions import history

    for change in history():
        arrow = "kept, not" if change.kind == "refuse" else "->"
        typer.echo(
            f"{change.when}  {change.previous or '-'} {arrow} {change.version}  "
            f"{change.who}: {change.why}"
        )


def _print_version(asked: bool) -> None:
    if asked:
        from unmask import __version__

        typer.echo(f"unmask {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Reconstruct the face under a face mask, as a production ML system."""


@app.command("restore")
def restore(
    inputs: Annotated[
        list[str], typer.Argument(help="Pictures, or folders of pictures; also s3://bucket/folder.")
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder that is written into.")],
    crop: Annotated[
        bool, typer.Option("--crop", help="Each picture shows one face: look for no others.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Take the pictures of subfolders too.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave those whose answer is there.")
    ] = False,
    flat: Annotated[
        bool,
        typer.Option("--flat", help="Of 10,000 pictures and more too, write into one folder."),
    ] = False,
    manifest: Annotated[
        str | None, typer.Option(help="Parquet file to write, with a row for each picture.")
    ] = None,
    save_masks: Annotated[bool, typer.Option("--save-masks")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Write each picture beside its restoration too.")
    ] = False,
    format_: Annotated[
        str, typer.Option("--format", help="same, png, jpeg, webp, tiff or avif.")
    ] = "same",
    quality: Annotated[
        int, typer.Option(help="1 to 100, of JPEG, WebP and AVIF; 0 is the picture's own, or 95.")
    ] = 0,
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Leave out EXIF, GPS and the like.")
    ] = False,
    faces: Annotated[
        str, typer.Option(help="all, or the numbers of those to restore, such as 1,3.")
    ] = "all",
    gender: Annotated[str, typer.Option(help="auto, male or female.")] = "auto",
    samples: Annotated[
        int, typer.Option(help="Plausible faces to draw beside the likeliest, at most 32.")
    ] = 0,
    seed: Seed = 0,
    model: Annotated[
        str | None,
        typer.Option(help="models:/unmask@champion, models:/unmask/3, release, or a folder."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of each network; default: all for few pictures, else UNMASK_THREADS or one.",
        ),
    ] = None,
    most_megapixels: Annotated[float, typer.Option(min=0.001, help="Of a picture.")] = 50,
    cluster: Annotated[
        str | None,
        typer.Option(help="local:N, or a Dask scheduler's address; default: params.yaml's."),
    ] = None,
) -> None:
    """Restore the faces under the masks in photos.

    Without --model, by the champion where there is one, else by the released weights.
    """
    from contextlib import ExitStack

    from unmask.config.cluster import cluster_of
    from unmask.inference.answers import Outputs
    from unmask.inference.files import restore_files
    from unmask.inference.image_file import Writing
    from unmask.inference.inputs import Inputs
    from unmask.inference.results import RestoreOptions
    from unmask.project import located

    if not out:
        raise UnmaskError("--out is empty: name the folder to write into.")
    options = RestoreOptions.parse(gender, samples, seed, crop, faces)
    writing = Writing.parse(format_, quality, strip_metadata)
    files = Inputs([located(path) for path in inputs], recursive=recursive, flat=flat)
    from unmask.inference.manifest import writing_manifest
    from unmask.inference.photo import stored_restorer
    from unmask.networks import trained_on
    from unmask.registry.loading import find_networks

    networks, name = find_networks(model)
    typer.echo(f"{name}, {trained_on(networks)}", err=True)
    restorer, workers = stored_restorer(networks, len(files.first), threads)
    failed = count = 0
    with ExitStack() as stack:
        listed = stack.enter_context(writing_manifest(located(manifest))) if manifest else None
        for answer in restore_files(
            files,
            located(out),
            restorer,
            name,
            outputs=Outputs(writing, save_masks, compare),
            options=options,
            skip_existing=skip_existing,
            most_pixels=round(most_megapixels * 1e6),
            workers=workers,
            cluster=cluster_of(cluster),
        ):
            count += 1
            failed += bool(answer.error)
            typer.echo(answer.defect + answer.sentence, err=bool(answer.error))
            if listed:
                listed.add(answer)
    if left_out := files.left_out_sentence:
        typer.echo(left_out, err=True)
    if failed:
        raise UnmaskError(f"{failed} of {count} inputs could not be restored.")


@app.command("serve")
def serve(
    host: Annotated[str, typer.Option(help="Others than loopback let others in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    most_megabytes: Annotated[int, typer.Option(min=1, help="Of a request's body.")] = 32,
    most_pictures: Annotated[int, typer.Option(min=1, help="A request.")] = 16,
    most_seconds: Annotated[float, typer.Option(min=1, help="A request, with waiting.")] = 60,
    most_waiting: Annotated[int, typer.Option(min=1, help="Requests at the same time.")] = 32,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that restore; default: one a core.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token that requests must bring.")
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Ask for none beyond loopback, either.")
    ] = False,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="Another name of this machine; * is any.")
    ] = None,
    allowed_origin: Annotated[
        list[str] | None, typer.Option(help="https://page whose scripts may ask.")
    ] = None,
) -> None:
    """Serve the champion over HTTP, and the next one as soon as it is promoted.

    POST /invocations takes MLflow's scoring protocol, POST /restore a form with a file; GET /health
    and /version say how it is, /openapi.json what may be asked.
    Without a champion the released weights serve, which are registered for that.
    """
    from unmask.parallel import CORES
    from unmask.serving.access import Access
    from unmask.serving.api import Limits
    from unmask.serving.serve import serve as run

    limits = Limits(
        most_megabytes * 1_000_000, most_pictures, most_seconds, most_waiting, workers or CORES
    )
    access = Access.parse(host, allowed_host or (), allowed_origin or (), token_file, no_token)
    run(host, port, limits, access, typer.echo)


@exit_with_message
def main() -> None:
    """The command's entry point."""
    app(standalone_mode=True)
