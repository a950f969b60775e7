// Fibers: functions on stacks of their own that hand control back and forth.
#ifndef AILURUS_SHIM_FIBER_H
#define AILURUS_SHIM_FIBER_H

#include <cstddef>
#include <memory>

namespace shim {

// Stacks, each with an inaccessible page below it: a fiber that needs more than its stack crashes where it does so.
class Stacks {
public:
    Stacks() = default;
    ~Stacks();
    Stacks(const Stacks&) = delete;
    Stacks& operator=(const Stacks&) = delete;

    // Makes sure that there are at least `count`.
    void reserve(std::size_t count);
    char* bottom(std::size_t i) const;
    static std::size_t size();

private:
    char* memory_ = nullptr;
    std::size_t count_ = 0;
};

// One fiber. It is resumed by the thread that made it, and gives control back from inside `entry`.
class Fiber {
public:
    Fiber();
    ~Fiber();
    Fiber(Fiber&&) noexcept;
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // Prepares a call of `entry(argument)`, which must not return but end with `leave`.
    void prepare(char* stack, void (*entry)(void*), void* argument);
    // Runs the fiber until it gives control back.
    void resume();
    // Gives control back, from inside the fiber.
    void pause();
    // Gives control back for good.
    [[noreturn]] void leave();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace shim

#endif
