#!/usr/bin/env python3
"""Check exactness: a folder of golden numbers in, a table of the largest error of each quantity out.

python tools/golden.py DIR                           every comparison that the folder has files for
python tools/golden.py DIR --only 'tracker_*'        those of files whose names fit (--skip: those of all others)
python tools/golden.py DIR --pips-weights FILE.pth   with these weights; else those in DIR, else --seed N, else the seed
                                                     (0 to 63) whose weights fit the golden numbers is found
python tools/golden.py DIR --query-seed N            query points drawn with this seed; else it is found from the file
python tools/golden.py DIR --device cuda             networks on the GPU (auto: on the GPU where there is one)
What a file holds is told by its name, whatever the clip in it is called: pips_functions*.npz, pips_random*.npz,
pips_window_*.npz, tracker_*.npz, query_points_*.npz and more (tools/goldens/comparisons.py); frames of windows and of
the tracker come from clip_NAME_*.npz. Everything is computed in float32, on a GPU without TF32; query points, the patch
filter, re-initialisation and the measures of DAVIS need no network and always run on the CPU. The exit code is 0 when
every error is within its tolerance, 1 when one is beyond, 2 for a folder without golden numbers, a file that can't be
compared or a device that is not there, 3 for weights that can't be read.
"""

from __future__ import annotations

import argparse
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder

if TYPE_CHECKING:
    from tools.goldens.rows import Row

Table = dict[str, "list[Row]"]  # file name -> its rows


def main(argv: list[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    options = parse(argv)
    from tools.report_command import exit_code_of

    return exit_code_of("golden", lambda: run(options))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with 2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the golden files are")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="compare the files whose names fit")
    parser.add_argument("--skip", default="", metavar="PATTERN", help="leave files out (slow: 'sampt_*', minutes)")
    parser.add_argument(
        "--pips-weights", type=Path, metavar="FILE", help="the weights of PIPS that they were made with"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the seed of these weights")
    parser.add_argument("--query-seed", type=int, metavar="N", help="the seed that the query points were drawn with")
    parser.add_argument(
        "--device", default="cpu", choices=("cpu", "cuda", "auto"), help="where the networks compute (default: cpu)"
    )
    return parser.parse_args(argv)


def run(options: argparse.Namespace) -> int:
    """Compare, file by file; a file that can't be compared does not keep the others from it."""
    from stream.errors import StreamError

    compared, not_compared = find(options.folder, options.only, options.skip)
    from stream.weights.devices import choose_device, choose_precision
    from tools.goldens.comparisons import comparison
    from tools.goldens.folder_weights import Weights

    device = choose_device("--device", options.device)
    choose_precision("--device", "float32", device)  # which switches TF32 off
    weights = Weights(options.folder, options.pips_weights, options.seed, options.query_seed, device)
    table: Table = {}
    failed: list[StreamError] = []
    for path in compared:
        compare = comparison(path.name)
        assert compare is not None
        print(f"golden: {path.name} ...", file=sys.stderr)
        try:
            table[path.name] = compare(path, options.folder, weights)
        except StreamError as error:
            failed.append(error)
    show(table, [*weights.origins, weights.computed_on()], [f.name for f in not_compared])
    for message in dict.fromkeys(str(error) for error in failed):
        print(f"golden: error: {message}", file=sys.stderr)
    beyond = any(not row.ok for rows in table.values() for row in rows)
    return failed[0].exit_code if failed else int(beyond)


def find(folder: Path, only: str, skip: str = "") -> tuple[list[Path], list[Path]]:
    """The files to compare and those that nothing compares; ConfigError when there is nothing to do."""
    from nodes.capture.folder import visible_entries
    from stream.errors import ConfigError
    from tools.goldens.comparisons import COMPARISONS, sort_files

    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give the one that holds the golden files")
    files = [f for f in visible_entries(folder) if f.is_file()]
    compared, not_compared = sort_files(f for f in files if fnmatch(f.name, only) and not fnmatch(f.name, skip))
    if not compared:
        filters = "" if (only, skip) == ("*", "") else f" that --only {only!r} and --skip {skip!r} leave"
        raise ConfigError(f"{folder} holds no golden file{filters}; looked for {', '.join(COMPARISONS)}")
    return compared, not_compared


def show(table: Table, notes: list[str], not_compared: list[str]) -> None:
    """Print the table, where the weights came from and what computed, and what was not compared."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Printed

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    printed = Printed("file", "quantity", box=SIMPLE, pad_edge=False)
    printed.add_column("max error", justify="right")
    printed.add_column("tolerance", justify="right")
    printed.add_column("")
    for name, rows in table.items():
        for i, row in enumerate(rows):
            verdict = "ok" if row.ok else "[bold red]beyond[/]"
            printed.add_row(
                "" if i else escape(name), escape(row.quantity), f"{row.error:.3g}", f"{row.tolerance:g}", verdict
            )
    console.print(printed)
    for sentence in notes:
        console.print(sentence, markup=False, soft_wrap=True)
    if not_compared:
        console.print(f"not compared: {', '.join(not_compared)}", markup=False, soft_wrap=True)
    beyond = [(name, row) for name, rows in table.items() for row in rows if not row.ok]
    total = sum(len(rows) for rows in table.values())
    console.print(f"{total - len(beyond)} of {total} quantities are within their tolerance")
    for name, row in beyond:
        console.print(
            f"beyond: {name} {row.quantity}: {row.error:.3g} ({row.tolerance:g})", markup=False, soft_wrap=True
        )


if __name__ == "__main__":
    sys.exit(main())
