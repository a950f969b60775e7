"""Where tensors live: the first CUDA device, or for a rehearsal the processor, with a driver that works on host
memory."""

import contextlib
import statistics
import time

import torch

from launcher import Launcher
from operators import OPERATORS

TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i32": torch.int32}
# Cycles of a card's clock, about half a millisecond.
SLEEP = 1_000_000


class Device:
    def __init__(self, args):
        self.rehearsal = args.driver is not None
        self.name = "cpu" if self.rehearsal else "cuda"
        if not self.rehearsal:
            # Makes the device's context current on this thread, in which the launcher works.
            torch.empty(1, device=self.name)
        self.launcher = Launcher(args.launcher, args.driver)
        self.launcher.call("prepare")

    def stream(self):
        return None if self.rehearsal else torch.cuda.current_stream().cuda_stream

    def synchronize(self):
        if not self.rehearsal:
            torch.cuda.synchronize()

    def cache_bytes(self):
        """The last-level cache; inputs that fit in it are not what is to be measured."""
        if self.rehearsal:
            return 0
        # Older releases of PyTorch do not tell; this is more than most cards have.
        return getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 64 << 20)

    def outputs(self, operator, element, sizes):
        """Memory for what an operator gives, and for its work."""
        operator = OPERATORS[operator]
        tensors = {
            name: torch.empty(shape, dtype=TYPES[element if kind == "E" else kind], device=self.name)
            for name, (shape, kind) in operator.outputs(sizes).items()
        }
        workspace = operator.workspace(self.launcher, element, sizes)
        if workspace:
            tensors["workspace"] = torch.empty(workspace, dtype=torch.uint8, device=self.name)
        return tensors

    def enqueue(self, operator, element, sizes, tensors):
        """Starts an operator on PyTorch's current stream; tensors by the names that operators.py gives them."""
        addresses = {name: tensor.data_ptr() for name, tensor in tensors.items()}
        if "workspace" in tensors:
            addresses["workspace_bytes"] = tensors["workspace"].numel()
        OPERATORS[operator].enqueue(self.launcher, element, sizes, addresses, self.stream())

    def repeated(self, call, times):
        """A function that makes calls 0, 1, ... below `times`, as one CUDA graph if they can be captured: then the
        time that Python takes for a call does not count. Also whether they could; a rehearsal has no graphs and
        misses none."""

        def all_calls():
            for i in range(times):
                call(i)

        if self.rehearsal:
            return all_calls, True
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            call(0)
            call(times - 1)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                all_calls()
        except RuntimeError:
            torch.cuda.synchronize()
            return all_calls, False
        return graph.replay, True

    @contextlib.contextmanager
    def clock(self):
        """Gives a function that tells the seconds that the body took on the device."""
        if self.rehearsal:
            start = time.perf_counter()
            end = []
            yield lambda: end[0] - start
            end.append(time.perf_counter())
            return
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        # Keeps the device busy until all of the body is in its queue: launching it is not to count.
        torch.cuda._sleep(SLEEP)
        start.record()
        yield lambda: start.elapsed_time(end) / 1e3
        end.record()
        end.synchronize()

    def interleaved(self, ways, rounds, times=1):
        """Medians in seconds of the calls that each way makes `times` at once; every round times every way once, so
        that a card that grows warm slows all alike. Two rounds are not counted."""
        taken = {name: [] for name in ways}
        for turn in range(rounds + 2):
            for name, way in ways.items():
                with self.clock() as seconds:
                    way()
                if turn >= 2:
                    taken[name].append(seconds() / times)
        return {name: statistics.median(list_) for name, list_ in taken.items()}
