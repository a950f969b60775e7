#include "workspace.h"

#include <algorithm>

namespace ailurus_ort {

Workspaces::~Workspaces() {
    if (allocator_ == nullptr) {
        return;
    }
    for (const Piece& piece : pieces_) {
        outgrown_.push_back(piece.memory);
    }
    for (void* const memory : outgrown_) {
        // Nobody is left to tell of a failure.
        OrtStatus* const status = ort_->AllocatorFree()(allocator_, memory);
        if (status != nullptr) {
            ort_->ReleaseStatus()(status);
        }
    }
    ort_->ReleaseAllocator()(allocator_);
}

void* Workspaces::find(const Call& call, const Tensor& near, void* stream, size_t bytes) {
    const auto known =
        std::find_if(pieces_.begin(), pieces_.end(), [&](const Piece& piece) { return piece.stream == stream; });
    if (known != pieces_.end() && known->bytes >= bytes) {
        return known->memory;
    }
    if (allocator_ == nullptr) {
        allocator_ = call.allocator(near);
        ort_ = &call.ort;
    }
    // At least twice what was outgrown, so that sizes that creep up do not leave a trail.
    const size_t wanted = known == pieces_.end() ? bytes : std::max(bytes, 2 * known->bytes);
    // Room in the lists first: memory must not be lost if there is none.
    pieces_.reserve(pieces_.size() + 1);
    outgrown_.reserve(outgrown_.size() + pieces_.size() + 2);
    void* memory = nullptr;
    call.ort.check(call.ort.AllocatorAlloc()(allocator_, wanted, &memory));
    if (memory == nullptr) {
        throw Failure(ORT_FAIL, "AIL0903: no memory for a workspace of " + std::to_string(wanted) + " bytes");
    }
    for (Piece& piece : pieces_) {
        if (piece.stream == stream) {
            outgrown_.push_back(piece.memory);
            piece = {stream, memory, wanted};
            return memory;
        }
    }
    pieces_.push_back({stream, memory, wanted});
    return memory;
}

}  // namespace ailurus_ort
