"""What the programs of this folder have in common on their command lines."""

import argparse
import json

SIZES = ("small", "usual", "large")


def parser(about):
    options = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--launcher", required=True, help="the launcher, as a library")
    options.add_argument("--driver", help="the CUDA driver to use [default: the system's]")
    options.add_argument("--size", choices=SIZES, default="usual")
    options.add_argument("--json", help="file for the results")
    return options


def parse(about):
    return parser(about).parse_args()


def write(args, results):
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
