#include "block.h"

#include <algorithm>
#include <cstring>

namespace shim {

namespace {

thread_local Block* executed = nullptr;

}  // namespace

Block& Block::current() {
    return *executed;
}

std::string Block::run(unsigned blocks, unsigned threads, Schedule schedule, const std::function<void()>& kernel) {
    executed = this;
    kernel_ = &kernel;
    schedule_ = schedule;
    random_ = schedule * 0x9e3779b97f4a7c15ull + 1;
    grid_size = {blocks, 1, 1};
    block_size = {threads, 1, 1};
    stacks_.reserve(threads);
    threads_.resize(threads);
    warps_.resize((threads + WARP - 1) / WARP);
    order_.resize(threads);
    for (unsigned i = 0; i < threads; ++i) {
        order_[i] = schedule == 1 ? threads - 1 - i : i;
    }
    failure_.clear();
    for (unsigned b = 0; b < blocks && failure_.empty(); ++b) {
        // Blocks, too, may run in any order.
        block_index = {schedule % 2 == 0 ? b : blocks - 1 - b, 0, 0};
        run_block();
    }
    executed = nullptr;
    return failure_;
}

void Block::run_block() {
    variables_.clear();
    for (unsigned i = 0; i < threads_.size(); ++i) {
        threads_[i].status = Status::Ready;
        threads_[i].side = 0;
        threads_[i].fiber.prepare(stacks_.bottom(i), &Block::begin, this);
    }
    for (;;) {
        const bool ran = run_ready_threads();
        if (!failure_.empty()) {
            return;
        }
        const bool all_ended = std::all_of(threads_.begin(), threads_.end(),
                                           [](const Thread& t) { return t.status == Status::Ended; });
        if (all_ended) {
            return;
        }
        const bool warps = release_warps();
        const bool barrier = release_barrier();
        if (!failure_.empty()) {
            return;
        }
        if (!ran && !warps && !barrier && !held_back_) {
            fail("deadlock: some threads wait at a barrier, others in a warp-wide operation or not at all");
            return;
        }
    }
}

void Block::begin(void* self) {
    Block& block = *static_cast<Block*>(self);
    (*block.kernel_)();
    Thread& thread = block.threads_[block.running_];
    thread.status = Status::Ended;
    thread.fiber.leave();
}

// Lets every thread that can run go on to its next wait. True if one did.
bool Block::run_ready_threads() {
    const bool shuffled = schedule_ > 1;
    std::vector<bool> warp_held(warps_.size(), false);
    if (shuffled) {
        for (std::size_t i = order_.size(); i > 1; --i) {
            std::swap(order_[i - 1], order_[random() % i]);
        }
        for (std::size_t w = 0; w < warp_held.size(); ++w) {
            warp_held[w] = random() % 4 == 0;
        }
    }
    bool ran = false;
    held_back_ = false;
    for (const unsigned i : order_) {
        if (threads_[i].status != Status::Ready) {
            continue;
        }
        if (shuffled && (warp_held[i / WARP] || random() % 16 == 0)) {
            held_back_ = true;
            continue;
        }
        running_ = i;
        threads_[i].fiber.resume();
        ran = true;
        if (!failure_.empty()) {
            return true;
        }
    }
    return ran;
}

// Lets warps go on whose lanes have all arrived at the same operation.
bool Block::release_warps() {
    bool released = false;
    for (std::size_t w = 0; w < warps_.size(); ++w) {
        const std::size_t first = w * WARP;
        const std::size_t end = std::min(first + WARP, threads_.size());
        std::size_t arrived = 0;
        std::size_t ended = 0;
        int line = 0;
        for (std::size_t i = first; i < end; ++i) {
            const Thread& thread = threads_[i];
            ended += thread.status == Status::Ended ? 1 : 0;
            if (thread.status == Status::InWarp) {
                if (arrived > 0 && thread.line != line) {
                    fail("lanes of a warp take part in different operations, lines " + std::to_string(line) + " and " +
                         std::to_string(thread.line));
                    return false;
                }
                line = thread.line;
                ++arrived;
            }
        }
        if (arrived > 0 && ended > 0) {
            fail("a warp-wide operation at line " + std::to_string(line) + " waits for lanes that have ended");
            return false;
        }
        if (arrived == end - first) {
            for (std::size_t i = first; i < end; ++i) {
                threads_[i].status = Status::Ready;
            }
            released = true;
        }
    }
    return released;
}

// Lets the block go on if all of it has arrived at the same barrier.
bool Block::release_barrier() {
    std::size_t arrived = 0;
    std::size_t ended = 0;
    int line = 0;
    for (const Thread& thread : threads_) {
        ended += thread.status == Status::Ended ? 1 : 0;
        if (thread.status == Status::AtBarrier) {
            if (arrived > 0 && thread.line != line) {
                fail("threads of a block wait at different barriers, lines " + std::to_string(line) + " and " +
                     std::to_string(thread.line));
                return false;
            }
            line = thread.line;
            ++arrived;
        }
    }
    if (arrived > 0 && ended > 0) {
        fail("the barrier at line " + std::to_string(line) + " waits for threads that have ended");
        return false;
    }
    if (arrived != threads_.size()) {
        return false;
    }
    for (Thread& thread : threads_) {
        thread.status = Status::Ready;
    }
    return true;
}

Dim3 Block::thread_index() const {
    return {running_, 0, 0};
}

int Block::lane() const {
    return static_cast<int>(running_ % WARP);
}

void* Block::shared(std::size_t size, std::size_t alignment, int line) {
    std::size_t total = size;
    for (const Variable& variable : variables_) {
        if (variable.line == line && variable.size == size) {
            return variable.aligned;
        }
        total += variable.size;
    }
    if (total > SHARED_LIMIT) {
        fail("shared variables of " + std::to_string(total) + " bytes");
        give_up();
    }
    // An allocation of its own, so that the address sanitizer sees accesses beyond it; the end must be exact.
    Variable variable{line, size, std::unique_ptr<unsigned char[]>(new unsigned char[size + alignment]), nullptr};
    const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(variable.memory.get()) + size + alignment;
    variable.aligned = reinterpret_cast<void*>((end - size) / alignment * alignment);
    std::memset(variable.aligned, 0xcd, size);
    variables_.push_back(std::move(variable));
    return variables_.back().aligned;
}

void Block::barrier(int line) {
    wait(Status::AtBarrier, line);
}

void Block::warp_wait(unsigned mask, int line) {
    if (mask != 0xffffffffu) {
        fail("a warp-wide operation at line " + std::to_string(line) + " leaves lanes out");
        give_up();
    }
    threads_[running_].side ^= 1;
    wait(Status::InWarp, line);
}

const std::uint64_t* Block::post(std::uint64_t value, unsigned mask, int line) {
    Warp& warp = warps_[running_ / WARP];
    const int side = threads_[running_].side;
    warp.posted[side][running_ % WARP] = value;
    warp_wait(mask, line);
    return warp.posted[side];
}

void Block::wait(Status status, int line) {
    Thread& thread = threads_[running_];
    thread.status = status;
    thread.line = line;
    thread.fiber.pause();
}

void Block::fail(const std::string& what) {
    failure_ = what + " (block " + std::to_string(block_index.x) + ", thread " + std::to_string(running_) + ")";
}

// Ends the running thread; its block is not continued.
void Block::give_up() {
    threads_[running_].status = Status::Ended;
    threads_[running_].fiber.leave();
}

std::uint64_t Block::random() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_;
}

}  // namespace shim
