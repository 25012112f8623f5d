"""Read the folder of a sweep into pandas: trials, traces, leaderboard, plots, tables.

Works on files alone: neither torch nor ray is needed, and nothing that is read is ever run.
Matplotlib and rich are imported with the first plot and the first table for a terminal.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from analysis.leaderboard import iterations_saved, leaderboard
from analysis.load import load_sweep
from analysis.sweep import Sweep

if TYPE_CHECKING:
    from analysis.audit import audit_choice as audit_choice
    from analysis.audit import audit_fits as audit_fits
    from analysis.audit_findings import audit_sentences as audit_sentences
    from analysis.audit_plots import draw_ranks as draw_ranks
    from analysis.audit_plots import draw_regret as draw_regret
    from analysis.audit_runs import audited as audited
    from analysis.audit_tables import audit_table as audit_table
    from analysis.effect_plots import draw_effects as draw_effects
    from analysis.effect_plots import draw_importance as draw_importance
    from analysis.effects import interactions as interactions
    from analysis.figures import write_figures as write_figures
    from analysis.findings import sentences as sentences
    from analysis.gallery import draw_gallery as draw_gallery
    from analysis.gallery import gallery_data as gallery_data
    from analysis.intervals import bootstrap_interval as bootstrap_interval
    from analysis.intervals import interquartile_mean as interquartile_mean
    from analysis.plots import curve_data as curve_data
    from analysis.plots import draw_curves as draw_curves
    from analysis.plots import draw_psnr_against_tv as draw_psnr_against_tv
    from analysis.plots import save_figure as save_figure
    from analysis.plots import smoothness_data as smoothness_data
    from analysis.ranks import rank_correlation as rank_correlation
    from analysis.render import leaderboard_table as leaderboard_table
    from analysis.report import report_html as report_html
    from analysis.report import write_report as write_report
    from analysis.scores import score_table as score_table
    from analysis.tables import write_table as write_table
    from analysis.tables import write_tables as write_tables

_HOME = {
    "audit_choice": "analysis.audit",
    "audit_fits": "analysis.audit",
    "audit_sentences": "analysis.audit_findings",
    "audit_table": "analysis.audit_tables",
    "audited": "analysis.audit_runs",
    "bootstrap_interval": "analysis.intervals",
    "curve_data": "analysis.plots",
    "draw_curves": "analysis.plots",
    "draw_effects": "analysis.effect_plots",
    "draw_gallery": "analysis.gallery",
    "draw_importance": "analysis.effect_plots",
    "draw_psnr_against_tv": "analysis.plots",
    "draw_ranks": "analysis.audit_plots",
    "draw_regret": "analysis.audit_plots",
    "gallery_data": "analysis.gallery",
    "interactions": "analysis.effects",
    "interquartile_mean": "analysis.intervals",
    "leaderboard_table": "analysis.render",
    "rank_correlation": "analysis.ranks",
    "report_html": "analysis.report",
    "save_figure": "analysis.plots",
    "score_table": "analysis.scores",
    "sentences": "analysis.findings",
    "smoothness_data": "analysis.plots",
    "write_figures": "analysis.figures",
    "write_report": "analysis.report",
    "write_table": "analysis.tables",
    "write_tables": "analysis.tables",
}

__all__ = ["Sweep", "iterations_saved", "leaderboard", "load_sweep", *_HOME]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
