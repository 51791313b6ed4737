#!/usr/bin/env python3
"""The tables of docs/results.md: trains each recipe with each seed, measures it, prints the table.

usage: tables.py TABLE --data DIR [--jem build/examples/cli/jem] [--folder runs/tables]
                 [--seeds N | --seeds FROM-TO] [--only RECIPE,...] [--threads N] [--print]

TABLE is a name of TABLES below. DIR holds mnist/ and notmnist/ (idx), cifar10/ (the binary
version) and tinyimagenet32/ (likewise), whatever the table needs.
A measured run is a line in FOLDER/TABLE.jsonl and is not made again; a run that was stopped
goes on at its checkpoint. Several may work on one folder, each at seeds of its own.
--print: no runs, only the table of what is there: the mean over seeds and, from two on, the
largest distance from it.
"""
import argparse
import collections
import fcntl
import json
import pathlib
import subprocess
import sys
import time

SCORES = "log_px,max_softmax,max_logit,neg_entropy,mass"
CHAIN_SCORES = "refine_log_px,refine_distance,refine_mass"  # a chain for each image: of 1000

# The network of the preset mnist, and it with batch norm for the presets that sample with it.
PLAIN = ("convolution 0 stem 32 5 2 2; silu 1; convolution 2 block1.conv1 32 3 1 1; silu 3;"
         " convolution 4 block1.conv2 32 3 1 1; add 1 5; silu 6; convolution 7 down 64 3 2 1;"
         " silu 8; convolution 9 block2.conv1 64 3 1 1; silu 10;"
         " convolution 11 block2.conv2 64 3 1 1; add 8 12; silu 13; linear 14 hidden 128; silu 15")
NORMED = ("convolution 0 stem 32 5 2 2; norm 1 block1.bn1 batch; leaky_relu 2;"
          " convolution 3 block1.conv1 32 3 1 1; norm 4 block1.bn2 batch; leaky_relu 5;"
          " convolution 6 block1.conv2 32 3 1 1; add 1 7; norm 8 down.bn batch; leaky_relu 9;"
          " convolution 10 down 64 3 2 1; norm 11 block2.bn1 batch; leaky_relu 12;"
          " convolution 13 block2.conv1 64 3 1 1; norm 14 block2.bn2 batch; leaky_relu 15;"
          " convolution 16 block2.conv2 64 3 1 1; add 11 17; norm 18 hidden.bn batch;"
          " leaky_relu 19; linear 20 hidden 128; leaky_relu 21")
LEAKY = PLAIN.replace("silu", "leaky_relu")


def small(preset, network, iterations, *more):
    """A paper's preset at the size of MNIST: its network, iterations, warm-up and decays."""
    share = {"jem": (0.8, 0.9), "jempp": (1 / 3, 2 / 3, 5 / 6), "sadajem": (0.3, 0.6, 0.9)}[preset]
    decays = ",".join(str(round(iterations * s)) for s in share)
    return [f"preset={preset}", "model.architecture=network", f"model.network={network}",
            "model.convolution=fast", "loader.crop=2", "loader.flip=0", f"trainer.iterations={iterations}",
            "trainer.warmup=100", f"trainer.decay_at={decays}", "sampler.buffer=1000", *more]


CLASSIFIER = ["preset=mnist", "trainer.px=0", "trainer.pyx=1", "trainer.energy_penalty=0",
              "optimizer.beta1=0.9", "trainer.iterations=6000"]
CIFAR_CLASSIFIER = ["preset=cifar-small", "trainer.px=0", "trainer.pyx=1",
                    "trainer.energy_penalty=0", "optimizer.beta1=0.9"]
POLICY = ["trainer.retries=10", "trainer.snapshot_every=20", "trainer.guard_energy=20",
          "trainer.response_rate=1", "trainer.response_penalty=0.05", "trainer.response_steps=5"]
MNIST = ("idx:{0}/mnist", "idx:{0}/notmnist", "0.1,0.2,0.3")
ACCURACY = ("idx:{0}/mnist", None, None)
PRECISIONS = ("f32", "bf16")
CIFAR = ("cifar:{0}/cifar10", "cifar:{0}/tinyimagenet32", "1/255,4/255,8/255")

