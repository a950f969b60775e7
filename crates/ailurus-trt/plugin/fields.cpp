#include "fields.h"

#include <cstdio>
#include <cstring>
#include <limits>

#include "log.h"

namespace ailurus_trt {

namespace {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

// Changes with the meaning of the bytes.
constexpr char MARK[8] = {'A', 'I', 'L', 'U', 'R', 'U', 'S', '2'};

static_assert(sizeof(int32_t) == sizeof(float), "all attributes take four bytes");

void* place(const Attribute& attribute, Params* params) {
    return reinterpret_cast<char*>(params) + attribute.offset;
}

const void* place(const Attribute& attribute, const Params& params) {
    return reinterpret_cast<const char*>(&params) + attribute.offset;
}

// What TensorRT's parser looks at itself.
bool is_for_parser(const char* name) {
    return std::strcmp(name, "plugin_version") == 0 || std::strcmp(name, "plugin_namespace") == 0 ||
           std::strcmp(name, "tensorrt_plugin_shape_input_indices") == 0;
}

int32_t find(const Operator& op, const char* name) {
    for (int32_t i = 0; i < op.attribute_count; ++i) {
        if (std::strcmp(op.attributes[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

bool read_integer(const PluginField& field, int64_t* value) {
    switch (field.type) {
        case PluginFieldType::kINT32: {
            int32_t narrow;
            std::memcpy(&narrow, field.data, sizeof narrow);
            *value = narrow;
            return true;
        }
#if AILURUS_TRT_INT64
        case PluginFieldType::kINT64:
            std::memcpy(value, field.data, sizeof *value);
            return true;
#endif
        default:
            return false;
    }
}

PluginFieldType type_of(const Attribute& attribute) {
    switch (attribute.kind) {
        case Kind::INTEGER:
            return PluginFieldType::kINT32;
        case Kind::FLOAT:
            return PluginFieldType::kFLOAT32;
        case Kind::CHOICE:
            return PluginFieldType::kCHAR;
    }
    return PluginFieldType::kUNKNOWN;
}

// A text, which may end with a zero, is one of the attribute's choices.
bool read_choice(const Operator& op, const Attribute& attribute, const PluginField& field, Params* params) {
    if (field.type != PluginFieldType::kCHAR || field.data == nullptr || field.length < 0) {
        return refuse(Code::WRONG_FIELD, op.name, "field `%s` must be a text, not type %d", field.name,
                      static_cast<int>(field.type));
    }
    const char* const text = static_cast<const char*>(field.data);
    int length = field.length;
    while (length > 0 && text[length - 1] == '\0') {
        --length;
    }
    for (int32_t i = 0; attribute.choices[i] != nullptr; ++i) {
        const char* const choice = attribute.choices[i];
        if (std::strlen(choice) == static_cast<size_t>(length) &&
            std::memcmp(choice, text, static_cast<size_t>(length)) == 0) {
            std::memcpy(place(attribute, params), &i, sizeof i);
            return true;
        }
    }
    return refuse(Code::BAD_PARAMETER, op.name, "%s = %.*s: it must be %s or %s", field.name, length, text,
                  attribute.choices[0], attribute.choices[1]);
}

bool read_field(const Operator& op, const Attribute& attribute, const PluginField& field, Params* params) {
    if (attribute.kind == Kind::CHOICE) {
        return read_choice(op, attribute, field, params);
    }
    if (field.data == nullptr || field.length != 1) {
        return refuse(Code::WRONG_FIELD, op.name, "field `%s` must hold one value, not %d", field.name,
                      field.data == nullptr ? 0 : field.length);
    }
    if (attribute.kind == Kind::FLOAT) {
        if (field.type != PluginFieldType::kFLOAT32) {
            return refuse(Code::WRONG_FIELD, op.name, "field `%s` must be a 32-bit float, not type %d", field.name,
                          static_cast<int>(field.type));
        }
        std::memcpy(place(attribute, params), field.data, sizeof(float));
        return true;
    }
    int64_t value = 0;
    if (!read_integer(field, &value)) {
        return refuse(Code::WRONG_FIELD, op.name, "field `%s` must be an integer, not type %d", field.name,
                      static_cast<int>(field.type));
    }
    // Of the optional ones 0 stands for an absent one, so it cannot be given.
    const int64_t least = attribute.required ? 0 : 1;
    if (value < least || value > std::numeric_limits<int32_t>::max()) {
        return refuse(Code::BAD_PARAMETER, op.name, "%s = %lld: it must lie in %lld..%d", field.name,
                      static_cast<long long>(value), static_cast<long long>(least),
                      std::numeric_limits<int32_t>::max());
    }
    const int32_t narrow = static_cast<int32_t>(value);
    std::memcpy(place(attribute, params), &narrow, sizeof narrow);
    return true;
}

// The text of a choice; its number was checked when the attributes were read.
const char* chosen(const Attribute& attribute, const void* value) {
    int32_t number;
    std::memcpy(&number, value, sizeof number);
    return attribute.choices[number];
}

// True if the attribute is there: the optional ones are integers that cannot be 0.
bool is_present(const Attribute& attribute, const Params& params) {
    int32_t value;
    std::memcpy(&value, place(attribute, params), sizeof value);
    return attribute.required || value != 0;
}

}  // namespace

bool read_fields(const Operator& op, const nvinfer1::PluginFieldCollection* fields, Params* params) {
    *params = Params();
    bool seen[MOST_ATTRIBUTES] = {};
    const int32_t count = fields == nullptr ? 0 : fields->nbFields;
    for (int32_t i = 0; i < count; ++i) {
        const PluginField& field = fields->fields[i];
        if (field.name == nullptr) {
            return refuse(Code::UNKNOWN_FIELD, op.name, "field %d has no name", i);
        }
        if (is_for_parser(field.name)) {
            continue;
        }
        const int32_t at = find(op, field.name);
        if (at < 0) {
            return refuse(Code::UNKNOWN_FIELD, op.name, "field `%s` is unknown", field.name);
        }
        if (seen[at]) {
            return refuse(Code::FIELD_TWICE, op.name, "field `%s` is given twice", field.name);
        }
        seen[at] = true;
        if (!read_field(op, op.attributes[at], field, params)) {
            return false;
        }
    }
    for (int32_t i = 0; i < op.attribute_count; ++i) {
        if (op.attributes[i].required && !seen[i]) {
            return refuse(Code::MISSING_FIELD, op.name, "field `%s` is missing", op.attributes[i].name);
        }
    }
    return op.check(*params);
}

Fields::Fields(const Operator& op) noexcept : fields_(), collection_() {
    for (int32_t i = 0; i < op.attribute_count; ++i) {
        add(op.attributes[i], nullptr);
    }
}

Fields::Fields(const Operator& op, const Params& params) noexcept : fields_(), collection_() {
    for (int32_t i = 0; i < op.attribute_count; ++i) {
        if (is_present(op.attributes[i], params)) {
            add(op.attributes[i], place(op.attributes[i], params));
        }
    }
}

void Fields::add(const Attribute& attribute, const void* value) noexcept {
    int32_t length = 1;
    if (attribute.kind == Kind::CHOICE && value != nullptr) {
        const char* const text = chosen(attribute, value);
        length = static_cast<int32_t>(std::strlen(text));
        value = text;
    }
    fields_[collection_.nbFields] = PluginField(attribute.name, value, type_of(attribute), length);
    collection_.nbFields += 1;
    collection_.fields = fields_;
}

void describe(const Operator& op, const Params& params, Text* text) noexcept {
    size_t used = static_cast<size_t>(std::snprintf(*text, sizeof *text, "%s/%s", op.name, PLUGIN_VERSION));
    for (int32_t i = 0; i < op.attribute_count && used < sizeof *text; ++i) {
        const Attribute& attribute = op.attributes[i];
        if (!is_present(attribute, params)) {
            continue;
        }
        // Floats as their bits: two that differ never look alike.
        int32_t value;
        std::memcpy(&value, place(attribute, params), sizeof value);
        const char* const format = attribute.kind == Kind::FLOAT ? ",%s=0x%08x" : ",%s=%d";
        used += static_cast<size_t>(std::snprintf(*text + used, sizeof *text - used, format, attribute.name, value));
    }
}

Bytes to_bytes(const Params& params) noexcept {
    Bytes bytes;
    std::memcpy(bytes.mark, MARK, sizeof MARK);
    bytes.params = params;
    return bytes;
}

bool from_bytes(const Operator& op, const void* data, size_t length, Params* params) noexcept {
    Bytes bytes;
    if (data == nullptr || length != sizeof bytes || std::memcmp(data, MARK, sizeof MARK) != 0) {
        return refuse(Code::NOT_OURS, op.name, "%zu bytes that this version of the plugin has not written", length);
    }
    std::memcpy(&bytes, data, sizeof bytes);
    *params = bytes.params;
    return op.check(*params);
}

}  // namespace ailurus_trt
