// The operators: what each takes and gives, and how the launcher is asked for it.
#ifndef AILURUS_ORT_OPERATORS_H
#define AILURUS_ORT_OPERATORS_H

#include <memory>
#include <vector>

#include "ort.h"

namespace ailurus_ort {

// What computes a node.
class Kernel {
public:
    virtual ~Kernel() = default;
    // Enqueues the work. Several threads may call it at a time.
    virtual void compute(const Call& call) = 0;
};

struct Operator {
    const char* name;
    std::vector<Port> inputs;
    std::vector<Port> outputs;
    std::unique_ptr<Kernel> (*create)(const Node& node);
};

Operator density_peaks();
Operator grid_kmeans();
Operator merge();
Operator unfold();
Operator unfold_residual();

}  // namespace ailurus_ort

#endif