# Per table: data, other data and eps in pixels of [0,1] (None: calibration is all), and recipes.
# Iterations are such that all runs of a table take about the same time.
TABLES = {
    "mnist": (MNIST, {
        "classifier": CLASSIFIER,
        "mnist": ["preset=mnist"],
        "jem": small("jem", LEAKY, 770, "trainer.retries=10"),
        "jempp": small("jempp", NORMED, 930, "trainer.retries=10"),
        "sadajem": small("sadajem", NORMED, 800, "trainer.retries=10"),
    }),
    # JEM's recipe at three times its rate: as published with 20 Langevin steps, then with 5.
    "divergence": (ACCURACY, {
        "20 steps": small("jem", LEAKY, 600, "optimizer.rate=3e-4"),
        "5 steps": small("jem", LEAKY, 600, "optimizer.rate=3e-4", "sampler.steps=5",
                         "trainer.retries=0"),
        "5 steps, policy": small("jem", LEAKY, 600, "optimizer.rate=3e-4", "sampler.steps=5",
                                 *POLICY),
    }),
    "few-labels": (MNIST, {
        "classifier": CLASSIFIER + ["trainer.labels_per_class=10"],
        "mnist": ["preset=mnist", "trainer.labels_per_class=10"],
    }),
    # What bf16 changes: the same recipe and seeds.
    "precision-mnist": (MNIST, {p: ["preset=mnist", f"model.precision={p}"] for p in PRECISIONS}),
    "precision-cifar": (CIFAR, {p: ["preset=cifar-small", "trainer.iterations=250",
                                    "optimizer.rate=2e-3", "sampler.gradient_clamp=0.01",
                                    f"model.precision={p}"]
                                for p in PRECISIONS}),
    "cifar": (CIFAR, {
        "classifier": CIFAR_CLASSIFIER + ["trainer.iterations=24750"],  # 5.5 steps: one of JEM's
        "cifar-small": ["preset=cifar-small", "trainer.iterations=4500"],
    }),
}

# The run that reads samples, and of how many chains a class: a classifier that is in no table,
# with a seed of its own; for CIFAR-10, where a run takes hours, the table's own.
JUDGES = {"cifar": ("classifier", 1, 100)}

arg = argparse.ArgumentParser(usage=__doc__)
arg.add_argument("table", choices=TABLES)
arg.add_argument("--data")
arg.add_argument("--jem", default="build/examples/cli/jem")
arg.add_argument("--folder", default="runs/tables")
arg.add_argument("--seeds", default="3")
arg.add_argument("--only", default="")
arg.add_argument("--threads", default="0")
arg.add_argument("--print", action="store_true")
a = arg.parse_args()
(DATA, OTHER, EPS), RECIPES = TABLES[a.table]
JUDGE, JUDGE_SEED, CHAINS = JUDGES.get(a.table, ("judge", 1000, 20))
SETTINGS = {**RECIPES, "judge": RECIPES.get("classifier")}
folder = pathlib.Path(a.folder)
lines_path = folder / f"{a.table}.jsonl"


def flags(settings):
    return [f"--{s.replace('=', ' ', 1)}" if s.startswith("preset=") else f"--{s}" for s in settings]


def words(settings):
    """As the command takes them: --preset NAME --key=value ..."""
    return [w for f in flags(settings) for w in (f.split(" ") if f.startswith("--preset ") else [f])]


