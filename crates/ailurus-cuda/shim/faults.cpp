// Kernels with faults, to see that the shim finds them: faults NAME SCHEDULE prints what the shim says, then what the
// kernel computed. Compiled and run by a test.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>

#include "cuda_on_host.h"

namespace {

constexpr unsigned THREADS = 96;
int out[THREADS];

struct Words {
    int word[THREADS];
};

int thread() {
    return static_cast<int>(threadIdx.x);
}

// What the others are measured against: every thread reads what its neighbour wrote.
void right() {
    AILURUS_SHARED(Words, shared);
    shared.word[thread()] = thread() * thread();
    __syncthreads();
    out[thread()] = shared.word[(thread() + 37) % static_cast<int>(THREADS)];
}

void missing_barrier() {
    AILURUS_SHARED(Words, shared);
    shared.word[thread()] = thread() * thread();
    out[thread()] = shared.word[(thread() + 37) % static_cast<int>(THREADS)];
}

void missing_warp_barrier() {
    AILURUS_SHARED(Words, shared);
    shared.word[thread()] = thread() * thread();
    out[thread()] = shared.word[thread() ^ 1];
}

void uninitialised() {
    AILURUS_SHARED(Words, shared);
    out[thread()] = shared.word[thread()];
}

void divergent_barrier() {
    if (thread() < 40) {
        __syncthreads();
    }
}

void different_barriers() {
    if (thread() < 64) {
        __syncthreads();
    } else {
        __syncthreads();
    }
}

void divergent_shuffle() {
    if (thread() % 2 == 0) {
        out[thread()] = __shfl_xor_sync(0xffffffffu, thread(), 2);
    }
}

void different_shuffles() {
    if (thread() % 2 == 0) {
        out[thread()] = __shfl_xor_sync(0xffffffffu, thread(), 2);
    } else {
        out[thread()] = __shfl_xor_sync(0xffffffffu, thread(), 2);
    }
}

void barrier_against_shuffle() {
    if (thread() % 32 < 16) {
        __syncthreads();
    } else {
        __syncwarp();
    }
}

void partial_mask() {
    out[thread()] = __shfl_xor_sync(0x0000ffffu, thread(), 1);
}

void too_much_shared_memory() {
    struct Large {
        char bytes[49 << 10];
    };
    AILURUS_SHARED(Large, large);
    large.bytes[thread()] = 1;
}

// The collectives themselves: votes, shuffles, and values of 8 bytes, many in a row.
void collectives() {
    unsigned long long sum = static_cast<unsigned long long>(thread()) << 33 | 1;
    for (int round = 0; round < 50; ++round) {
        for (int step = 16; step > 0; step /= 2) {
            sum += __shfl_xor_sync(0xffffffffu, sum, step);
        }
        const unsigned odd = __ballot_sync(0xffffffffu, thread() % 2 == 1);
        const int below = __shfl_up_sync(0xffffffffu, thread(), 3);
        sum = sum * 3 + odd + static_cast<unsigned>(below) + blockIdx.x;
    }
    if (blockIdx.x == 1) {
        out[thread()] = static_cast<int>(sum >> 20);
    }
}

}  // namespace

int main(int count, char** arguments) {
    const std::map<std::string, void (*)()> kernels = {
        {"right", right},
        {"missing_barrier", missing_barrier},
        {"missing_warp_barrier", missing_warp_barrier},
        {"uninitialised", uninitialised},
        {"divergent_barrier", divergent_barrier},
        {"different_barriers", different_barriers},
        {"divergent_shuffle", divergent_shuffle},
        {"different_shuffles", different_shuffles},
        {"barrier_against_shuffle", barrier_against_shuffle},
        {"partial_mask", partial_mask},
        {"too_much_shared_memory", too_much_shared_memory},
        {"collectives", collectives},
    };
    if (count != 3 || kernels.count(arguments[1]) == 0) {
        return 2;
    }
    std::memset(out, 0, sizeof out);
    shim::Block block;
    const std::function<void()> kernel = kernels.at(arguments[1]);
    std::printf("%s\n", block.run(2, THREADS, std::strtoull(arguments[2], nullptr, 10), kernel).c_str());
    for (const int value : out) {
        std::printf("%d ", value);
    }
    std::printf("\n");
    return 0;
}
