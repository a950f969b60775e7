//! What every code means: `ailurus explain`.
//!
//! | codes | from |
//! |---|---|
//! | `AIL01xx` | reading, editing and writing models |
//! | `AIL02xx` | refusals of the analysis and the planner |
//! | `AIL03xx` | the operators |
//! | `AIL04xx` | carrying a plan out |
//! | `AIL05xx` | running models |
//! | `AIL06xx` | the embedded runtime |
//! | `AIL07xx` | this crate |
//! | `AIL08xx` | the launcher of CUDA kernels |
//! | `AIL09xx` | the library for ONNX Runtime, in whose messages they stand |
//! | `AIL10xx` | the plugins of TensorRT, in whose log they stand |

use serde::Serialize;

/// What a code means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The code, such as `AIL0207`.
    pub code: String,
    /// One line.
    pub title: &'static str,
    /// What it means and what can be done.
    pub text: &'static str,
}

/// Every code, in order.
pub fn all() -> Vec<Entry> {
    let own = TABLE.iter().map(|(code, title, text)| Entry { code: (*code).to_owned(), title, text });
    let refusals = ailurus_analyze::refusal::ENTRIES.iter().map(|e| Entry {
        code: format!("{:?}", e.code),
        title: e.title,
        text: e.text,
    });
    let mut out: Vec<Entry> = own.chain(refusals).collect();
    out.sort_by(|a, b| a.code.cmp(&b.code));
    out
}

/// What this code means; case does not matter.
pub fn explain(code: &str) -> Option<Entry> {
    all().into_iter().find(|e| e.code.eq_ignore_ascii_case(code.trim()))
}