def train(recipe, seed):
    """Runs to the end from where an earlier try stopped. Its folder, seconds of all tries, and
    0, or another number if it diverged."""
    run = folder / a.table / f"{recipe}-{seed}"
    clock = run.with_suffix(".seconds")
    run.parent.mkdir(parents=True, exist_ok=True)
    with open(run.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be at this run
        return train_alone(recipe, seed, run, clock)


def train_alone(recipe, seed, run, clock):
    if (run / "summary.json").exists():
        return run, float(clock.read_text()), 0
    resume = (run / "checkpoint.safetensors").exists()
    begin = ["--resume"] if resume else words(SETTINGS[recipe]) + [f"--trainer.seed={seed}"]
    began = time.monotonic()
    try:
        done = subprocess.run([a.jem, "train", "--data", DATA.format(a.data), "--output", str(run),
                               "--threads", a.threads, "--sample-every", "0", *begin],
                              stderr=subprocess.PIPE, text=True)
    finally:
        spent = float(clock.read_text()) if clock.exists() else 0
        clock.write_text(str(spent + time.monotonic() - began))
    if done.returncode and "state after step" not in done.stderr:
        sys.exit(done.stderr)
    return run, float(clock.read_text()), done.returncode


def told(*command):
    """What a subcommand of jem prints as JSON."""
    done = subprocess.run([a.jem, *command, "--json", "--threads", a.threads], check=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def measure(what, run, *more):
    return told("eval", what, "--model", str(run / "model.safetensors"),
                "--data", DATA.format(a.data), *more)


def judged(run, judge):
    """Chains from uniform noise: the share that the judge reads as their class, and, where they
    are more than its features, their Frechet distance from the data's test images."""
    images, model = str(run / "judged.npy"), str(judge / "model.safetensors")
    told("sample", "--model", str(run / "model.safetensors"), "--per-class", str(CHAINS),
         "--as-trained", "--start-from", "uniform", "--steps", "300", "--output", images)
    read = told("score", "--model", model, "--input", images)
    right = sum(image["class"] == i // CHAINS for i, image in enumerate(read))
    row = {"samples read as their class": right / len(read)}
    if CHAINS >= 100:
        row["Fréchet distance of samples"] = told(
            "eval", "frechet", "--model", model, "--data", DATA.format(a.data),
            "--samples", images)["frechet"]
    return row


def evaluate(run):
    calibration = measure("calibration", run)
    row = {key: calibration[key] for key in ("accuracy", "nll", "brier", "ece")}
    if not OTHER:
        return row
    for other in (OTHER.format(a.data), "interpolations"):
        name = other.split("/")[-1]
        parts = measure("ood", run, "--ood", other, "--score", SCORES)
        for part in parts + measure("ood", run, "--ood", other, "--score", CHAIN_SCORES,
                                    "--as-trained", "--limit", "1000"):
            row[f"AUROC {part['score']}, {name}"] = part["auroc"]
    doubled = ",".join(f"{2 * int(e.split('/')[0])}/255" if "/" in e else str(2 * float(e))
                       for e in EPS.split(","))
    robust = measure("attack", run, "--eps", doubled, "--limit", "1000")["robust"]
    for e, r in zip(EPS.split(","), robust):
        row[f"accuracy under PGD, eps {e}"] = r["accuracy"]
    if "classifier" in RECIPES and run.name != f"{JUDGE}-{JUDGE_SEED}":
        row |= judged(run, train(JUDGE, JUDGE_SEED)[0])
    return row


def last_metrics(run):
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


def print_table(rows):
    by_recipe = collections.defaultdict(list)
    for row in rows:
        by_recipe[row["recipe"]].append(row)
    print("| | " + " | ".join(by_recipe) + " |\n| --- |" + " --- |" * len(by_recipe))
    print("| runs | " + " | ".join(str(len(of)) for of in by_recipe.values()) + " |")
    print("| of them diverged | " + " | ".join(str(sum(row["diverged"] for row in of))
                                               for of in by_recipe.values()) + " |")
    columns = max(rows, key=len)
    for column in [k for k in columns if k not in ("recipe", "seed", "diverged")]:
        cells = []
        for of in by_recipe.values():
            values = [row[column] for row in of if column in row]
            if not values:
                cells.append("")
                continue
            mean = sum(values) / len(values)
            spread = max(abs(v - mean) for v in values)
            cells.append(f"{mean:.4g}" + (f" ± {spread:.2g}" if len(values) > 1 else ""))
        print(f"| {column} | " + " | ".join(cells) + " |")


def measured():
    return [json.loads(s) for s in lines_path.read_text().splitlines()] if lines_path.exists() else []


if not a.print:
    if not a.data:
        sys.exit("tables.py: --data DIR is missing (or --print)")
    first, last = ("1-" + a.seeds if "-" not in a.seeds else a.seeds).split("-")
    done = {(row["recipe"], row["seed"]) for row in measured()}
    for seed in range(int(first), int(last) + 1):
        for recipe in a.only.split(",") if a.only else RECIPES:
            if (recipe, seed) in done:
                continue
            run, seconds, diverged = train(recipe, seed)
            row = {"recipe": recipe, "seed": seed, "diverged": bool(diverged),
                   "steps": last_metrics(run)["step"], "roll-backs": last_metrics(run)["rollbacks"],
                   "seconds": round(seconds)}
            if not diverged:
                row |= evaluate(run)
            with open(lines_path, "a") as out:
                out.write(json.dumps(row) + "\n")
if not measured():
    sys.exit(f"tables.py: {lines_path} has no line yet")
print_table(measured())
