"""The command line: `dipray fit`, `sweep`, `ensemble` and the others.

Only what parsing needs is imported here, so that --help answers at once.
"""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated

import tyro

from experiments.commands import (
    AuditCommand,
    EnsembleCommand,
    FitCommand,
    ListCommand,
    LrBiasCommand,
    ReplayCommand,
    ReportCommand,
    RestoreCommand,
    ShowCommand,
    SweepCommand,
)
from experiments.exits import exit_code
from experiments.invocation import remember

Command = (
    Annotated[FitCommand, tyro.conf.subcommand("fit")]
    | Annotated[SweepCommand, tyro.conf.subcommand("sweep")]
    | Annotated[EnsembleCommand, tyro.conf.subcommand("ensemble")]
    | Annotated[LrBiasCommand, tyro.conf.subcommand("lr-bias")]
    | Annotated[RestoreCommand, tyro.conf.subcommand("restore")]
    | Annotated[AuditCommand, tyro.conf.subcommand("audit")]
    | Annotated[ReplayCommand, tyro.conf.subcommand("replay")]
    | Annotated[ReportCommand, tyro.conf.subcommand("report")]
    | Annotated[ShowCommand, tyro.conf.subcommand("show")]
    | Annotated[ListCommand, tyro.conf.subcommand("list")]
)

# imported when asked for
PROGRAMS: dict[type, tuple[str, str]] = {
    FitCommand: ("experiments.fit", "run_fit"),
    SweepCommand: ("experiments.sweep", "run_sweep_command"),
    EnsembleCommand: ("experiments.ensemble", "run_ensemble"),
    LrBiasCommand: ("experiments.lr_bias", "run_lr_bias"),
    RestoreCommand: ("experiments.restore", "run_restore"),
    AuditCommand: ("experiments.audit", "run_audit"),
    ReplayCommand: ("experiments.replay", "run_replay"),
    ReportCommand: ("experiments.report", "run_report"),
    ShowCommand: ("experiments.show", "run_show"),
    ListCommand: ("experiments.catalogue", "run_list"),
}

DESCRIPTION = """Deep Image Prior: restore a picture by fitting an untrained network to it.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
--debug shows the traceback of an error."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    kept = [argument for argument in given if argument != "--debug"]
    remember(given)
    sys.exit(exit_code("dipray", lambda: _run(_parse(kept)), debug=kept != given))


def _parse(arguments: Sequence[str]) -> Command:
    return tyro.cli(
        Command,
        prog="dipray",
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )


def _run(command: Command) -> int:
    if isinstance(command, FitCommand):
        # torch's idle threads would spin for so long that two fits on the same cores crawl;
        # OpenMP reads this when torch is loaded
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    module, function = PROGRAMS[type(command)]
    run: Callable[[Command], int] = getattr(import_module(module), function)
    return run(command)


if __name__ == "__main__":
    main()
