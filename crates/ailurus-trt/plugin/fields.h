// Attributes of nodes as TensorRT's fields, and as bytes.
#ifndef AILURUS_TRT_FIELDS_H
#define AILURUS_TRT_FIELDS_H

#include "operator.h"

namespace ailurus_trt {

// Reads and checks all attributes. An unknown, repeated, missing or wrong field is refused, with a message that names
// it: a misspelt one must not fall back to a default.
bool read_fields(const Operator& op, const nvinfer1::PluginFieldCollection* fields, Params* params);

// The fields of an operator or of one plugin. Not to be moved: it points into itself.
class Fields {
  public:
    // Names and types only.
    explicit Fields(const Operator& op) noexcept;
    // The values of these attributes, which must outlive this; absent ones are left out.
    Fields(const Operator& op, const Params& params) noexcept;
    Fields(const Fields&) = delete;
    Fields& operator=(const Fields&) = delete;

    const nvinfer1::PluginFieldCollection* collection() const noexcept { return &collection_; }

  private:
    void add(const Attribute& attribute, const void* value) noexcept;

    nvinfer1::PluginField fields_[MOST_ATTRIBUTES];
    nvinfer1::PluginFieldCollection collection_;
};

// Room for the attributes as a text.
using Text = char[320];

// Name and attributes as a text, which differs if they do.
void describe(const Operator& op, const Params& params, Text* text) noexcept;

// The attributes as bytes, for TensorRT 8.
struct Bytes {
    char mark[8];
    Params params;
};
Bytes to_bytes(const Params& params) noexcept;
bool from_bytes(const Operator& op, const void* data, size_t length, Params* params) noexcept;

}  // namespace ailurus_trt

#endif
