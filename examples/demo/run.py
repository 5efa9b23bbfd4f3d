"""`make demo`: the whole way on real data, by the commands a user would type, each printed before it runs."""

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from layout import lay_out_digits, lay_out_flights
from measured import Step, run_step

from bigdata_ml.dataset import Dataset
from bigdata_ml.report import peak_rss_mb

ROOT = Path(__file__).parents[2]
DATA, RUNS = Path("data/demo"), Path("runs/demo")
DIGITS, FLIGHTS = DATA / "datasets/digits", DATA / "datasets/flights"
SEEDS = 5
# What is only known after departure would tell the answer; the rest identifies a flight or its day, or stands there twice.
DROPPED = {
    "known_only_later": "dep_time,dep_delay,arr_time,arr_delay,air_time",
    "identifier": "year,day,flight,tailnum,time_hour",
    "repeated": "airports_name,airports_tzone,weather_year,weather_month,weather_day,weather_hour",
}
UNMATCHED = {"planes": 52_606, "airports": 7_602, "weather": 1_556}


def commands(seed: int) -> dict[str, str]:
    """Return the steps: name → command, as a user types it."""
    split = f"--split train=0.7,validation=0.1,test=0.2 --seed {seed}"
    drops = " ".join(f"--drop {rule}:{columns}" for rule, columns in DROPPED.items())
    flights = DATA / "flights"
    submit = "spark-submit --master 'local[2]'"
    return {
        "prepare images": f"{submit} jobs/prepare_images.py --source {DATA}/digits --dataset {DIGITS} {split}",
        "inspect images": f"bigdata-ml inspect {DIGITS}",
        "train images": f"python jobs/train.py --recipe first_network --dataset {DIGITS} --run-dir {RUNS}/images "
        f"--seed {seed} --repeat {SEEDS}",
        "prepare table": f"{submit} jobs/prepare_table.py --source {flights}/flights.csv --dataset {FLIGHTS} "
        f"--label 'late=arr_delay > 15' --null-value NA --join {flights}/planes.csv:tailnum=tailnum "
        f"--join {flights}/airports.csv:dest=faa --join {flights}/weather.csv:origin=origin,time_hour=time_hour "
        f"{drops} --split-key year,month,day {split}",
        "inspect table": f"bigdata-ml inspect {FLIGHTS}",
        "train table": f"python jobs/train.py --recipe table_network --dataset {FLIGHTS} "
        f"--run-dir {RUNS}/table/seed-{seed} --seed {seed}",
        "baseline table": f"python examples/demo/baseline.py --dataset {FLIGHTS} --group-dir {RUNS}/table --seed {seed}",
    }


def main() -> int:
    """Run the demo; returns 0 if all its checks hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the dirt, the splits and the training")
    seed = parser.parse_args().seed
    os.chdir(ROOT)
    for place in (DATA, RUNS):
        if place.exists():
            print(f"deleting what an earlier demo left in {place}")
            shutil.rmtree(place)
    RUNS.mkdir(parents=True)
    begin = time.perf_counter()
    dirt = lay_out_digits(DATA / "digits", seed=seed)
    lay_out_flights(DATA / "flights")
    steps = [Step("lay out raw data", time.perf_counter() - begin, peak_rss_mb())]
    print(f"raw data in {DATA}: {dirt['digits']} digits as PNG files with dirt ({dirt}), flights and three more tables as CSV")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "PYSPARK_PYTHON": sys.executable, "SPARK_CONF_DIR": str(ROOT / "conf")}
    for name, command in commands(seed).items():
        steps.append(run_step(name, command, environment))
        _write_steps(steps)
    run_step("report", f"bigdata-ml report {RUNS}", environment)
    summary = json.loads((RUNS / "summary.json").read_text())
    _tell(summary)
    return _check(summary, dirt)


def _write_steps(steps: list[Step]) -> None:
    (RUNS / "steps.jsonl").write_text("".join(f"{json.dumps(asdict(step))}\n" for step in steps))


def _tell(summary: dict) -> None:
    images, table = summary["images"], summary["table"]
    refused = ", ".join(f"{count} {reason}" for reason, count in images["refused"].items() if count)
    winner = "the network" if table["roc_auc"] >= table["hgb_roc_auc"] else "HistGradientBoosting"
    print(
        f"""
Digits   {images["kept"]} images kept, refused: {refused}; {images["warned"]["empty_class"]} class folder was empty.
         The network tells {images["top1_mean"]:.1%} ± {images["top1_std"]:.1%} of unseen digits right ({images["runs"]} runs),
         always guessing the commonest digit {images["majority_accuracy"]:.1%}.
Flights  {table["kept"]} flights kept, {table["refused"]["label_missing"]} refused because their arrival is not known.
         Late or not, ROC-AUC: network {table["roc_auc"]:.3f}, HistGradientBoosting {table["hgb_roc_auc"]:.3f}: {winner} wins.
         Accuracy: network {table["accuracy"]:.1%}, HistGradientBoosting {table["hgb_accuracy"]:.1%},
         always saying "on time" {table["majority_accuracy"]:.1%}.
Cost     {summary["seconds"]:.0f} s in all, at most {summary["peak_rss_mb"]:.0f} MiB of memory; training
         {images["train_seconds"] + table["train_seconds"]:.0f} s, {images["cost"] + table["cost"]:.4f} {images["currency"]}.

Report   {RUNS / "report.html"}
Figures  {RUNS / "summary.json"}"""
    )


def _check(summary: dict, dirt: dict[str, int]) -> int:
    """Return 0 if the figures are those that the data and honest work must give, else 1 and say which are not."""
    images, table = summary["images"], summary["table"]
    found = sum(1 for path in (DATA / "digits").rglob("*") if path.is_file())
    manifest = Dataset.open(FLIGHTS).manifest
    unmatched = {join["name"]: join["unmatched"] for join in manifest.provenance["joins"]} if manifest else {}
    checks = {
        "kept + refused = files found": images["kept"] + sum(images["refused"].values()) == found,
        "every truncated file is found": images["refused"]["truncated"] == dirt["truncated"],
        "every text file named .png is found": images["refused"]["wrong_type"] == dirt["mistyped"],
        "every duplicate is found": images["refused"]["duplicate"] == dirt["duplicates"],
        "the empty class is seen": images["warned"]["empty_class"] == 1,
        "digits: top-1 is at least 0.97": images["top1_mean"] >= 0.97,
        "no flight is lost": table["kept"] + table["refused"]["label_missing"] == 336_776,
        "flights without arrival are refused": table["refused"]["label_missing"] == 9_430,
        "the joins match what they should": unmatched == UNMATCHED,
        "flights: ROC-AUC is above chance and no leak (0.6 to 0.85)": all(
            0.6 < area < 0.85 for area in (table["roc_auc"], table["hgb_roc_auc"])
        ),
    }
    failed = [name for name, holds in checks.items() if not holds]
    for name in failed:
        print(f"FAILED: {name}", file=sys.stderr)
    if not failed:
        print(f"All {len(checks)} checks hold.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