const TABLE: &[(&str, &str, &str)] = &[
    // Reading, editing and writing models.
    (
        "AIL0101",
        "model file cannot be opened",
        "The file does not exist, is a folder, or may not be read. Nothing was written.",
    ),
    (
        "AIL0102",
        "not an ONNX model",
        "The bytes are no protobuf message with an ONNX graph in it. Git LFS pointers, HTML error pages saved under a \
         model's name and files of other frameworks end here: look at the first bytes of the file.",
    ),
    (
        "AIL0103",
        "damaged ONNX data",
        "The file starts as an ONNX model, but a length, a field or a text in it is impossible, most often because the \
         file was cut short. Fetch or export it again.",
    ),
    (
        "AIL0104",
        "messages nested too deep",
        "Subgraphs and types are nested far deeper than in any real model. The file is refused because following it could \
         exhaust the stack.",
    ),
    (
        "AIL0105",
        "form of ONNX not supported",
        "The model uses a part of the format that cannot be carried over safely, named in the message. Export it without.",
    ),
    (
        "AIL0106",
        "value read but never defined",
        "A node or an output reads a name that no node, input or initializer defines: the model is invalid. \
         `onnx.checker.check_model` gives more detail.",
    ),
    (
        "AIL0107",
        "value defined twice",
        "Every name must have one definition. The model is invalid, or an edit tried to give a name away twice.",
    ),
    ("AIL0108", "nodes depend on each other in a circle", "No order of execution exists: the model is invalid."),
    (
        "AIL0109",
        "name shadowed inside a subgraph",
        "A name of the main graph would be defined again inside an `If`, `Loop` or `Scan`, which ONNX forbids.",
    ),
    (
        "AIL0110",
        "external data outside the model's folder",
        "A tensor refers to a file by an absolute path, through `..` or through a link that leaves the folder. Such models \
         could read or overwrite any file, so they are refused. Put the data beside the model.",
    ),
    (
        "AIL0111",
        "external data file cannot be read",
        "The weights lie in a second file, which is missing or may not be read. Put it beside the model, under the name in \
         the message.",
    ),
    (
        "AIL0112",
        "external data file too short",
        "A tensor reaches past the end of its data file. The file was cut short or belongs to another model.",
    ),
    (
        "AIL0113",
        "tensor payload not available",
        "The elements of a constant are not stored in the form or number that its type and shape promise.",
    ),
    (
        "AIL0114",
        "edit refused",
        "A change would have made the model invalid. With a plan made by `ailurus plan` for this very model this is a fault \
         in ailurus; please report it with the model's text dump.",
    ),
    (
        "AIL0115",
        "output cannot be written",
        "The folder is missing or read-only, the disk is full, or a limit on file sizes is in force. Files appear complete \
         or not at all, so the output path is as it was before.",
    ),
    (
        "AIL0116",
        "output is the input",
        "Input and output are the same file, or the output is a file that weights of the input are read from. Choose another \
         output; `rewrite --force` lets the output replace the model, but never its weights.",
    ),
    (
        "AIL0117",
        "external data would be out of reach",
        "With `--external-data keep` the output refers to the data files where they are, which works only in the same \
         folder. Use `--external-data copy` or `--external-data single`, or write beside the input.",
    ),
    (
        "AIL0118",
        "model file too large",
        "One protobuf message holds at most 2 GB, and no runtime loads more. Use `--external-data single`.",
    ),
    // The operators.
    (
        "AIL0301",
        "operator parameter out of range",
        "A parameter of the clustering is outside its range, for example `--window 0` or `--spatial-mix 2`.",
    ),
    ("AIL0302", "operator attribute missing", "A node of an ailurus operator lacks an attribute that has no default."),
    (
        "AIL0303",
        "unknown operator attribute",
        "A node of an ailurus operator carries an attribute that this version does not know: the file was made by a newer \
         version, or by hand.",
    ),
    (
        "AIL0304",
        "operator attribute of the wrong kind",
        "An attribute of an ailurus operator has another type than its schema says.",
    ),
    (
        "AIL0305",
        "more clusters than patches",
        "`--tokens` asks for more clusters than the model has patches, or `--grid` for more rows or columns of them. \
         `ailurus inspect` shows how many there are.",
    ),
    (
        "AIL0306",
        "operator input of the wrong shape",
        "An input of an ailurus operator has another shape than its schema says.",
    ),
    (
        "AIL0307",
        "index out of range",
        "The index of an unfold or merge points outside the rows there are. It was not made by the clustering.",
    ),
    ("AIL0308", "operator input too large", "A tensor is larger than the implementation can address."),
    (
        "AIL0309",
        "patch grid unknown",
        "The rows and columns of the grid are neither written in the node nor given as an input.",
    ),
    (
        "AIL0310",
        "no body of standard operators",
        "The operators travel with bodies of standard ONNX operators, which need operator set 13 or newer. Convert the \
         model (`onnx.version_converter`), or use `--emit custom` with the library that has the operators.",
    ),
    (
        "AIL0311",
        "key weights cannot be averaged",
        "The weights that make the keys of the next block do not have the shape that the analysis found. Use `--metric \
         stream`.",
    ),
    // Carrying a plan out.
    (
        "AIL0401",
        "plan made for another model",
        "The plan names a value or node that this model does not have. A plan fits only the file it was made for, byte for \
         byte or at least name for name.",
    ),
    (
        "AIL0402",
        "plan not usable",
        "The plan has another format version, contradicts itself, or says something that the analysis of the model does not; \
         the message names the field. These may be edited: `tokens.keep` (what depends on the number of clusters follows), \
         `cluster` (of `--method expedit` and `pool` not its grid), `metric` from keys to `\"stream\"`, the `mode` of an unfold from `residual` to `copy`, and entries of \
         `proportional` may be left out. For everything else make a new plan with `ailurus plan`.",
    ),
    (
        "AIL0403",
        "options that do not go together",
        "The method of clustering has no use for another option: grid k-means (`--method expedit`) measures distances on \
         the stream, average pooling (`--method pool`) measures none, and their clusters have no members to count for \
         `--proportional-attention`.",
    ),
    (
        "AIL0404",
        "windows hold too few patches",
        "`--method windows` makes one token of the four patches of a window, so about a quarter of the patches is the least \
         that it can keep; a last row or column of an odd grid is in no window. Keep more, or use another method.",
    ),
    // Running models.
    (
        "AIL0501",
        "ONNX Runtime not found",
        "ONNX Runtime is looked for at `ORT_DYLIB_PATH`, then in the Python package `onnxruntime` of `AILURUS_PYTHON` or \
         `python3`. Without it the embedded runtime is used, unless ONNX Runtime was asked for.",
    ),
    (
        "AIL0502",
        "ONNX Runtime cannot be loaded",
        "The library was found, but the system refuses to load it, with the reason in the message: wrong architecture, or a \
         library it needs is missing.",
    ),
    ("AIL0503", "ONNX Runtime too old", "Version 1.17 or newer is needed."),
    (
        "AIL0504",
        "runtime refuses the model",
        "The runtime cannot load the model; its own words follow. When it refuses the original too, the cause lies there.",
    ),
    ("AIL0505", "runtime failed", "The model was loaded but failed while running; the runtime's own words follow."),
    ("AIL0506", "unknown model input", "A value was given for an input that the model does not have."),
    ("AIL0507", "model input missing", "The model has an input that no value was given for."),
    ("AIL0508", "model input of the wrong type", "A value has another element type than the model declares."),
    (
        "AIL0509",
        "value type not supported",
        "An input or output is no dense tensor of numbers (a sequence, a map, texts), which cannot be compared here.",
    ),
    (
        "AIL0510",
        "shape and elements do not fit",
        "The dimensions of a tensor do not describe the number of its elements.",
    ),
    (
        "AIL0511",
        "file cannot be read or written",
        "Reading or writing a data file failed; the system's reason follows.",
    ),
    ("AIL0512", "not an npz file", "The file is not the archive of arrays that `numpy.savez` writes."),
    (
        "AIL0513",
        "outputs cannot be compared",
        "The two models gave outputs of different names or shapes for the same input. A rewritten model never should: please \
         report it.",
    ),
    (
        "AIL0514",
        "library of operators refused",
        "The runtime was told to register a library of operators and does not take it; its own words follow. The library \
         may be missing, built for another system, no library of operators at all, or made for a newer ONNX Runtime.",
    ),
    (
        "AIL0515",
        "provider not available",
        "The runtime cannot compute where it was told to, such as on a GPU through CUDA: this build of it lacks the \
         provider, or a driver or library of the system is missing; its own words follow. The Python package \
         `onnxruntime` has the processor only, `onnxruntime-gpu` has CUDA; `ORT_DYLIB_PATH` chooses a library.",
    ),
    // The embedded runtime.
    (
        "AIL0601",
        "embedded runtime cannot read the model",
        "tract cannot decode or build the graph; its own words follow.",
    ),
    (
        "AIL0602",
        "operator unknown to the embedded runtime",
        "tract does not have this operator. Install ONNX Runtime (`pip install onnxruntime`) to verify this model.",
    ),
    (
        "AIL0603",
        "model-local function in the embedded runtime",
        "tract does not know functions defined in a model file. Install ONNX Runtime, or inline the functions first.",
    ),
    (
        "AIL0604",
        "embedded runtime cannot prepare the model",
        "tract could not work out types or shapes for inputs of this size; its own words follow.",
    ),
    ("AIL0605", "embedded runtime failed", "tract failed while running the model; its own words follow."),
    (
        "AIL0606",
        "value type unknown to the embedded runtime",
        "An input or output has a type that tract does not exchange.",
    ),
    // This crate.
    (
        "AIL0701",
        "verification failed",
        "Original and rewritten model were run on the same input. Their outputs have different shapes, are NaN at different \
         places, or differ by more than the tolerance: that of floating point when all tokens are kept, otherwise the one \
         given. Nothing was written.",
    ),
    ("AIL0702", "plan file cannot be used", "The file is missing, no JSON, or no plan."),
    ("AIL0703", "image cannot be read", "The picture is missing, or neither PNG nor JPEG."),
    (
        "AIL0704",
        "no inputs for this model",
        "Running a model takes an input for each of its inputs. Pictures go into the first input with four dimensions and \
         three channels; the others get noise or zeros. This model does not fit that.",
    ),
    (
        "AIL0705",
        "folder or file in the way",
        "A folder is missing or read-only, or the disk is full. The output path is as it was before.",
    ),
    ("AIL0706", "option out of range", "An option has a value outside its range, named in the message."),
    (
        "AIL0707",
        "model without weights",
        "The file describes a graph and holds no weights: it was written by `ailurus inspect --report`, to be attached to an \
         issue, or by a tool that removed them. It can be inspected, planned and rewritten, but not run, so `--check`, \
         `view`, `verify` and `bench` do not work on it. Use the model it was made from.",
    ),
    (
        "AIL0708",
        "interfaces differ",
        "The two models do not have the same inputs and outputs: names, element types, numbers of dimensions, dimensions and \
         the symbols of free dimensions all count, their order does not. Nothing was run. A model that ailurus rewrote has \
         the interface of its original; two models that differ here are different models, or one was exported or \
         converted in another way.",
    ),
    (
        "AIL0709",
        "arrays do not fit the model",
        "An npz file has to hold an array for every input of the model, under the input's name or under `in_` and the name, \
         of exactly the declared element type and shape (free dimensions take any size). Nothing is converted, because a \
         conversion that nobody sees changes what is compared. Other arrays in the file are left alone.",
    ),
    (
        "AIL0710",
        "no pictures in the folder",
        "The folder is missing, may not be read, or holds no file that ends in .png, .jpg or .jpeg. Folders in it are not \
         searched.",
    ),
    (
        "AIL0711",
        "library of operators not found",
        "`--plugin` registers the library of native operators (`libailurus_ort.so`, `libailurus_ort.dylib` or \
         `ailurus_ort.dll`) with ONNX Runtime. It is looked for at the path given (`--plugin=PATH`, a file or its folder), \
         else at `AILURUS_ORT_LIBRARY`, else beside the program, in `../lib` and in `deps` from there. A path that is given \
         and not there is an error. Without `--plugin`, models run with the operators' bodies.",
    ),
    (
        "AIL0712",
        "operators without bodies",
        "The model was written with `--emit custom`: its operators are bare nodes, which ONNX Runtime runs only with the \
         library of operators. Run it with `--plugin`, or write the model again with `--emit function`.",
    ),
    // The launcher of CUDA kernels.
    (
        "AIL0801",
        "CUDA driver library not found",
        "`libcuda.so.1` (`nvcuda.dll` on Windows) cannot be loaded. It comes with NVIDIA's driver, not with a CUDA toolkit: install the driver, or in a container start it with access to the device.",
    ),
    (
        "AIL0802",
        "CUDA driver too old",
        "The driver library lacks a function that the kernels are started with. A driver for CUDA 12 or newer is needed.",
    ),
    (
        "AIL0803",
        "no usable CUDA device",
        "The driver is there, and finds no device: none is installed, it is hidden by `CUDA_VISIBLE_DEVICES`, or the container has no access to it.",
    ),
    (
        "AIL0804",
        "no CUDA context on this thread",
        "Kernels run in the context that is current on the calling thread, and there is none. Runtimes make one current; a program that calls the launcher itself has to do so before.",
    ),
    (
        "AIL0805",
        "CUDA kernels cannot be loaded",
        "The driver does not take the kernels: mostly it is too old for them (a driver for CUDA 12 or newer is needed), or the device is older than compute capability 7.5. The driver's own words follow.",
    ),
    (
        "AIL0806",
        "CUDA: parameter outside its range",
        "A parameter of an operator was handed to the launcher that no node can have; the message names it.",
    ),
    (
        "AIL0807",
        "CUDA: sizes contradict each other",
        "A size is not positive, or the sizes of tensors do not fit together; the message names them.",
    ),
    (
        "AIL0808",
        "CUDA: sizes too large",
        "The kernels count up to 2^20 patches, 2^28 entries of windows and 2^32 elements of an image; the message says which limit was passed.",
    ),
    ("AIL0809", "CUDA: bad pointer", "A tensor's address is null, or not aligned to its elements."),
    (
        "AIL0810",
        "CUDA: workspace too small",
        "The workspace is smaller than the launcher said it has to be for these sizes.",
    ),
    ("AIL0811", "CUDA: unknown element type", "The kernels compute on f32, f16 and bf16 tensors."),
    (
        "AIL0812",
        "error of the CUDA driver",
        "The driver returned an error, which the message names. An error of an earlier kernel, ours or not, can show here.",
    ),
    (
        "AIL0899",
        "unknown error of the CUDA launcher",
        "The launcher returned a number that this version does not know: library and launcher are of different versions.",
    ),
    // The library for ONNX Runtime.
    (
        "AIL0901",
        "ONNX Runtime too old for the library",
        "The library of native operators needs ONNX Runtime 1.17 or newer and was given to an older one. Update ONNX Runtime, \
         or leave the library out: the functions in the file run in older releases, too.",
    ),
    (
        "AIL0902",
        "fault in a native operator",
        "A kernel of the library stopped with an internal error, which was caught: the run failed, and the session can go on. \
         Please report it with the message and the file that `ailurus inspect MODEL --report FILE` writes. Without the \
         library the model runs on the functions in the file.",
    ),
    (
        "AIL0903",
        "call refused by ONNX Runtime",
        "The library of native operators asked ONNX Runtime for something that it did not give, such as memory for an output; \
         its own words follow.",
    ),
    (
        "AIL0904",
        "input of another element type",
        "An input of a native operator does not have the element type of the node: f32 or f16 for what is computed with, \
         32-bit integers for an index, f32 for sizes and weights, 64-bit integers for a grid. A tool that changed the types \
         of the model after it was rewritten may have left some out: convert the original instead, and rewrite the result.",
    ),
    (
        "AIL0905",
        "input missing",
        "A node of a native operator lacks an input that it cannot do without. Only a tool that edited the model after it was \
         rewritten can have removed it: rewrite the original again.",
    ),
    (
        "AIL0713",
        "library of operators cannot be used",
        "A library of operators is where it was looked for, but cannot be loaded, or does not register what it should: it \
         was built for another system, or without the headers that it needs. `ailurus plugins` says which libraries there \
         are and where.",
    ),
    // The plugins of TensorRT.
    (
        "AIL1001",
        "TensorRT: unknown attribute",
        "A plugin was given a field that its operator does not have, which the message names. TensorRT's parser hands \
         over none but known ones: networks that are built by hand need the names of docs/operators.md.",
    ),
    ("AIL1002", "TensorRT: attribute given twice", "A plugin was given two fields of one name."),
    (
        "AIL1003",
        "TensorRT: attribute missing",
        "A plugin lacks a field that its operator cannot do without. Nodes that AiluRus wrote carry all of them, also \
         at their defaults: a tool that edited the model afterwards may have dropped some. Rewrite the original \
         again.",
    ),
    (
        "AIL1004",
        "TensorRT: attribute of the wrong type",
        "A field of a plugin does not hold one integer, or one 32-bit float, as its operator wants it.",
    ),
    (
        "AIL1005",
        "TensorRT: attribute outside its range",
        "A field of a plugin has a value that its operator does not allow, or two of them contradict each other; the \
         message says which.",
    ),
    (
        "AIL1006",
        "TensorRT: wrong number of inputs or outputs",
        "A plugin has more or fewer inputs or outputs than its operator. A weight is there exactly if the index has \
         three axes.",
    ),
    (
        "AIL1007",
        "TensorRT: wrong shape",
        "A tensor of a plugin does not have the axes that its operator wants, or two tensors contradict each other; \
         the message names them. Does the model run in ONNX Runtime on an input of this size?",
    ),
    (
        "AIL1008",
        "TensorRT: grid not static",
        "The numbers of rows and columns of patches are only known at run time. Kernels are launched for a grid, and \
         TensorRT keeps it on the device. Export the model with a static image size, or build one engine per size. \
         The batch may stay open.",
    ),
    (
        "AIL1009",
        "TensorRT: data of another version",
        "What an engine holds for a plugin was not written by this version of the library. Build the engine again.",
    ),
    (
        "AIL1010",
        "TensorRT: launcher failed",
        "The kernels of a plugin could not be started. The code of the launcher that follows in the message, such as \
         AIL0805, says why.",
    ),
    ("AIL1011", "TensorRT: no memory", "There is no memory on the host for a plugin."),
    (
        "AIL1012",
        "folder not empty",
        "Sources are written into a new or empty folder only, so that none of another version are left among them. Nothing \
         was written.",
    ),
    ("AIL1013", "sources cannot be written", "A file or folder could not be made; the message says which and why."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_any_case() {
        assert_eq!(explain(" ail0207 ").unwrap().code, "AIL0207");
        assert_eq!(explain("AIL9999"), None);
    }

    #[test]
    fn no_code_has_two_entries() {
        let all = all();
        assert!(all.windows(2).all(|w| w[0].code < w[1].code));
    }
}
