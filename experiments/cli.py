"""The command line: `dipray fit`, `sweep`, `ensemble` and the others.

Only what parsing needs is imported here, so that --help answers at once.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated

import tyro

from dipray.errors import ConfigError, DiprayError
from experiments.commands import (
    EnsembleCommand,
    FitCommand,
    ListCommand,
    LrBiasCommand,
    ReportCommand,
    ShowCommand,
    SweepCommand,
)

Command = (
    Annotated[FitCommand, tyro.conf.subcommand("fit")]
    | Annotated[SweepCommand, tyro.conf.subcommand("sweep")]
    | Annotated[EnsembleCommand, tyro.conf.subcommand("ensemble")]
    | Annotated[LrBiasCommand, tyro.conf.subcommand("lr-bias")]
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
    ReportCommand: ("experiments.report", "run_report"),
    ShowCommand: ("experiments.show", "run_show"),
    ListCommand: ("experiments.catalogue", "run_list"),
}

DESCRIPTION = """Deep Image Prior: restore a picture by fitting an untrained network to it.

Exit codes: 0 done, 1 failed, 2 wrong usage. --debug shows the traceback of an error."""

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    # what a batch system sends: end as with Ctrl-C, results written
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        command = tyro.cli(
            Command,
            prog="dipray",
            description=DESCRIPTION,
            args=arguments,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
        )
        sys.exit(_run(command))
    except DiprayError as error:
        if debug:
            traceback.print_exc()
        print(f"dipray: {error}", file=sys.stderr)
        sys.exit(USAGE if isinstance(error, ConfigError) else FAILED)
    except BrokenPipeError:
        # whoever read our output has closed it; Python must not try to flush it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except KeyboardInterrupt:
        print("dipray: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


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
