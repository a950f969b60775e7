// Device memory that a node works on, one piece per stream.
//
// What a node has allocated for a stream it keeps for the next call on that stream: a call's work goes on after the
// call has returned, so memory given back at once could be handed to another stream while it is still written to.
#ifndef AILURUS_ORT_WORKSPACE_H
#define AILURUS_ORT_WORKSPACE_H

#include <mutex>
#include <vector>

#include "ort.h"

namespace ailurus_ort {

class Workspaces {
public:
    Workspaces() = default;
    Workspaces(const Workspaces&) = delete;
    Workspaces& operator=(const Workspaces&) = delete;
    // ONNX Runtime drops a node when its session goes, and no work is left by then.
    ~Workspaces();

    // Memory of at least this size; hold `lock` until the work is enqueued, so that two calls on a stream do not mix.
    void* find(const Call& call, const Tensor& near, void* stream, size_t bytes);

    std::mutex lock;

private:
    struct Piece {
        void* stream;
        void* memory;
        size_t bytes;
    };

    const Ort* ort_ = nullptr;
    OrtAllocator* allocator_ = nullptr;
    std::vector<Piece> pieces_;
    // Pieces that became too small; work on them may still go on.
    std::vector<void*> outgrown_;
};

}  // namespace ailurus_ort

#endif
