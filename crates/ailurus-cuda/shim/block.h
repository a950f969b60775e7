// A block of threads, executed by fibers under a schedule that a seed decides.
#ifndef AILURUS_SHIM_BLOCK_H
#define AILURUS_SHIM_BLOCK_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fiber.h"

namespace shim {

struct Dim3 {
    unsigned x, y, z;
};

// The order in which threads run between two waits. Results must not depend on it.
//  0: ascending; 1: descending; others: shuffled, with random threads and warps held back.
using Schedule = std::uint64_t;

class Block {
public:
    static constexpr int WARP = 32;
    // What a block may declare statically on every device.
    static constexpr std::size_t SHARED_LIMIT = 48 << 10;

    // The block that this thread executes.
    static Block& current();

    Dim3 block_index{0, 0, 0};
    Dim3 block_size{1, 1, 1};
    Dim3 grid_size{1, 1, 1};

    // Executes all blocks of a grid (one dimension). Returns what went wrong, or nothing.
    std::string run(unsigned blocks, unsigned threads, Schedule schedule, const std::function<void()>& kernel);

    // What threads call.
    Dim3 thread_index() const;
    int lane() const;
    void* shared(std::size_t size, std::size_t alignment, int line);
    void barrier(int line);
    void warp_wait(unsigned mask, int line);
    // Posts a value, waits for the warp, and returns what its lanes posted, valid until the next wait of the warp.
    const std::uint64_t* post(std::uint64_t value, unsigned mask, int line);

private:
    enum class Status { Ready, AtBarrier, InWarp, Ended };

    struct Thread {
        Fiber fiber;
        Status status = Status::Ready;
        int line = 0;
        // Alternates with every warp-wide operation: a lane that goes ahead must not write where others still read.
        int side = 0;
    };

    struct Warp {
        std::uint64_t posted[2][WARP];
    };

    struct Variable {
        int line;
        std::size_t size;
        std::unique_ptr<unsigned char[]> memory;
        void* aligned;
    };

    static void begin(void* block);
    void run_block();
    bool run_ready_threads();
    bool release_warps();
    bool release_barrier();
    void wait(Status status, int line);
    void fail(const std::string& what);
    [[noreturn]] void give_up();
    std::uint64_t random();

    const std::function<void()>* kernel_ = nullptr;
    Stacks stacks_;
    std::vector<Thread> threads_;
    std::vector<Warp> warps_;
    std::vector<Variable> variables_;
    std::vector<unsigned> order_;
    unsigned running_ = 0;
    bool held_back_ = false;
    Schedule schedule_ = 0;
    std::uint64_t random_ = 0;
    std::string failure_;
};

}  // namespace shim

#endif
