"""The commands as the shell sees them: arguments, options and help; each imports its module when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Decode with diffusion language models: one loop, any combination of methods, in one recipe.",
)

Recipe = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of one: baseline/tiny.")]
Recipes = Annotated[list[str], typer.Argument(metavar="RECIPE", help="Recipe files or names.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Overrides, such as decode.gen_length=64.")
]
Task = Annotated[
    str,
    typer.Option("--task", metavar="TASK", help="tiny, tiny:KIND,... (the bundled model's), humaneval, or a .jsonl."),
]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="Take N problems (default: 100 of tiny, else all).")
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", metavar="N", help="Chooses problems: makes those of tiny, draws the N of --limit elsewhere."
    ),
]
Matcher = Annotated[
    str | None,
    typer.Option("--matcher", metavar="M", help="exact, number, json, regex:PATTERN or package.module:function."),
]
ExecuteCode = Annotated[
    bool, typer.Option("--execute-code", help="Allow humaneval to run, in a sandbox, code that the model wrote.")
]
OutDir = Annotated[
    str, typer.Option("--out", metavar="DIR", help="Results and report go here; the same command continues there.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]


def _print_version(asked: bool) -> None:
    if asked:
        from dllmkit.cli.versions import own_version

        typer.echo(f"dllmkit {own_version()}")
        raise typer.Exit


@app.callback()
def _dllmkit(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(epilog='Example: dllmkit run baseline/tiny decode.gen_length=64 --prompt "Sort: 4 2 9"')
def run(
    recipe: Recipe,
    overrides: Overrides = None,
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", metavar="TEXT", help="A prompt; may be repeated.")
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option("--prompts", metavar="FILE", help="A file of prompts: .jsonl, or text with one a line."),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help="Write results here; the same command continues there.")
    ] = None,
    json: Json = False,
    live: Annotated[
        bool | None, typer.Option("--live/--no-live", help="Show the canvas filling up (default: in a terminal).")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="With --out: the trace also says why each step chose what it chose.")
    ] = False,
) -> None:
    """Decode prompts with a recipe.

    Without --prompt and --prompts, standard input is the prompt; in a terminal, the recipe's samples are.
    """
    from dllmkit.cli.run import run as command

    command(recipe, overrides or (), prompt or (), prompts, out, json, live, explain)


@app.command("eval", epilog="Example: dllmkit eval baseline/tiny --task tiny --limit 50 --out runs/baseline")
def eval_(
    recipe: Recipe,
    task: Task,
    overrides: Overrides = None,
    limit: Limit = None,
    seed: Seed = 0,
    matcher: Matcher = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help="Write samples here; the same command continues there.")
    ] = None,
    json: Json = False,
    execute_code: ExecuteCode = False,
) -> None:
    """Measure how often a recipe is right, and what it costs.

    Under torchrun, problems are shared by its processes: torchrun --nproc_per_node 2 -m dllmkit eval ...
    """
    from dllmkit.cli.eval import evaluate as command

    command(recipe, overrides or (), task, limit, seed, matcher, out, json, execute_code)


@app.command(
    "lm-eval",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": True},
    epilog="Example: dllmkit lm-eval dawn/llada.gsm8k-256 --tasks gsm8k --num_fewshot 5 --output_path results",
)
def lm_eval(
    context: typer.Context,
    recipe: Recipe,
    mc_samples: Annotated[
        int, typer.Option("--mc-samples", metavar="N", min=1, help="Maskings per log-likelihood.")
    ] = 128,
    mc_seed: Annotated[int, typer.Option("--mc-seed", metavar="N", help="Seed of the maskings.")] = 0,
    check_greedy: Annotated[
        bool, typer.Option("--check-greedy", help="Also find out whether continuations are greedy: slow.")
    ] = False,
    add_bos_token: Annotated[
        bool, typer.Option("--add-bos-token", help="Begin every prompt with the tokenizer's begin-of-sequence token.")
    ] = False,
) -> None:
    """Answer tasks of lm-evaluation-harness with a recipe: RECIPE [KEY=VALUE]... --tasks TASK,... [options of lm-eval].

    The harness's options are listed by `lm-eval run --help`; the recipe stands for its model, batch size and device.
    """
    from dllmkit.cli.lm_eval import lm_eval as command

    command(recipe, context.args, mc_samples, mc_seed, check_greedy, add_bos_token)


@app.command(epilog="Example: dllmkit compare baseline/tiny dawn/tiny dawn+dsb --task tiny --limit 60 --out comparison")
def compare(
    recipes: Recipes,
    task: Task,
    out: OutDir,
    limit: Limit = None,
    seed: Seed = 0,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override for all recipes; may be repeated.")
    ] = None,
    matcher: Matcher = None,
    json: Json = False,
    execute_code: ExecuteCode = False,
) -> None:
    """Compare recipes on the same problems; writes a report.

    Accuracy, speed, work, paired differences, and where answers part. The first recipe is the reference.
    """
    from dllmkit.cli.compare import compare as command
    from dllmkit.cli.problems import Problems

    command(recipes, Problems(task, limit, seed, matcher, execute_code), out, overrides or (), json)


@app.command(
    epilog="Example: dllmkit sweep dawn+dsb 'decode.unmask_selector.tau_low=[0.6,0.75,0.9]' "
    "'decode.block_scheduler.block_length=[16,32]' --task tiny --limit 60 --out sweep"
)
def sweep(
    recipe: Recipe,
    grid: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=[VALUE,...]",
            help="Values of a key, each one point of the grid; KEY=VALUE is the same in all points, and a value that is "
            "a list is written KEY=[[...]].",
        ),
    ],
    task: Task,
    out: OutDir,
    launcher: Annotated[
        str, typer.Option("--launcher", metavar="WHERE", help="local, or ray: a Ray cluster's CPUs or GPUs.")
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, help="Jobs at a time (default: local 1, ray all there is room for)."
        ),
    ] = None,
    limit: Limit = None,
    seed: Seed = 0,
    matcher: Matcher = None,
    json: Json = False,
    execute_code: ExecuteCode = False,
) -> None:
    """Run a recipe over a grid of values; writes a report.

    Each point of the grid is a job in a folder of its own, on this machine or on a Ray cluster.
    """
    from dllmkit.cli.problems import Problems
    from dllmkit.cli.sweep import sweep as command

    command(recipe, grid, Problems(task, limit, seed, matcher, execute_code), out, launcher, workers, json)


@app.command(epilog="Example: dllmkit plugins --json")
def plugins(
    combinations: Annotated[
        bool, typer.Option("--combinations", help="Show instead which components go together, and why some do not.")
    ] = False,
    json: Json = False,
) -> None:
    """List what recipes can name, and its parameters."""
    from dllmkit.cli.plugins import plugins as command

    command(json, combinations)


@app.command(epilog="Example: dllmkit show baseline/tiny decode.seed=1")
def show(recipe: Recipe, overrides: Overrides = None, json: Json = False) -> None:
    """Print a recipe in full, and where each value comes from."""
    from dllmkit.cli.show import show as command

    command(recipe, overrides or (), json)


@app.command(epilog="Example: dllmkit validate recipes/*.yaml")
def validate(recipes: Recipes) -> None:
    """Check recipes without loading a model; status 2 if any is wrong."""
    from dllmkit.cli.validate import validate as command

    command(recipes)


@app.command(epilog="Example: dllmkit doctor")
def doctor(json: Json = False) -> None:
    """Say what is installed, on which devices, and what works here."""
    from dllmkit.cli.doctor import doctor as command

    command(json)


@app.command(epilog="Example: dllmkit run dawn+dsb --explain --out out && dllmkit view out")
def view(
    runs: Annotated[list[str], typer.Argument(metavar="RUN [RUN]", help="Folders that `dllmkit run --out` wrote.")],
    row: Annotated[int | None, typer.Option("--row", metavar="N", min=0, help="Only this prompt, from 0.")] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="The page to write (default: RUN/view.html).")
    ] = None,
    png: Annotated[
        str | None, typer.Option("--png", metavar="DIR", help="Also write figures here; needs matplotlib.")
    ] = None,
    show: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the page in a browser (default: in a terminal).")
    ] = None,
) -> None:
    """Show how a run decoded, step by step, in one HTML file; two runs side by side."""
    from dllmkit.cli.view import view as command

    command(runs, row, out, png, show)


@app.command(epilog="Example: dllmkit bench baseline/tiny dawn/tiny decode.gen_length=64 --repeats 3")
def bench(
    arguments: Annotated[
        list[str], typer.Argument(metavar="RECIPE|KEY=VALUE", help="Recipes, and overrides for all of them.")
    ],
    model: Annotated[str | None, typer.Option(metavar="PATH", help="Weights for all recipes.")] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="SHAPE", help="Random weights instead: 8b, 1b, 135m, tiny, or the config.json of a model."
        ),
    ] = None,
    gen_length: Annotated[int | None, typer.Option(metavar="N", help="Positions to generate.")] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="Sequences decoded together.")] = None,
    prompts: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Prompts, the same for all (default: the first recipe's samples)."),
    ] = None,
    prompt_length: Annotated[
        str | None,
        typer.Option(metavar="N[,N...]", help="Random prompts of so many tokens (default with --shape: 64)."),
    ] = None,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds in which each recipe runs once.")] = 5,
    warmup: Annotated[int, typer.Option(metavar="N", min=1, help="Passes before, reported apart.")] = 1,
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="CPU threads (default: 1).")] = None,
    commit_schedule: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|RATE", help="Tokens per forward: a number, the trace.jsonl of a run, or a JSON list."
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="DIR", help="Also write a torch.profiler trace of each recipe there.")
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Also write the JSON document there.")] = None,
    json: Json = False,
) -> None:
    """Time recipes against each other on the same prompts, and beside the limit of this machine."""
    from dllmkit.cli.bench import BenchOptions
    from dllmkit.cli.bench import bench as command

    options = BenchOptions(
        model, shape, gen_length, batch, prompts, prompt_length, repeats, warmup, threads, commit_schedule
    )
    command(arguments, options, json, out, profile)


@app.command(epilog="Example: dllmkit profile baseline/tiny --out traces")
def profile(
    recipe: Recipe,
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Where the trace is written.")],
    overrides: Overrides = None,
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", metavar="TEXT", help="A prompt; may be repeated.")
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option("--prompts", metavar="FILE", help="A file of prompts: .jsonl, or text with one a line."),
    ] = None,
    steps: Annotated[int, typer.Option(metavar="N", min=0, help="Steps of the loop in the trace; 0: all.")] = 32,
) -> None:
    """Write a torch.profiler trace of a decode, for TensorBoard and Perfetto."""
    from dllmkit.cli.profile import profile as command

    command(recipe, overrides or (), out, prompt or (), prompts, steps)
