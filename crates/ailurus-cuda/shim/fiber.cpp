#include "fiber.h"

#include <cstdint>
#include <cstdlib>
#include <new>

#include <sys/mman.h>
#include <unistd.h>

// A switch of our own where the assembler is known; AILURUS_SHIM_UCONTEXT asks for the system's, to test that.
#if defined(__x86_64__) && defined(__ELF__) && !defined(AILURUS_SHIM_UCONTEXT)
#define SHIM_SWITCH 1
#else
#define SHIM_SWITCH 0
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#if SHIM_SWITCH
// Saves what the calling convention preserves on the present stack and goes on with another. A dozen instructions:
// swapcontext makes two system calls, and a kernel test switches millions of times.
extern "C" void ailurus_shim_switch(void** save, void* load);
__asm__(R"(
.text
.type ailurus_shim_switch,@function
ailurus_shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size ailurus_shim_switch,.-ailurus_shim_switch
)");
#endif

namespace shim {

namespace {

std::size_t page() {
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t stride() {
    return Stacks::size() + page();
}

}  // namespace

std::size_t Stacks::size() {
    return 128 << 10;
}

Stacks::~Stacks() {
    if (memory_ != nullptr) {
        munmap(memory_, count_ * stride());
    }
}

void Stacks::reserve(std::size_t count) {
    if (count <= count_) {
        return;
    }
    if (memory_ != nullptr) {
        munmap(memory_, count_ * stride());
    }
    void* const memory =
        mmap(nullptr, count * stride(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::bad_alloc();
    }
    memory_ = static_cast<char*>(memory);
    count_ = count;
    for (std::size_t i = 0; i < count; ++i) {
        if (mprotect(memory_ + i * stride(), page(), PROT_NONE) != 0) {
            throw std::bad_alloc();
        }
    }
}

char* Stacks::bottom(std::size_t i) const {
    return memory_ + i * stride() + page();
}

struct Fiber::State {
    void (*entry)(void*) = nullptr;
    void* argument = nullptr;
    char* stack = nullptr;
#if SHIM_SWITCH
    void* own = nullptr;
    void* caller = nullptr;
#else
    ucontext_t own;
    ucontext_t caller;
#endif
#if defined(__SANITIZE_ADDRESS__)
    // What the address sanitizer keeps about the stacks that are switched between.
    void* own_fake = nullptr;
    void* caller_fake = nullptr;
    const void* caller_bottom = nullptr;
    std::size_t caller_size = 0;
#endif

    void to_fiber() {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(&caller_fake, stack, Stacks::size());
#endif
#if SHIM_SWITCH
        ailurus_shim_switch(&caller, own);
#else
        swapcontext(&caller, &own);
#endif
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(caller_fake, nullptr, nullptr);
#endif
    }

    void to_caller(bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(for_good ? nullptr : &own_fake, caller_bottom, caller_size);
#else
        (void)for_good;
#endif
#if SHIM_SWITCH
        ailurus_shim_switch(&own, caller);
#else
        swapcontext(&own, &caller);
#endif
        arrived();
    }

    // First thing on the fiber's stack after every switch to it.
    void arrived() {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(own_fake, &caller_bottom, &caller_size);
#endif
    }
};

namespace {

// The fiber that is being started; its first instructions have no other way to learn who they are.
thread_local void* starting = nullptr;

}  // namespace

Fiber::Fiber() : state_(new State) {}
Fiber::~Fiber() = default;
Fiber::Fiber(Fiber&&) noexcept = default;

namespace {

template <class State>
void begin() {
    State* const state = static_cast<State*>(starting);
    state->arrived();
    state->entry(state->argument);
    std::abort();  // `entry` ends with `leave`
}

}  // namespace

void Fiber::prepare(char* stack, void (*entry)(void*), void* argument) {
    State& state = *state_;
    state.entry = entry;
    state.argument = argument;
    state.stack = stack;
#if defined(__SANITIZE_ADDRESS__)
    state.own_fake = nullptr;
#endif
#if SHIM_SWITCH
    // As if `begin` had been called (the stack is 8 short of a multiple of 16) and had then switched away.
    std::uintptr_t top = reinterpret_cast<std::uintptr_t>(stack + Stacks::size()) & ~std::uintptr_t(15);
    void** slot = reinterpret_cast<void**>(top);
    *--slot = nullptr;
    *--slot = reinterpret_cast<void*>(&begin<State>);
    for (int saved = 0; saved < 6; ++saved) {
        *--slot = nullptr;
    }
    state.own = slot;
#else
    getcontext(&state.own);
    state.own.uc_stack.ss_sp = stack;
    state.own.uc_stack.ss_size = Stacks::size();
    state.own.uc_link = nullptr;
    makecontext(&state.own, &begin<State>, 0);
#endif
}

void Fiber::resume() {
    starting = state_.get();
    state_->to_fiber();
}

void Fiber::pause() {
    state_->to_caller(false);
}

void Fiber::leave() {
    state_->to_caller(true);
    std::abort();  // a fiber that left is not resumed
}

}  // namespace shim
