#!/usr/bin/env python3
"""Measures products and attention of one GPU with PyTorch, as rows for `deepflow calibrate`.

    python3 measure_kernels.py --device NAME [--out FOLDER]
    deepflow calibrate --hardware_config mine.yaml FOLDER/gemm.csv FOLDER/prefill.csv

Each case is captured as a CUDA graph and replayed until 0.2 s have passed; the median of five such
rounds counts. Operands are cycled through buffers of four times the L2, so that none of them is in
it (ws_over_l2 4). Attention is PyTorch's scaled_dot_product_attention, causal, without the write of
a cache: for a serving engine's kernels, time these instead and keep the columns.

This script was written without a GPU at hand and has not been run on one.
"""
import argparse
import csv
import os
import statistics
import time

# spread evenly over the logarithm of time: thin and square, short and long
GEMMS = [(m, n, k) for m in (1, 16, 128, 1024, 8192) for n, k in (
    (1024, 1024), (4096, 4096), (6144, 4096), (28672, 8192), (8192, 28672), (4096, 65536))]
PROMPTS = [(b, s, h, kv, d) for b, s in ((1, 128), (1, 1024), (1, 8192), (8, 512), (4, 4096), (1, 32768))
           for h, kv, d in ((32, 32, 128), (32, 8, 128), (64, 8, 128), (16, 16, 64), (8, 8, 256))]
CYCLED = 4  # times the L2


def timed(torch, run):
    """Seconds of one run, from replays of a graph."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        calls = run()
    rounds = []
    for _ in range(5):
        replays, start = 0, time.perf_counter()
        while time.perf_counter() - start < 0.2:
            graph.replay()
            torch.cuda.synchronize()
            replays += 1
        rounds.append((time.perf_counter() - start) / replays / calls)
    return statistics.median(rounds)


def sets_of(torch, shapes, l2_bytes):
    """Buffers of these shapes, as many as it takes to cycle through CYCLED times the L2."""
    bytes_each = sum(2 * torch.Size(shape).numel() for shape in shapes)
    count = max(1, min(64, -(-CYCLED * l2_bytes // bytes_each)))
    return [[torch.randn(shape, dtype=torch.bfloat16, device="cuda") for shape in shapes] for _ in range(count)]


def gemm_s(torch, case, l2_bytes):
    m, n, k = case
    operands = sets_of(torch, [(m, k), (n, k)], l2_bytes)

    def run():
        for a, b in operands:
            torch.nn.functional.linear(a, b)
        return len(operands)
    return timed(torch, run)


def prompt_s(torch, case, l2_bytes):
    b, s, h, kv, d = case
    operands = sets_of(torch, [(b, h, s, d), (b, kv, s, d), (b, kv, s, d)], l2_bytes)

    def run():
        for q, key, value in operands:
            torch.nn.functional.scaled_dot_product_attention(q, key, value, is_causal=True, enable_gqa=h != kv)
        return len(operands)
    return timed(torch, run)


def write(path, columns, cases, measure, device):
    with open(path, "w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["device", "dtype", *columns, "ws_over_l2", "time_s", "quality"])
        for case in cases:
            rows.writerow([device, "bf16", *case, CYCLED, f"{measure(case):.6g}", "trusted"])
            out.flush()
            print(path, *case)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--device", required=True, help="what the rows call it")
    args.add_argument("--out", default=".", help="folder of the files")
    a = args.parse_args()
    import torch
    l2_bytes = torch.cuda.get_device_properties(0).L2_cache_size
    os.makedirs(a.out, exist_ok=True)
    write(os.path.join(a.out, "gemm.csv"), ["m", "n", "k"], GEMMS,
          lambda case: gemm_s(torch, case, l2_bytes), a.device)
    write(os.path.join(a.out, "prefill.csv"), ["batch", "seq_q", "heads", "kv_heads", "head_dim"], PROMPTS,
          lambda case: prompt_s(torch, case, l2_bytes), a.device)


if __name__ == "__main__":
    main()
