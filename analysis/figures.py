"""The figures that every run leaves, a folder for each of its pictures."""

from analysis.gallery import draw_gallery, gallery_data
from analysis.leaderboard import ranking_metric
from analysis.plots import draw_curves, draw_psnr_against_tv, save_figure
from analysis.sweep import Sweep
from dipray.errors import FolderError
from dipray.folder import FIGURES, safe_name
from dipray.store import Store


def write_figures(
    sweep: Sweep, *, metric: str | None = None, store: Store | None = None
) -> list[str]:
    """Write curves, PSNR against TV, and pictures side by side; returns the files, by problem.

    metric: what the best trial of the pictures is chosen by; None: psnr_ema_peak, or without the
    truth val_psnr_ema_peak, or loss_final if nothing was held out. Problems of which no trial has
    begun are left out. store: the folder; None: the sweep's own, which a merged one does not have.
    Raises FolderError.
    """
    home = store or sweep.home
    files = []
    trials = sweep.trials
    for problem in dict.fromkeys(trials["problem"]):
        ours = trials[(trials["problem"] == problem) & trials["loss_final"].notna()]
        if ours.empty:
            continue
        has_truth = bool(ours["psnr_peak"].notna().any())
        place = f"{FIGURES}/{safe_name(problem)}"
        chosen = {"problem": problem, "trials": list(ours.index)}
        judged = bool(ours["val_psnr_ema_peak"].notna().any())
        columns = ["psnr_ema", "psnr"] if has_truth else []
        columns += ["val_psnr_ema"] if judged else []
        for column in (*columns, "loss", "tv"):
            save_figure(draw_curves(sweep, column, **chosen), home, f"{place}/{column}.png")
            files.append(f"{place}/{column}.png")
        if has_truth:
            figure = draw_psnr_against_tv(sweep, averaged=True, **chosen)
            save_figure(figure, home, f"{place}/psnr_against_tv.png")
            files.append(f"{place}/psnr_against_tv.png")
        best_by = metric or ranking_metric(sweep, "psnr_ema_peak", trials=ours)
        try:
            panels = gallery_data(sweep, problem, metric=best_by)
        except FolderError:  # a trial that was ended from outside may have no pictures
            continue
        save_figure(draw_gallery(panels), home, f"{place}/pictures.png")
        files.append(f"{place}/pictures.png")
    return files
