"""How long each of the kernels of an operator takes, by PyTorch's profiler."""

from torch.profiler import ProfilerActivity, profile

PREFIX = "ailurus_"


def seconds_of_kernels(device, call, times):
    """Seconds a call by the names of kernels; empty where the profiler may not look, or there is no device."""
    if device.rehearsal:
        return {}
    try:
        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            for i in range(times):
                call(i)
            device.synchronize()
        averages = profiler.key_averages()
    except (RuntimeError, AssertionError) as error:
        print(f"no profile: {error}", flush=True)
        return {}
    return {event.key[len(PREFIX) :]: microseconds(event) / 1e6 / times for event in averages if ours(event)}


def ours(event):
    return event.key.startswith(PREFIX)


def microseconds(event):
    """All of an event's time on the device, which older releases of PyTorch call by another name."""
    return event.device_time_total if hasattr(event, "device_time_total") else event.cuda_time_total
