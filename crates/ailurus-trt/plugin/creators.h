// One creator per operator, of whichever interface.
#ifndef AILURUS_TRT_CREATORS_H
#define AILURUS_TRT_CREATORS_H

#include <new>

#include "library.h"
#include "operator.h"

namespace ailurus_trt {

// The creators. They are never destroyed: TensorRT's registry may look at them while the process ends.
template <class C>
class Creators {
  public:
    static constexpr int32_t COUNT = 5;

    Creators() noexcept {
        const Operator* const operators[COUNT] = {&DENSITY_PEAKS, &GRID_KMEANS, &MERGE, &UNFOLD, &UNFOLD_RESIDUAL};
        for (int32_t i = 0; i < COUNT; ++i) {
            list_[i] = new (&places_[i]) C(*operators[i]);
        }
    }

    Creator* const* list() const noexcept { return list_; }

  private:
    struct Place {
        alignas(C) unsigned char bytes[sizeof(C)];
    };
    Place places_[COUNT];
    Creator* list_[COUNT];
};

}  // namespace ailurus_trt

#endif
