"""The results as a section of Markdown, and where it goes in docs/benchmarks.md."""

MARKS = ("<!-- made by bench/gpu.sh -->\n", "<!-- until here -->\n")
LABELS = {
    "density_peaks": "DensityPeaks",
    "merge": "Merge",
    "unfold": "Unfold",
    "unfold_residual": "UnfoldResidual",
    "grid_kmeans": "GridKMeans",
}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def machine(m):
    text = f"{m['date']}: {m['device']}"
    if "memory_gib" in m:
        text += f" ({m['memory_gib']} GiB, {m['multiprocessors']} multiprocessors, {m['cache_mib']} MiB of cache"
        text += f", compute capability {m['compute_capability']})"
    return text + f", driver {m['driver']}, PyTorch {m['pytorch']} for CUDA {m['cuda']}, {m['system']}."


def checks(results):
    lines = []
    if "check" in results:
        r = results["check"]
        lines.append(f"{r['cases']} cases compared with the reference bit for bit: {outcome(r['faults'])}.")
    if "cross" in results:
        r = results["cross"]
        graphs = ", also replayed from CUDA graphs" if r["graphs"] else ""
        lines.append(f"Random inputs compared with PyTorch{graphs}: {outcome(r['faults'])}.")
    if "sanitize" in results:
        r = results["sanitize"]
        if r["sanitizer"] is None:
            lines.append("compute-sanitizer was not installed.")
        else:
            said = (
                f"{t['tool']} {'found nothing' if t['status'] == 0 else 'FOUND SOMETHING: ' + t['summary']}"
                for t in r["tools"]
            )
            lines.append(f"compute-sanitizer: {', '.join(said)}.")
    return "\n".join(f"- {line}" for line in lines)


def outcome(faults):
    return "no difference" if not faults else f"**{len(faults)} differences**: {'; '.join(faults[:3])}"


def microseconds(seconds):
    return f"{seconds * 1e6:.1f}" if seconds < 1e-3 else f"{seconds * 1e6:.0f}"


def where(row):
    operator = LABELS.get(row["operator"], row["operator"])
    return f"{row['workload']}, {row['batch']} images, {row['element']}, {operator}"


def kernels(r):
    rows = []
    for row in r["rows"]:
        fastest = min(row["pytorch"], key=row["pytorch"].get)
        note = " (not in a graph)" if fastest in row["not_captured"] else ""
        rows.append([
            f"{row['workload']}, {row['batch']} images", row["element"], LABELS.get(row["operator"], row["operator"]),
            microseconds(row["bytes"] / r["copy_bytes_per_second"]), microseconds(row["seconds"]),
            f"{row['copy_share']:.0%}",
            f"{row['same_copy_share']:.0%}", f"{row['seconds'] / row['block_seconds']:.1%}",
            f"{microseconds(row['pytorch'][fastest])} ({fastest}){note}", f"{row['times_pytorch']:.1f}",
        ])  # fmt: skip
    head = ["sizes", "type", "operator", "floor, µs", "measured, µs", "of copy bandwidth", "of a copy as large",
            "of a block", "PyTorch, µs", "times as fast"]  # fmt: skip
    copied = f"A large copy moves {r['copy_bytes_per_second'] / 1e12:.2f} TB/s, reading and writing counted."
    text = f"{copied}\n\n{table(head, rows)}"
    parts = [[where(row), part, microseconds(t)] for row in r["rows"] for part, t in row["kernels"].items()]
    if parts:
        text += "\n\n" + table(["sizes, type, operator", "kernel", "µs"], parts)
    if r["bars"]:
        said = [
            [b["bar"], f"{b['wanted']:g}", f"{b['got']:.3g}", "met" if b["met"] else "**missed**"] for b in r["bars"]
        ]
        text += "\n\n" + table(["bar (ViT-L, 640 px, 8 images, f16)", "wanted", "measured", ""], said)
    return text


def end_to_end(r):
    rows = []
    for row in r["rows"]:
        seconds = row["seconds"]
        rows.append([
            row["method"], str(row["batch"]), str(row["cut"]), f"{row['keep']:.0%}",
            f"{row['tokens'][0]} → {row['tokens'][1]}",
            f"{seconds['plain'] * 1e3:.2f} → {seconds['ours'] * 1e3:.2f}", f"**{row['speedup']:.2f}x**",
            f"{seconds['plain'] / seconds['pytorch']:.2f}x", f"{row['batch'] / seconds['ours']:.0f}",
        ])  # fmt: skip
    head = [
        "images",
        "cut after block",
        "kept",
        "tokens",
        "ms",
        "speed-up",
        "with operators in PyTorch",
        "images a second",
    ]
    text = f"{r['model']}, f16, random weights.\n\n{table(head, rows)}"
    if r["faults"]:
        text += f"\n\n**{'; '.join(r['faults'])}**"
    return text


def markdown(results):
    parts = [f"Measured on {machine(results['machine'])}", checks(results)]
    if "kernels" in results:
        parts += ["#### Operators", kernels(results["kernels"])]
    if "endtoend" in results:
        parts += ["#### A whole model", end_to_end(results["endtoend"])]
    if results["failed"]:
        parts.insert(1, f"**Did not finish: {', '.join(results['failed'])}.**")
    return "\n\n".join(parts) + "\n"


def put(text, path):
    """Replaces what stands between the marks."""
    with open(path, encoding="utf-8") as file:
        head, rest = file.read().split(MARKS[0])
    _, tail = rest.split(MARKS[1])
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{head}{MARKS[0]}\n{text}\n{MARKS[1]}{tail}")
